"""``report.html``: one page that holds all it needs, and that no browser lets load or send anything."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from dreamactor_cli.report.pictures import SECONDS, SECONDS_STOPPED, Shown, pictures
from dreamactor_cli.report.run_data import MARKS, JobRow, Run
from dreamactor_cli.report.timeline import Timeline, duration, timeline_of

if TYPE_CHECKING:
    from jinja2 import Template

HERE = Path(__file__).parent
STAGE_COLOURS = 5  # of the style sheet
ENDINGS = {"ok": "finished", "failed": "finished with failures", "stopped": "stopped", "running": "still running"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a job's bar.

    Attributes:
        x, width: in percent of the bar.
        colour: number of a colour of the style sheet.
    """

    name: str
    x: float
    width: float
    colour: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A job as the page shows it.

    Attributes:
        href: of the output, relative to the page; empty if it is not there.
        find: what a search looks at, in lower case.
        trouble: what is to be read first.
    """

    job: JobRow
    shown: Shown
    href: str
    find: str
    took: str
    speed: str
    stages: tuple[Stage, ...]
    trouble: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs with one kind of trouble.

    Attributes:
        mark: ``failed``, or ``warned`` for outputs that missed a quality gate.
    """

    mark: str
    code: str
    jobs: tuple[JobRow, ...]
    message: str
    retryable: bool


def page_html(run: Run) -> str:
    """The page."""
    limit = SECONDS_STOPPED if run.ending in ("stopped", "running") else SECONDS
    shown = pictures(run.jobs, page=run.folder / "report.html", seconds=limit)
    style, script = _asset("page.css"), _asset("page.js")
    names, timeline = _stage_names(run.jobs), timeline_of(run)
    return _template().render(
        run=run, style=style, script=script, style_hash=_hash(style), script_hash=_hash(script), title=run.folder.resolve().name,
        ending=ENDINGS.get(run.ending, ""), when=_when(run), tiles=_tiles(run), shares=_shares(run), groups=_groups(run.jobs),
        timeline=timeline, name_width=10 + 7 * max((len(name) for _, name in timeline.lanes), default=0) if timeline else 0,
        cards=[_card(job, run.folder, shown.get(job.number, Shown(None, None)), names) for job in run.jobs],
        marks=[(mark, run.count(mark)) for mark in MARKS],
    )  # fmt: skip


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(_asset("page.html.j2"))


def _asset(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _hash(text: str) -> str:
    """Of what stands in a ``<style>`` or ``<script>``, as a content security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _when(run: Run) -> str:
    return datetime.fromtimestamp(run.started).astimezone().strftime("%A %d %B %Y, %H:%M %Z") if run.started else ""


def _tiles(run: Run) -> list[tuple[str, str, str]]:
    """Figure, what it is, and a remark."""
    now = [job for job in run.of_this_run if job.mark != "failed"]
    frames = sum(job.frames for job in now)
    hits, timeline = sum(job.cache_hits for job in now), timeline_of(run)
    tiles = [
        (_grouped(len(run.jobs)), "jobs" if len(run.jobs) != 1 else "job", f"{run.left} not begun" if run.left else ""),
        (_grouped(frames), "frames", ""),
        (duration(run.wall), "wall time", _lanes(timeline)),
        (f"{frames / run.wall:.1f}" if run.wall and frames else "–", "frames/s", "of the whole run"),
        (_grouped(hits), "signals from the cache", f"{run.inputs_cached} inputs were there" if run.inputs_cached else ""),
    ]
    if run.inputs:
        tiles.append((_grouped(len(run.inputs)), "inputs measured", duration(sum(one.seconds for one in run.inputs))))
    return tiles


def _lanes(timeline: Timeline | None) -> str:
    if timeline is None:
        return ""
    count = len(timeline.lanes)
    return f"{count} worker{'s' if count > 1 else ''}, {timeline.busy:.0%} busy"


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _shares(run: Run) -> list[tuple[str, float, float]]:
    """Mark, begin and width in percent, of the bar that tells how it went."""
    counts = [*((str(mark), run.count(mark)) for mark in ("done", "warned", "skipped", "failed")), ("left", run.left)]
    total = sum(count for _, count in counts) or 1
    shares, x = [], 0.0
    for mark, count in counts:
        if count:
            shares.append((mark, round(x, 3), round(100 * count / total, 3)))
        x += 100 * count / total
    return shares


def _groups(jobs: Sequence[JobRow]) -> list[Group]:
    """Failures by their code, then what missed a gate by the gate, the most frequent first."""
    found: dict[tuple[str, str], list[tuple[JobRow, str, bool]]] = {}
    for job in jobs:
        if job.failure is not None:
            found.setdefault(("failed", job.failure.code), []).append((job, job.failure.message, job.failure.retryable))
        elif job.mark == "warned":
            for gate in job.gates:
                if not gate.passed:
                    found.setdefault(("warned", gate.name), []).append((job, gate.message, False))
    groups = [
        Group(
            mark=mark, code=code, jobs=tuple(row for row, _, _ in rows), message=rows[0][1],
            retryable=all(retryable for _, _, retryable in rows),
        )
        for (mark, code), rows in found.items()
    ]  # fmt: skip
    return sorted(groups, key=lambda group: (group.mark, -len(group.jobs)))


def _stage_names(jobs: Sequence[JobRow]) -> list[str]:
    """Stages in the order of how often they occur; their place is the number of their colour."""
    return [name for name, _ in Counter(stage for job in jobs for stage in job.seconds).most_common()]


def _card(job: JobRow, folder: Path, shown: Shown, stage_names: Sequence[str]) -> Card:
    failed = [f"{gate.name}: {gate.message}" for gate in job.gates if not gate.passed]
    trouble = [job.failure.message] if job.failure else []
    trouble += [text for text in dict.fromkeys((*failed, *job.warnings)) if not any(text in known for known in trouble)]
    href = _href(job.output, folder)
    if not href and job.mark != "failed" and str(job.output) != ".":
        trouble.append(f"{job.output.name} is no longer there")
    words = (job.id, *job.drivers, *(path.name for path in job.references), job.output.name, job.worker, *trouble, job.mark)
    code = job.failure.code if job.failure else ""
    return Card(
        job=job, shown=shown, href=href, find=" ".join((*words, code)).lower(), took=duration(job.took) if job.took else "",
        speed=f"{job.speed:.1f}" if job.speed else "", stages=_stages(job, stage_names), trouble=tuple(trouble),
    )  # fmt: skip


def _stages(job: JobRow, names: Sequence[str]) -> tuple[Stage, ...]:
    stages, x = [], 0.0
    for name, took in job.seconds.items():
        width = 100 * took / job.took if job.took else 0.0
        colour = names.index(name) % STAGE_COLOURS
        stages.append(Stage(name=name, x=round(x, 2), width=round(width, 2), colour=colour, text=duration(took)))
        x += width
    return tuple(stages)


def _href(output: Path, folder: Path) -> str:
    """Link from the page to an output; empty for what is not there."""
    if not output.name or not os.path.lexists(output):
        return ""
    return "./" + quote(os.fsencode(os.path.relpath(output.absolute(), folder.absolute())))
