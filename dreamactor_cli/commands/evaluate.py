"""``dreamactor evaluate``: the quality gates on a video that is there."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from dreamactor_cli.commands import options as o
from dreamactor_cli.errors import JobFailed
from dreamactor_cli.job_options import seconds


def evaluate(
    context: typer.Context,
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", show_default=False, help="A video, or a folder of PNG files.")],
    driving: o.Driving,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", "-s", metavar="IMAGE", help="The picture that was animated; without it, no identity."),
    ] = None,
    start: o.Start = None,
    duration: o.Duration = None,
    subject: o.Subject = None,
    workers: o.Workers = None,
) -> None:
    """Measure a result: frames, sound, frozen and black frames, person, identity, colours, jumps.

    How it was rendered is read from the sidecar beside it, if there is one. Exits with 1 if a gate fails.
    """
    from dataclasses import asdict

    from dreamactor_cli.contracts import Job, RenderResult
    from dreamactor_cli.evaluation.asked import asked_of
    from dreamactor_cli.evaluation.quality import check

    console = context.obj
    preset, side_by_side = asked_of(output)
    job = Job(
        id=output.stem, references=(reference,) if reference else (), driving=driving, output=output, preset=preset,
        start=seconds("--start", start) or Fraction(0), duration=seconds("--duration", duration), subject=subject,
        side_by_side=side_by_side,
    )  # fmt: skip
    findings = check(job, RenderResult(id=job.id, status="ok", output=output), cache=console.cache(), workers=workers)
    for found in findings:
        measured = f"{found.value:g} of at most {found.limit:g} {found.unit}".rstrip()
        line = f"{'ok' if found.passed else '!!'}  {found.gate:<14}  {measured}" + (f"  {found.message}" if found.message else "")
        console.result(line, asdict(found))
    failed = [found for found in findings if not found.passed]
    if failed:
        raise JobFailed(f"{output} fails {', '.join(found.gate for found in failed)}", failed[0].message)
