"""What a run writes down of itself: ``run.json``, and which outputs it is about to make."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dreamactor_cli import __version__, sidecar
from dreamactor_cli.atomic import replacing
from dreamactor_cli.contracts import Job, RenderResult
from dreamactor_cli.executors.base import Gate
from dreamactor_cli.plan import Extraction, Plan, PlannedJob

NAME = "run.json"
PARTS = "run-*-of-*.json"
FORMAT = 1
_OF_A_RUN = ("started", "ended", "ending", "workers", "rendered", "failed")


class RunRecord:
    """Keeps ``run.json``, or ``run-I-of-N.json`` of one part, which `join` makes ``run.json`` of.

    It tells of the last run, and in short of those before that did parts of the same; one that was killed is ``running`` there.

    Attributes:
        extractions: inputs that were measured, with the seconds it took.
    """

    def __init__(self, folder: Path, part: str, *, workers: int) -> None:
        self._path = folder / (f"run-{part}.json" if part else NAME)
        self.extractions: list[tuple[Extraction, float]] = []
        before = _read(self._path)
        earlier = [{name: before[name] for name in _OF_A_RUN}] if before else []
        self._record: dict[str, Any] = {
            "format": FORMAT, "version": __version__, "command": sys.argv, "part": part, "workers": workers,
            "started": time.time(), "ended": None, "ending": "running", "plan": {}, "rendered": 0, "failed": 0,
            "inputs": before.get("inputs", []), "earlier": before.get("earlier", []) + earlier,
        }  # fmt: skip

    def planned(self, plan: Plan) -> None:
        """Write down what is going to be done."""
        self._record["plan"] = {
            "jobs": len(plan.jobs), "todo": plan.count("todo"), "done": plan.count("done"), "refused": plan.count("refused"),
            "inputs": len(plan.extractions), "cached": sum(one.cached for one in plan.extractions),
            "frames": sum(planned.frames for planned in plan.jobs), "seconds": plan.seconds, "bytes": plan.bytes,
        }  # fmt: skip
        self._write()

    def extracted(self, extraction: Extraction, result: RenderResult) -> None:
        """Remember an input that was measured."""
        took = result.seconds.get("extract", 0.0)
        if result.status == "ok":
            self.extractions.append((extraction, took))
        self._record["inputs"].append({
            "path": str(extraction.path), "kind": extraction.kind, "status": result.status, "frames": result.frames,
            "started": result.started, "seconds": took, "worker": result.worker, "attempts": result.attempts,
            "error": result.error.message if result.error else None,
        })  # fmt: skip

    def ended(self, ending: str, *, rendered: int, failed: int) -> None:
        """Write down how it ended: ``ok``, ``failed`` or ``stopped``."""
        self._record |= {"ended": time.time(), "ending": ending, "rendered": rendered, "failed": failed}
        self._write()

    def _write(self) -> None:
        _write(self._path, self._record)


def fold(folder: Path, part: str) -> None:
    """Before a run begins, remove the records of runs that were divided otherwise; what they did stands in the results."""
    count = part.rpartition("-")[2]
    for path in folder.glob(PARTS):
        if not part or not path.stem.endswith(f"-of-{count}"):
            path.unlink()


def join(folder: Path) -> None:
    """Make ``run.json`` of the parts' files, if there are any. Only one process may do so at a time."""
    parts = [part for path in sorted(folder.glob(PARTS)) if (part := _read(path))]
    if not parts:
        return
    endings = {part["ending"] for part in parts}
    whole = {
        **parts[-1], "part": "", "parts": [part["part"] for part in parts],
        "started": min(part["started"] for part in parts),
        "ended": None if "running" in endings else max(part["ended"] for part in parts),
        "ending": next(name for name in ("running", "stopped", "failed", "ok") if name in endings),
        **{name: [one for part in parts for one in part[name]] for name in ("inputs", "earlier")},
        "plan": {name: sum(part["plan"].get(name, 0) for part in parts) for name in parts[-1]["plan"]},
        **{name: sum(part[name] for part in parts) for name in ("workers", "rendered", "failed")},
    }  # fmt: skip
    _write(folder / NAME, whole)


def settled(planned: PlannedJob) -> RenderResult:
    """The result of a job that is done or refused before it runs."""
    job = planned.job
    if planned.state == "refused":
        return RenderResult(id=job.id, status="failed", output=job.output, error=planned.error)
    try:
        made = json.loads(sidecar.sidecar_path(job.output).read_text("utf-8"))
        return RenderResult(
            id=job.id, status="skipped", output=job.output, sha256=made["output_sha256"], frames=made["frames"],
            warnings=tuple(made["warnings"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return RenderResult(id=job.id, status="skipped", output=job.output)


def is_known(line: Mapping[str, Any] | None, planned: PlannedJob, gate: Gate) -> bool:
    """Whether the last line of a job says already what is to be said of it."""
    if line is None or line.get("fingerprint") != planned.fingerprint:
        return False
    error = line.get("error") or {}
    if planned.state == "refused":
        return bool(planned.error is not None and error.get("message") == planned.error.message)
    return line["status"] in ("ok", "skipped") or (gate == "fail" and error.get("code") == "quality")


def note_open(folder: Path, part: str, jobs: Sequence[Job]) -> None:
    """Write down the outputs that are going to be made and are not there yet, or were left without a sidecar."""
    ours = _open_outputs(*_open_paths(folder))
    names = [name for job in jobs if (name := str(job.output.absolute())) in ours or not _is_there(job.output)]
    _write(_open_path(folder, part), {"format": FORMAT, "outputs": names})


def note_closed(folder: Path, part: str) -> None:
    """All workers have gone: what one of them moved into place, but did not get to describe, is removed."""
    path = _open_path(folder, part)
    unclear = [
        output for output in map(Path, _open_outputs(path)) if _is_there(output) and not sidecar.sidecar_path(output).exists()
    ]
    for output in unclear:
        if output.is_file():
            output.unlink()
    if not any(map(_is_there, unclear)):
        path.unlink(missing_ok=True)


def reopened(folder: Path, jobs: Sequence[Job]) -> list[Job]:
    """Jobs whose outputs a run that was killed had made, but not their sidecars, may be overwritten: they are ours.

    A kill between the two leaves a video of which nothing says what it is; without this it would be in the way for ever.
    """
    ours = _open_outputs(*_open_paths(folder))
    return [
        replace(job, overwrite=True)
        if str(job.output.absolute()) in ours and _is_there(job.output) and not sidecar.is_whole(job.output)
        else job
        for job in jobs
    ]


def _open_outputs(*paths: Path) -> set[str]:
    """Outputs that were not there when runs began that have not ended in order."""
    ours: set[str] = set()
    for path in paths:
        with suppress(OSError, ValueError, KeyError):
            ours.update(json.loads(path.read_text("utf-8"))["outputs"])
    return ours


def _is_there(output: Path) -> bool:
    return output.is_file() or bool(sidecar.sequence_files(output))


def _open_paths(folder: Path) -> list[Path]:
    """Of all runs and parts that were killed; what they name is looked at for the jobs of this run alone."""
    return [_open_path(folder, ""), *folder.glob(_open_path(folder, "*-of-*").name)]


def _open_path(folder: Path, part: str) -> Path:
    return folder / (f".dreamactor-open-{part}.json" if part else ".dreamactor-open.json")


def _read(path: Path) -> dict[str, Any]:
    """An earlier record; empty if there is none that can be used."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    usable = isinstance(found, dict) and found.get("format") == FORMAT and all(name in found for name in _OF_A_RUN)
    return found if usable else {}


def _write(path: Path, record: Mapping[str, Any]) -> None:
    with replacing(path) as beside:
        beside.write_text(json.dumps(record, ensure_ascii=True, indent=1, default=str) + "\n", "utf-8")
