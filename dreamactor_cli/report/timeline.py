"""The timeline of a run: a lane a worker, a bar a job, as numbers that the page draws."""

from __future__ import annotations

from dataclasses import dataclass

from dreamactor_cli.report.run_data import Input, JobRow, Run

WIDTH = 1000.0  # of the drawing, in its own units
LANE = 22.0
TOP = 22.0  # of the first lane, below the scale
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)  # s between marks
MARKS = 8  # at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One thing that a worker did.

    Attributes:
        x, y, width: in the drawing's units.
        kind: a `run_data.Mark`, or ``input``.
        job: its number; None of an input.
        title: what it was and how long it took.
    """

    x: float
    y: float
    width: float
    kind: str
    job: int | None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What is drawn.

    Attributes:
        lanes: y and name of each worker.
        marks: x and text of the scale.
        busy: share of the workers' time that they worked, 0..1.
    """

    height: float
    lanes: tuple[tuple[float, str], ...]
    bars: tuple[Bar, ...]
    marks: tuple[tuple[float, str], ...]
    busy: float


def timeline_of(run: Run) -> Timeline | None:
    """The timeline of the last run; None if nothing ran."""
    jobs, inputs = run.of_this_run, [one for one in run.inputs if one.started]
    if not jobs and not inputs:
        return None
    begin = min([*(job.started for job in jobs), *(one.started for one in inputs)])
    if run.started and run.started <= begin:
        begin = run.started
    end = max([*(job.started + job.took for job in jobs), *(one.started + one.seconds for one in inputs), begin + 0.1])
    names = sorted({*(job.worker for job in jobs), *(one.worker for one in inputs)})
    rows = {name: TOP + LANE * k for k, name in enumerate(names)}
    scale = WIDTH / (end - begin)
    bars = [*(_input_bar(one, rows, begin, scale) for one in inputs), *(_job_bar(job, rows, begin, scale) for job in jobs)]
    worked = sum(job.took for job in jobs) + sum(one.seconds for one in inputs)
    return Timeline(
        height=TOP + LANE * len(names),
        lanes=tuple((y, name or "here") for name, y in rows.items()),
        bars=tuple(bars),
        marks=_marks(end - begin, scale),
        busy=min(worked / ((end - begin) * len(names)), 1.0),
    )


def _job_bar(job: JobRow, rows: dict[str, float], begin: float, scale: float) -> Bar:
    title = f"{job.id}: {job.mark}, {duration(job.took)}" + (f", {job.frames} frames" if job.frames else "")
    return Bar(**_place(job.started, job.took, rows[job.worker], begin, scale), kind=job.mark, job=job.number, title=title)


def _input_bar(one: Input, rows: dict[str, float], begin: float, scale: float) -> Bar:
    kind = "failed" if one.failed else "input"
    title = f"measuring {one.name}: {duration(one.seconds)}, {one.frames} frames"
    return Bar(**_place(one.started, one.seconds, rows[one.worker], begin, scale), kind=kind, job=None, title=title)


def _place(started: float, took: float, y: float, begin: float, scale: float) -> dict[str, float]:
    return {"x": round((started - begin) * scale, 2), "y": y, "width": round(max(took * scale, 1.0), 2)}


def _marks(seconds: float, scale: float) -> tuple[tuple[float, str], ...]:
    step: float = next((s for s in STEPS if seconds / s <= MARKS), STEPS[-1])
    while seconds / step > MARKS:
        step *= 2
    return tuple((round(k * step * scale, 2), duration(k * step)) for k in range(int(seconds // step) + 1))


def duration(seconds: float) -> str:
    """Seconds as a person reads them: ``0.8 s``, ``42 s``, ``3:05``, ``2:03:05 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds != int(seconds) else f"{int(seconds)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"
