"""``dreamactor animate``: a picture moves by a video, a controls file or a built-in motion."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dreamactor_cli.commands import options as o
from dreamactor_cli.commands.sampling import NOT_GIVEN, Sampling, with_sampling_options
from dreamactor_cli.console import Console
from dreamactor_cli.job_options import job_name, seconds

if TYPE_CHECKING:
    from dreamactor_cli.contracts import Job, RenderResult


@with_sampling_options
def animate(
    context: typer.Context,
    source: o.Source,
    driving: o.Driving,
    output: o.Output = None,
    preset: o.PresetName = "default",
    start: o.Start = None,
    duration: o.Duration = None,
    subject: o.Subject = None,
    region: o.Region = None,
    motion: o.MotionMode = None,
    anchor: o.Anchor = None,
    expression_scale: o.ExpressionScale = None,
    smoothing: o.Smoothing = None,
    bone_length: o.BoneLength = None,
    skeleton: o.Skeleton = None,
    sampling: Sampling = NOT_GIVEN,
    size: o.Size = None,
    fps: o.Fps = None,
    background: o.Background = None,
    mouth: o.Mouth = None,
    relight: o.Relight = None,
    crf: o.Crf = None,
    side_by_side: o.SideBySide = False,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    workers: o.Workers = None,
    overwrite: o.Overwrite = False,
    credentials: o.Credentials = None,
    key: o.Key = None,
) -> None:
    """Animate a picture of a person by the motion of a video."""
    from dreamactor_cli.contracts import Job
    from dreamactor_cli.presets import load_preset, merge

    overrides = {
        **sampling, "bone_length": bone_length, "size": size, "fps": fps, "region": region, "motion": motion, "anchor": anchor,
        "expression_scale": expression_scale, "smoothing": smoothing, "background": background, "mouth": mouth,
        "relight": relight, "crf": crf,
    }  # fmt: skip
    name = job_name(source[0], driving)
    job = Job(
        id=name,
        references=tuple(source),
        driving=driving,
        output=output or Path(f"{name}.mp4"),
        preset=merge(load_preset(preset), overrides),
        seed=seed,
        start=seconds("--start", start) or Fraction(0),
        duration=seconds("--duration", duration),
        subject=subject,
        side_by_side=side_by_side,
        overwrite=overwrite,
        skeleton=skeleton,
        credentials=credentials,
        key=key,
    )
    run(context.obj, job, workers=workers, device=device)


def run(console: Console, job: Job, *, workers: int | None = None, device: str = "auto") -> RenderResult:
    """Run one job, show its progress and tell its result."""
    from dreamactor_cli.pipeline import Means, run_job
    from dreamactor_cli.renderers.needs import choose_device
    from dreamactor_cli.results import record

    means = Means(device=choose_device(job.preset, device), workers=workers)
    began = time.perf_counter()
    with console.progress() as on_progress:
        result = run_job(job, cache=console.cache(), on_progress=on_progress, means=means)
    for warning in result.warnings:
        console.warn(warning)
    if result.status == "skipped":
        console.note(f"{result.output} is this very result already; --overwrite makes it again")
    else:
        total = time.perf_counter() - began  # the stages overlap
        spent = ", ".join(f"{stage} {took:.1f} s" for stage, took in result.seconds.items())
        console.note(f"{result.frames} frames in {total:.1f} s ({spent})")
    console.result(str(result.output), record(result))
    return result
