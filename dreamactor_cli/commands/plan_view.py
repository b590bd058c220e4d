"""A plan for people and for programs: what ``dreamactor render --dry-run`` says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dreamactor_cli.commands.cache import size_text
from dreamactor_cli.console import Console, printable
from dreamactor_cli.live import planned_line

if TYPE_CHECKING:
    from rich.table import Table

    from dreamactor_cli.plan import Extraction, Plan, PlannedJob

MOST_ROWS = 30  # of a table on a terminal; elsewhere, and with --verbose, all are listed
_STYLES = {"todo": "", "done": "green", "refused": "bold red"}


def show_plan(plan: Plan, console: Console, *, part: str = "") -> None:
    """Tell a plan on stdout: JSON objects with ``--json``, tables on a terminal, plain lines elsewhere.

    Args:
        part: which part of the manifest it is, like ``"1/4"``; empty is the whole.
    """
    if console.json or not sys.stdout.isatty():
        for extraction in plan.extractions:
            console.result(_extraction_line(extraction), _extraction_record(extraction))
        for planned in plan.jobs:
            console.result(_job_line(planned), _job_record(planned))
        console.result(_summary(plan, part), {"kind": "plan", "part": part, **plan_totals(plan)})
    else:
        _print_tables(plan, None if console.verbose else MOST_ROWS)
        console.result(_summary(plan, part), {})


def plan_totals(plan: Plan) -> dict[str, Any]:
    """The figures of a plan."""
    return {
        "jobs": len(plan.jobs), "todo": plan.count("todo"), "done": plan.count("done"), "refused": plan.count("refused"),
        "inputs": len(plan.extractions), "cached": sum(one.cached for one in plan.extractions),
        "frames": sum(planned.frames for planned in plan.jobs), "workers": plan.workers, "seconds": round(plan.seconds, 1),
        "bytes": plan.bytes,
    }  # fmt: skip


def _summary(plan: Plan, part: str) -> str:
    frames = sum(planned.frames for planned in plan.jobs)
    whole = f"part {part}: " if part else ""
    workers = f"{plan.workers} {'worker' if plan.workers == 1 else 'workers'}"
    return f"{whole}{planned_line(plan)} with {workers}; {frames} frames, {size_text(plan.bytes)}"


def _job_line(planned: PlannedJob) -> str:
    why = f"  {planned.error.message}" if planned.error else ""
    frames = f"  {planned.frames} frames" if planned.frames else ""
    return printable(f"{planned.state:<8}{planned.job.id}  {planned.job.output}{frames}{why}")


def _extraction_line(extraction: Extraction) -> str:
    return printable(f"{_need(extraction):<8}{extraction.kind} {extraction.path}  {_frames(extraction)}".rstrip())


def _need(extraction: Extraction) -> str:
    return "cached" if extraction.cached else "extract"


def _frames(extraction: Extraction) -> str:
    return f"{extraction.frames} frames, {','.join(extraction.signals)}" if extraction.signals else ""


def _job_record(planned: PlannedJob) -> dict[str, Any]:
    job, error = planned.job, planned.error
    return {
        "kind": "job", "id": job.id, "state": planned.state, "output": str(job.output), "frames": planned.frames,
        "width": planned.width, "height": planned.height, "fingerprint": planned.fingerprint,
        "error": {"code": error.code, "message": error.message, "exit_code": error.exit_code} if error else None,
    }  # fmt: skip


def _extraction_record(extraction: Extraction) -> dict[str, Any]:
    return {
        "kind": "input", "path": str(extraction.path), "type": extraction.kind, "signals": list(extraction.signals),
        "start": str(extraction.start), "duration": None if extraction.duration is None else str(extraction.duration),
        "subject": extraction.subject, "frames": extraction.frames, "cached": extraction.cached,
    }  # fmt: skip


def _print_tables(plan: Plan, most: int | None) -> None:
    """What is refused stands first, and what is done last."""
    from rich.console import Console as RichConsole

    screen = RichConsole()
    if plan.extractions:
        missing_first = sorted(plan.extractions, key=lambda one: one.cached)
        needs = [(_need(one), one.kind, one.path.name, _frames(one)) for one in missing_first]
        screen.print(_table("inputs", ("", "kind", "file", "what"), needs, most))
    order = ("refused", "todo", "done")
    jobs = sorted(plan.jobs, key=lambda planned: order.index(planned.state))
    rows = [
        (one.state, one.job.id, str(one.frames or ""), one.error.message if one.error else str(one.job.output)) for one in jobs
    ]
    screen.print(_table("jobs", ("", "id", "frames", "output"), rows, most))


def _table(title: str, columns: Sequence[str], rows: Sequence[tuple[str, str, str, str]], most: int | None) -> Table:
    from rich.table import Table
    from rich.text import Text

    left = len(rows) - len(rows[:most])
    table = Table(title=title, title_justify="left", caption=f"and {left} more; --verbose lists all" if left else None)
    for name in columns:
        table.add_column(name, justify="right" if name == "frames" else "left", overflow="fold")
    for row in rows[:most]:
        table.add_row(*(Text(printable(cell)) for cell in row), style=_STYLES.get(row[0]))
    return table
