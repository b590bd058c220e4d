"""``dreamactor doctor``: what of the environment is there, what is missing, and the command that mends it."""

from __future__ import annotations

import typer

from dreamactor_cli.errors import MissingRequirement

MARKS = {"ok": "ok", "note": "--", "missing": "!!"}


def doctor(context: typer.Context) -> None:
    """Say what of the environment is there and what is missing."""
    from dreamactor_cli.environment import examine

    console = context.obj
    findings = examine(console.cache_dir)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mend = f"  -> {finding.mend}" if finding.mend and finding.state != "ok" else ""
        line = f"{MARKS[finding.state]}  {finding.name:<{width}}  {finding.detail}{mend}"
        console.result(line, {"name": finding.name, "state": finding.state, "detail": finding.detail, "mend": finding.mend})
    missing = [finding for finding in findings if finding.state == "missing"]
    if missing:
        names = ", ".join(finding.name for finding in missing)
        raise MissingRequirement(f"cannot render without: {names}", missing[0].mend)
    console.note("everything that the geometry renderer needs is there")
