"""The Slurm script, run by bash as Slurm would."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli.emit import EmitRequest, emit
from dreamactor_cli.errors import UsageError
from tests.emit.conftest import ODD

Make = Callable[..., EmitRequest]
Called = Callable[[], list[dict[str, Any]]]
TASK = {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "3"}


def _start(request: EmitRequest, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """The script as a process, with a `scontrol` that writes down its arguments."""
    (folder / "job.sh").write_text(emit("slurm", request))
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> "{folder}/scontrol.log"\n')
    (tools / "scontrol").chmod(0o755)
    variables = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", **environment}
    pipe = subprocess.PIPE
    return subprocess.Popen(["bash", str(folder / "job.sh")], env=variables, cwd=folder, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("code", [0, 1, 4])
def test_a_task_does_its_part_and_ends_as_the_program_does(request_of: Make, called: Called, tmp_path: Path, code: int) -> None:
    process = _start(request_of(code), tmp_path, **TASK)
    process.communicate(timeout=60)
    assert process.returncode == code
    [call] = called()
    wanted = ["render", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out"), "--fps=25", "--shard", "3/8"]
    assert call["arguments"] == wanted
    assert not (tmp_path / "scontrol.log").exists()


def test_names_are_words_whatever_is_in_them(request_of: Make, called: Called, tmp_path: Path) -> None:
    odd = tmp_path / ODD.replace("/", "")
    request = request_of(manifest=odd / "m.csv", folder=odd, options=(f"--background={odd}",), cache=odd / "cache")
    _, err = _start(request, tmp_path, **TASK).communicate(timeout=60)
    [call] = called()
    assert call["arguments"][1:5] == [str(odd / "m.csv"), "-o", str(odd), f"--background={odd}"], err
    assert call["cache"] == str(odd / "cache")
    assert not (tmp_path / "evil").exists()


def test_what_slurm_reads_is_plain(request_of: Make, tmp_path: Path) -> None:
    script = emit("slurm", request_of(manifest=tmp_path / f"{ODD}.csv", parts=12))
    head = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    first_command = script.index("\nprogram=")
    assert script.index("#SBATCH --evil") > first_command  # within a quoted word, where Slurm does not read
    assert "#SBATCH --array=1-12" in head
    assert "#SBATCH --requeue" in head
    assert any(line.startswith("#SBATCH --signal=B:USR2@") for line in head)
    assert all(
        set(line) <= set("#SBATCH -=:@%.0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") for line in head[:-1]
    )


def test_a_script_that_is_no_task_says_so(request_of: Make, tmp_path: Path) -> None:
    environment = dict.fromkeys(TASK, "")
    process = _start(request_of(), tmp_path, **environment)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "this is a task of a Slurm array" in err


def _stopped(request: EmitRequest, folder: Path, number: signal.Signals, **environment: str) -> int:
    process = _start(request, folder, **TASK, **environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


def test_a_task_whose_time_is_up_is_put_back(request_of: Make, called: Called, tmp_path: Path) -> None:
    assert _stopped(request_of(100), tmp_path, signal.SIGUSR2) == 140
    assert called()[1] == {"stopped": signal.SIGUSR2}  # the program was waited for
    assert (tmp_path / "scontrol.log").read_text() == "requeue 77_3\n"


def test_a_task_that_ended_in_time_is_not(request_of: Make, called: Called, tmp_path: Path) -> None:
    assert _stopped(request_of(100, on_usr2=0), tmp_path, signal.SIGUSR2) == 0
    assert not (tmp_path / "scontrol.log").exists()


def test_a_task_is_not_put_back_for_ever(request_of: Make, tmp_path: Path) -> None:
    assert _stopped(request_of(100), tmp_path, signal.SIGUSR2, SLURM_RESTART_COUNT="50") == 140
    assert not (tmp_path / "scontrol.log").exists()


def test_a_cancelled_task_ends(request_of: Make, called: Called, tmp_path: Path) -> None:
    assert _stopped(request_of(100), tmp_path, signal.SIGTERM) == 143
    assert called()[1] == {"stopped": signal.SIGTERM}
    assert not (tmp_path / "scontrol.log").exists()


def test_a_farm_that_is_not_known(request_of: Make) -> None:
    with pytest.raises(UsageError, match="did you mean 'slurm'"):
        emit("slrum", request_of())
