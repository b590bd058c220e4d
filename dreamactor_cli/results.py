"""``results.jsonl``: what became of every job of a run, one JSON object a line, the last line of a job counts.

A run that is one part of several (``--shard``) writes a file of its own, so that no file is ever written by two; whoever ends
joins them all. A line is written in one go and forced to disk; the half of a line that a power cut leaves is not read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from dreamactor_cli.atomic import replacing, write_errors
from dreamactor_cli.contracts import Job, RenderResult

NAME = "results.jsonl"
PARTS = "results-*-of-*.jsonl"
EARLIER = "results-0-of-0.jsonl"  # of runs that were divided otherwise than the one that runs now


def part_name(part: str) -> str:
    """Name of the file of one part, like ``"2-of-8"``; empty is the whole."""
    return f"results-{part}.jsonl" if part else NAME


def record(result: RenderResult) -> dict[str, Any]:
    """A result as what ``--json`` prints."""
    return {**asdict(result), "output": str(result.output), "seconds": dict(result.seconds)}


def job_record(job: Job, fingerprint: str, result: RenderResult) -> dict[str, Any]:
    """A result with what it was made from."""
    about = {
        "kind": job.kind, "references": [str(path) for path in job.references], "driving": job.driving,
        "audio": str(job.audio) if job.audio else None, "fingerprint": fingerprint,
    }  # fmt: skip
    return {**record(result), **about}


class ResultsFile:
    """Appends lines; a context manager.

    Args:
        path: made if it is not there; half a line at its end is cut off.

    Raises:
        DiskFull, UsageError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with write_errors(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            size = os.fstat(self._descriptor).st_size
            os.ftruncate(self._descriptor, _whole(path, size))
            os.lseek(self._descriptor, 0, os.SEEK_END)

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._descriptor)

    def append(self, *lines: Mapping[str, Any]) -> None:
        """Write lines; on a full disk, none of them."""
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False, default=str) + "\n" for line in lines)
        data = text.encode("utf-8", "surrogateescape")
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        with write_errors(self._path):
            try:
                written = 0
                while written < len(data):
                    written += os.write(self._descriptor, data[written:])
                os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, end)
                raise


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file that are whole; none if it is not there."""
    try:
        file = open(path, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and "id" in found:
                yield found


def fold(folder: Path, part: str) -> None:
    """Before a run begins, put what runs wrote that were divided otherwise where it stays, and counts as older.

    Only who has claimed the folder may do so, and one process at a time.

    Args:
        part: of the run that begins.
    """
    parts = sorted(folder.glob(PARTS))
    if not part:
        join(folder)
        stale = parts
    else:
        count = part.rpartition("-")[2]
        stale = [path for path in parts if not path.stem.endswith(f"-of-{count}") and path.name != EARLIER]
        whole = [] if parts else [path for path in (folder / NAME,) if path.exists()]
        if stale or whole:
            earlier = [path for path in (folder / EARLIER,) if path.exists()]
            _concatenate([*earlier, *whole, *stale], folder / EARLIER)
    for path in stale:
        path.unlink()


def join(folder: Path) -> None:
    """Make ``results.jsonl`` of the parts' files, if there are any. Only one process may do so at a time."""
    parts = sorted(folder.glob(PARTS))
    if parts:
        _concatenate(parts, folder / NAME)


def _concatenate(paths: Sequence[Path], target: Path) -> None:
    with replacing(target) as beside, open(beside, "wb") as whole:
        for path in paths:
            whole.write(path.read_bytes()[: _whole(path, path.stat().st_size)])


def _whole(path: Path, size: int) -> int:
    """Length of a file up to the end of its last whole line, bytes."""
    with open(path, "rb") as file:
        position = size
        while position > 0:
            start = max(position - (1 << 16), 0)
            file.seek(start)
            found = file.read(position - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            position = start
    return 0
