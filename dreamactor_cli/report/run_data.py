"""A run as the reports tell it, read from what lies in its folder. Nothing in those files is trusted to be well-formed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dreamactor_cli import results

Mark = Literal["failed", "warned", "done", "skipped"]
MARKS: tuple[Mark, ...] = ("failed", "warned", "done", "skipped")  # the worst first
LAST_MOMENT = 253402300799.0 - 1e9  # the year 9999 is near
SLACK = 1.0  # s by which clocks of workers may be off


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job failed; see `contracts.JobError`."""

    code: str
    type: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a quality gate found; see `contracts.Finding`."""

    name: str
    passed: bool
    value: float
    limit: float
    unit: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """The last result of one job.

    Attributes:
        number: in the order in which jobs first appear.
        drivers: video, controls or motion, and sound.
        mark: ``warned`` is done, with warnings or gates that failed.
        seconds: of each stage.
        started: unix time, s; 0 if it never ran.
        worker: with the part of the run, if there are several.
    """

    number: int
    id: str
    mark: Mark
    kind: str
    references: tuple[Path, ...]
    drivers: tuple[str, ...]
    output: Path
    frames: int
    seconds: Mapping[str, float]
    cache_hits: int
    device: str
    warnings: tuple[str, ...]
    failure: Failure | None
    gates: tuple[Gate, ...]
    started: float
    worker: str
    attempts: int
    sha256: str
    fingerprint: str

    @property
    def took(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())

    @property
    def speed(self) -> float:
        """Frames a second of rendering; 0 if unknown."""
        render = self.seconds.get("render", 0.0)
        return self.frames / render if render > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An input that was measured before the rendering."""

    name: str
    failed: bool
    frames: int
    started: float
    seconds: float
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All that the reports tell.

    Attributes:
        started, ended: of the last run in this folder, unix time, s; 0 if unknown.
        ending: ``ok``, ``failed``, ``stopped``, ``running`` or empty.
        planned: jobs that were asked for; 0 if unknown.
        inputs: measured in the last run; ``inputs_cached`` were there already.
    """

    folder: Path
    jobs: tuple[JobRow, ...]
    started: float
    ended: float
    ending: str
    command: tuple[str, ...]
    version: str
    workers: int
    planned: int
    inputs: tuple[Input, ...]
    inputs_cached: int

    def count(self, mark: Mark) -> int:
        """Jobs with a mark."""
        return sum(job.mark == mark for job in self.jobs)

    @property
    def left(self) -> int:
        """Jobs that nothing is known of."""
        return max(self.planned - len(self.jobs), 0)

    @property
    def wall(self) -> float:
        """Seconds from start to end."""
        return max(self.ended - self.started, 0.0)

    @property
    def of_this_run(self) -> tuple[JobRow, ...]:
        """Jobs that a worker had in the last run; those of earlier ones if it had none."""
        now = tuple(job for job in self.jobs if job.started and job.started >= self.started - SLACK)
        return now or tuple(job for job in self.jobs if job.started)


def read_run(folder: Path) -> Run:
    """Read ``results.jsonl``, the files of parts, and ``run.json``."""
    jobs = _jobs(folder)
    about = _about(folder / "run.json")
    ran = [job for job in jobs if job.started]
    started = _moment(about.get("started")) or min((job.started for job in ran), default=0.0)
    ended = _moment(about.get("ended")) or max((job.started + job.took for job in ran), default=started)
    plan = about.get("plan") if isinstance(about.get("plan"), dict) else {}
    assert isinstance(plan, dict)
    command = about.get("command")
    inputs = about.get("inputs")
    return Run(
        folder=folder, jobs=jobs, started=started, ended=max(ended, started), ending=_text(about.get("ending")),
        command=tuple(map(_text, command)) if isinstance(command, list) else (), version=_text(about.get("version")),
        workers=int(_number(about.get("workers"))), planned=int(_number(plan.get("jobs"))),
        inputs=tuple(_input(one) for one in inputs if isinstance(one, dict)) if isinstance(inputs, list) else (),
        inputs_cached=int(_number(plan.get("cached"))),
    )  # fmt: skip


def _jobs(folder: Path) -> tuple[JobRow, ...]:
    rows: dict[str, JobRow] = {}
    for part, line in _lines(folder):
        id_ = _text(line["id"])
        number = rows[id_].number if id_ in rows else len(rows)
        rows[id_] = _job(line, id_, number, part, folder)
    return tuple(rows.values())


def _lines(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Result lines with the part of the run that wrote them, oldest first."""
    parts = sorted(folder.glob(results.PARTS))
    for path in parts or [folder / results.NAME]:
        part = path.stem.removeprefix("results").strip("-").partition("-")[0]
        for line in results.read(path):
            yield part, line


def _job(line: Mapping[str, Any], id_: str, number: int, part: str, folder: Path) -> JobRow:
    warnings = tuple(map(_text, line["warnings"])) if isinstance(line.get("warnings"), list) else ()
    gates = tuple(_gate(one) for one in line["quality"] if isinstance(one, dict)) if isinstance(line.get("quality"), list) else ()
    failure = _failure(line.get("error"))
    status = line.get("status")
    bad = bool(warnings) or any(not gate.passed for gate in gates)
    mark: Mark = "failed" if failure or status == "failed" else "skipped" if status == "skipped" else "warned" if bad else "done"
    if mark == "failed" and failure is None:
        failure = Failure(code="unknown", type="", message="it failed, and nothing says why", retryable=True)
    seconds = line.get("seconds")
    references = line.get("references")
    worker = _text(line.get("worker"))
    return JobRow(
        number=number, id=id_, mark=mark, kind=_text(line.get("kind")) or "animate",
        references=tuple(Path(_text(one)) for one in references) if isinstance(references, list) else (),
        drivers=tuple(filter(None, (_text(line.get("driving")), _text(line.get("audio"))))),
        output=_found(Path(_text(line.get("output"))), folder), frames=int(_number(line.get("frames"))),
        seconds={_text(stage): _number(took) for stage, took in seconds.items()} if isinstance(seconds, dict) else {},
        cache_hits=int(_number(line.get("cache_hits"))), device=_text(line.get("device")), warnings=warnings, failure=failure,
        gates=gates, started=_moment(line.get("started")), worker=f"part {part} · {worker}" if part and worker else worker,
        attempts=max(int(_number(line.get("attempts"))), 1), sha256=_text(line.get("sha256")),
        fingerprint=_text(line.get("fingerprint")),
    )  # fmt: skip


def _found(output: Path, folder: Path) -> Path:
    """Where an output lies now: a run may name it from where it was started, and its folder may have been moved."""
    if not output.name:
        return output
    return next((path for path in (output, folder / output.name) if os.path.lexists(path)), output)


def _failure(error: object) -> Failure | None:
    if not isinstance(error, Mapping):
        return None
    return Failure(
        code=_text(error.get("code")) or "failed", type=_text(error.get("type")), message=_text(error.get("message")),
        retryable=error.get("retryable") is True,
    )  # fmt: skip


def _gate(found: Mapping[str, Any]) -> Gate:
    return Gate(
        name=_text(found.get("gate")), passed=found.get("passed") is True, value=_number(found.get("value")),
        limit=_number(found.get("limit")), unit=_text(found.get("unit")), message=_text(found.get("message")),
    )  # fmt: skip


def _input(one: Mapping[str, Any]) -> Input:
    return Input(
        name=Path(_text(one.get("path"))).name, failed=one.get("status") == "failed", frames=int(_number(one.get("frames"))),
        started=_moment(one.get("started")), seconds=_number(one.get("seconds")), worker=_text(one.get("worker")),
    )  # fmt: skip


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _moment(value: object) -> float:
    """Unix time that a calendar can hold; 0 for what is none."""
    number = _number(value)
    return number if number < LAST_MOMENT else 0.0


def _number(value: object) -> float:
    """The number, 0 for what is none, is not finite or is negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0
