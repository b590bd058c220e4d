"""``dreamactor render``: all rows of a manifest, on one machine or on many."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamactor_cli import nearest
from dreamactor_cli.commands import options as o
from dreamactor_cli.commands.sampling import NOT_GIVEN, Sampling, with_sampling_options
from dreamactor_cli.console import Console
from dreamactor_cli.errors import DiskFull, JobFailed, ManifestError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dreamactor_cli.contracts import Job
    from dreamactor_cli.executors.settings import Settings
    from dreamactor_cli.run import Rules, RunSummary

GATES = ("off", "warn", "fail")
MOST_PROBLEMS = 20  # of a manifest that are listed
PARTS = 8  # of a job on a farm, if nobody says otherwise
NOT_OF_A_PART = ("manifest", "output", "emit", "parts", "shard", "dry_run", "openjd", "cache_dir", "json_")

_Manifest = Annotated[
    str, typer.Argument(metavar="MANIFEST|-", help="A table (.csv .tsv .jsonl), or - for stdin.", show_default=False)
]
_Folder = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the outputs go.", show_default=False)]
_Product = Annotated[bool, typer.Option("--product", help="Cross every picture with every driver.")]
_Preset = Annotated[str | None, typer.Option("--preset", metavar="NAME", help="See `dreamactor presets list`.")]
_Seed = Annotated[int | None, typer.Option("--seed", min=0, metavar="N", help="Of whatever is random.")]
_SideBySide = Annotated[bool | None, typer.Option("--side-by-side", help="Show reference, driver and result in one picture.")]
_Overwrite = Annotated[bool | None, typer.Option("--overwrite", help="Replace what is there.")]
_Executor = Annotated[str, typer.Option("--executor", metavar="pool|inprocess|ray", help="Who does the work.")]
_Devices = Annotated[
    str | None, typer.Option("--devices", metavar="LIST", help="One worker a device: 0,1 or auto [default: cpu].")
]
_Address = Annotated[str, typer.Option("--ray-address", metavar="ADDRESS", help="Of the cluster for --executor ray.")]
_Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Do part I of N alone [default: as Slurm arrays, torchrun or srun say]."),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
_Emit = Annotated[
    str | None, typer.Option("--emit", metavar="slurm|openjd", help="Write the job template of a farm to stdout, and do nothing.")
]
_Parts = Annotated[
    int | None, typer.Option("--parts", min=1, max=1000, metavar="N", help="Of --emit: tasks of the job [default: 8].")
]
_Retries = Annotated[
    int, typer.Option("--retries", min=0, max=10, metavar="N", help="More tries after a lost worker, a hang or lack of memory.")
]
_Timeout = Annotated[float | None, typer.Option("--timeout", min=1, metavar="SECONDS", help="After which a job counts as hung.")]
_FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failure.")]
_MaxFailures = Annotated[int | None, typer.Option("--max-failures", min=1, metavar="N", help="Stop after so many failures.")]
_Qc = Annotated[str, typer.Option("--qc", metavar="off|warn|fail", help="Measure every output, and warn or fail.")]
_Wait = Annotated[bool, typer.Option("--wait", help="Wait for another run in the same folder to end.")]
_OpenJD = Annotated[bool, typer.Option("--openjd", help="Write OpenJD's progress lines [default: where OpenJD tells of itself].")]


@with_sampling_options
def render(
    context: typer.Context,
    manifest: _Manifest,
    output: _Folder,
    product: _Product = False,
    preset: _Preset = None,
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
    side_by_side: _SideBySide = None,
    seed: _Seed = None,
    overwrite: _Overwrite = None,
    credentials: o.Credentials = None,
    key: o.Key = None,
    executor: _Executor = "pool",
    workers: o.Workers = None,
    devices: _Devices = None,
    ray_address: _Address = "auto",
    shard: _Shard = None,
    dry_run: _DryRun = False,
    emit: _Emit = None,
    parts: _Parts = None,
    retries: _Retries = 1,
    timeout: _Timeout = None,
    fail_fast: _FailFast = False,
    max_failures: _MaxFailures = None,
    qc: _Qc = "off",
    wait: _Wait = False,
    openjd: _OpenJD = False,
) -> None:
    """Render all rows of a manifest; run it again to go on where it was stopped."""
    console: Console = context.obj
    overrides = {
        "preset": preset, "start": start, "duration": duration, "subject": subject, "region": region, "motion": motion,
        "anchor": anchor, "expression_scale": expression_scale, "smoothing": smoothing, "size": size, "fps": fps, "crf": crf,
        "background": background, "mouth": mouth, "relight": relight, "side_by_side": side_by_side, "seed": seed, "key": key,
        "overwrite": overwrite, "credentials": credentials, "bone_length": bone_length, "skeleton": skeleton, **sampling,
    }  # fmt: skip
    if qc not in GATES:
        raise UsageError(f"--qc {qc} is unknown", nearest.hint(qc, GATES))
    jobs = _load(console, manifest, output, overrides, product)
    if emit is not None:
        _emit(context, emit, manifest, output, min(parts or PARTS, len(jobs)))
        return
    settings = _settings(devices, workers, timeout, ray_address)
    if dry_run:
        _dry_run(console, jobs, output, shard, settings)
        return
    from dreamactor_cli.run import Rules

    # Whoever says cpu means it, and a cluster has devices of its own.
    gpu = bool(settings.devices) or devices == "cpu" or executor == "ray"
    rules = Rules(retries=retries, max_failures=1 if fail_fast else max_failures, gate=qc, wait=wait, gpu=gpu)  # type: ignore[arg-type]
    summary = _run(console, jobs, output, executor, settings, rules, shard, openjd)
    _conclude(console, summary, output)


def _load(console: Console, manifest: str, output: Path, overrides: Mapping[str, object], product: bool) -> tuple[Job, ...]:
    """The jobs of a manifest; all that is wrong with it is told, line by line."""
    from dreamactor_cli.manifest import load_manifest

    source = None if manifest == "-" else Path(manifest)
    try:
        return load_manifest(source, folder=output, overrides=overrides, product=product)
    except ManifestError as error:
        for problem in error.problems[:MOST_PROBLEMS]:
            console.warn(problem)
        if len(error.problems) > MOST_PROBLEMS:
            console.warn(f"and {len(error.problems) - MOST_PROBLEMS} more")
        raise


def _settings(devices: str | None, workers: int | None, timeout: float | None, address: str) -> Settings:
    from dreamactor_cli.executors.devices import find_devices
    from dreamactor_cli.executors.settings import Settings

    found = find_devices(devices, os.environ)
    if found and workers:
        raise UsageError("--devices and --workers go against each other", "a device has one worker; give one of the two")
    return Settings(devices=found, workers=workers, timeout=timeout, address=address)


def _dry_run(console: Console, jobs: Sequence[Job], output: Path, shard: str | None, settings: Settings) -> None:
    """Say what would be done."""
    from dreamactor_cli.commands.plan_view import show_plan
    from dreamactor_cli.executors.shard import find_shard
    from dreamactor_cli.plan import make_plan
    from dreamactor_cli.run_record import reopened

    part = find_shard(shard, os.environ)
    with console.progress() as on_progress:
        plan = make_plan(
            reopened(output, part.take(jobs)), cache=console.cache(), workers=settings.count,
            on_progress=lambda done, total: on_progress("plan", done, total),
        )  # fmt: skip
    show_plan(plan, console, part=str(part) if part.count > 1 else "")


def _emit(context: typer.Context, farm: str, manifest: str, output: Path, parts: int) -> None:
    """Write the job template of a farm."""
    from dreamactor_cli.cache import ENVIRONMENT
    from dreamactor_cli.commands.given import given_options
    from dreamactor_cli.emit import EmitRequest, emit

    if manifest == "-":
        raise UsageError("--emit needs a manifest that the farm's machines can read", "name a file")
    named = context.obj.cache_dir or os.environ.get(ENVIRONMENT)
    request = EmitRequest(
        program=(sys.executable, "-m", "dreamactor_cli"), manifest=Path(manifest).absolute(), folder=output.absolute(),
        here=Path.cwd(), parts=parts, options=tuple(given_options(context, without=NOT_OF_A_PART)),
        cache=Path(named).absolute() if named else None,
    )  # fmt: skip
    context.obj.result(emit(farm, request).rstrip("\n"), {"farm": farm, "template": emit(farm, request)})


def _run(
    console: Console,
    jobs: Sequence[Job],
    output: Path,
    executor: str,
    settings: Settings,
    rules: Rules,
    shard: str | None,
    openjd: bool,
) -> RunSummary:
    from dreamactor_cli.executors import load_executor
    from dreamactor_cli.executors.shard import find_shard
    from dreamactor_cli.live import shown
    from dreamactor_cli.run import run_manifest

    part = find_shard(shard, os.environ)
    with shown(console, os.environ, openjd=openjd) as on_event:
        return run_manifest(
            jobs, folder=output, cache=console.cache(), executor=load_executor(executor, settings), rules=rules, shard=part,
            on_event=on_event,
        )  # fmt: skip


def _conclude(console: Console, summary: RunSummary, output: Path) -> None:
    """Say what became of the run; it is an error if jobs failed.

    Raises:
        DiskFull: nothing else went wrong.
        JobFailed: jobs failed, or were not begun.
    """
    report = output / "report.html"
    total = summary.rendered + summary.skipped + summary.failed + summary.left
    record = {"event": "ended", **asdict(summary), "errors": sorted(summary.errors), "report": str(report)}
    if console.json:
        console.result("", record)
    if not summary.failed and not summary.left:
        done = f", {summary.skipped} were done already" if summary.skipped else ""
        console.note(f"all {total} jobs done: {summary.rendered} rendered{done}; see {report}")
        return
    left = f", {summary.left} not begun" if summary.left else ""
    what = f"{summary.failed} of {total} jobs failed{left}"
    if summary.errors == {"disk"}:
        raise DiskFull(f"the disk is full: {what}", "make room and run the same command again to go on")
    raise JobFailed(what, f"see {report}, mend what can be mended, and run the same command again")
