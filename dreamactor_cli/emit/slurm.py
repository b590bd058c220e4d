"""A Slurm script: an array job, one part of the manifest a task."""

from __future__ import annotations

import shlex

from dreamactor_cli.emit.request import EmitRequest

WARNING = 120  # seconds before the end of its time that a task is warned
MOST_RESTARTS = 50

_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{parts}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --output={name}-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR2@{warning}
# Add what your cluster asks for: #SBATCH --partition=..., --time=..., --mem=..., --gres=gpu:1
#
# Each task does one part of the manifest. A task that is warned that its time is up, is preempted or is submitted again
# goes on where it was: what is done is skipped.

program=({program})
{cache}
stopped=
forward() {{ stopped=$1; kill "-$1" "$child" 2>/dev/null; }}
trap 'forward USR2' USR2
trap 'forward TERM' TERM

"${{program[@]}}" {arguments} --shard "${{SLURM_ARRAY_TASK_ID:?this is a task of a Slurm array}}/{parts}" &
child=$!
wait "$child"; code=$?
if [ -n "$stopped" ]; then  # the first wait ended with the signal, not with the program
    wait "$child"; code=$?
fi
if [ "$stopped" = USR2 ] && [ "$code" -ge 128 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ]; then
    echo "time is up: task $SLURM_ARRAY_TASK_ID is put back into the queue"
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"""


def slurm_script(request: EmitRequest) -> str:
    """The script for ``sbatch``; whatever is in a file's name, it is one word for the shell."""
    arguments = ["render", str(request.manifest), "-o", str(request.folder), *request.options]
    cache = f"export DREAMACTOR_CACHE={shlex.quote(str(request.cache))}\n" if request.cache is not None else ""
    return _SCRIPT.format(
        name=request.name, parts=request.parts, warning=WARNING, restarts=MOST_RESTARTS, cache=cache,
        program=shlex.join(request.program), arguments=shlex.join(arguments),
    )  # fmt: skip
