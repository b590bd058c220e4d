"""Which part of a manifest this process does, and on which device, when many machines share one manifest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dreamactor_cli.contracts import Job
from dreamactor_cli.errors import UsageError

# Variables that tell a process which of how many it is, counted from 0; the first pair that is set counts.
_RANKS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))
_LOCAL_RANKS = ("LOCAL_RANK", "SLURM_LOCALID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of ``count`` parts of the same manifest.

    Attributes:
        index: from 0 to ``count - 1``.
        source: where it was found, like ``"--shard"`` or ``"SLURM_PROCID"``; empty if nothing was said.
    """

    index: int = 0
    count: int = 1
    source: str = ""

    def take(self, jobs: Iterable[Job]) -> tuple[Job, ...]:
        """The jobs of this part, in their order.

        Every job is in exactly one part, and parts differ by at most one job. Jobs with the same driver stay together, so that
        few parts extract the same clip; the order of drivers is that of a hash, so that no part gets all the long ones.
        """
        listed = list(jobs)
        drivers = [_driver(job) for job in listed]
        order = sorted(range(len(listed)), key=lambda k: (_spread(drivers[k]), drivers[k]))
        first, last = (len(listed) * part // self.count for part in (self.index, self.index + 1))
        return tuple(listed[k] for k in sorted(order[first:last]))

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"


def find_shard(text: str | None, environ: Mapping[str, str]) -> Shard:
    """What ``--shard`` says, else the variables of a Slurm array, of torchrun, or of Slurm's ``srun``; else the whole.

    Args:
        text: ``"I/N"``, I counted from 1; None is not given.
        environ: of the process.

    Raises:
        UsageError: what is said makes no sense.
    """
    if text is not None:
        return _parse(text)
    if "SLURM_ARRAY_TASK_ID" in environ:
        return _slurm_array(environ)
    for rank, size in _RANKS:
        if rank in environ and size in environ:
            return _checked(_number(environ, rank), _number(environ, size), rank)
    return Shard()


def find_device(environ: Mapping[str, str]) -> int | None:
    """The device of this process among those that it sees, from torchrun's or Slurm's local rank; None if none is said.

    A farm that shows each process only its own devices makes them start at 0 for each.

    Raises:
        UsageError: the rank is not a number.
    """
    for name in _LOCAL_RANKS:
        if name in environ:
            rank = _number(environ, name)
            visible = environ.get("CUDA_VISIBLE_DEVICES", "")
            return rank % (visible.count(",") + 1) if visible else rank
    return None


def _parse(text: str) -> Shard:
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text, re.ASCII)
    if not found:
        raise UsageError(f"--shard {text[:40]!r} is not I/N", "give one like 1/4: the first of four parts")
    index, count = map(int, found.groups())
    if not 1 <= index <= count:
        raise UsageError(f"--shard {index}/{count} is not there", f"parts count from 1/{max(count, 1)}")
    return Shard(index=index - 1, count=count, source="--shard")


def _slurm_array(environ: Mapping[str, str]) -> Shard:
    lowest = _number(environ, "SLURM_ARRAY_TASK_MIN", "0")
    step = max(_number(environ, "SLURM_ARRAY_TASK_STEP", "1"), 1)
    count = _number(environ, "SLURM_ARRAY_TASK_COUNT", "0")
    index, rest = divmod(_number(environ, "SLURM_ARRAY_TASK_ID") - lowest, step)
    if rest:
        index = -1
    return _checked(index, count, "SLURM_ARRAY_TASK_ID")


def _number(environ: Mapping[str, str], name: str, default: str = "") -> int:
    text = environ.get(name, default)
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise UsageError(f"the variable {name} is {text[:40]!r} and not a number", "name the part with --shard I/N")
    return int(text)


def _checked(index: int, count: int, source: str) -> Shard:
    if not 0 <= index < count:
        what = f"{source} names part {index + 1} of {count}, which is not there"
        raise UsageError(what, "submit a whole range like --array=1-8, or name the part with --shard I/N")
    return Shard(index=index, count=count, source=source)


def _driver(job: Job) -> str:
    """What jobs share that extract the same clip; names only, because machines may mount their folders elsewhere."""
    names = (Path(str(name)).name for name in (job.driving, job.audio))
    return " ".join(map(str, (*names, job.start, job.duration, job.subject)))


def _spread(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
