"""``dreamactor extract``: the control signals of videos and pictures as files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from dreamactor_cli import nearest
from dreamactor_cli.commands import options as o
from dreamactor_cli.console import Console, OnProgress
from dreamactor_cli.endings import failure_record
from dreamactor_cli.errors import DreamActorError, JobFailed, Stopped, UsageError
from dreamactor_cli.job_options import seconds

if TYPE_CHECKING:
    from dreamactor_cli.contracts import ControlStream

SIGNALS = ("face", "head", "body", "hands", "matte")
ON_DEMAND = ("appearance",)  # the driver's pixels: only where they are named
SUFFIXES = {"controls": ".controls.safetensors", "csv": ".csv", "bvh": ".bvh", "json": ".skeleton.json"}
STILL_FPS = Fraction(25)  # a picture has no rate; a file of controls needs one


class _Request(NamedTuple):
    """What is asked of every source."""

    signals: tuple[str, ...]
    format: str
    start: Fraction
    duration: Fraction | None
    subject: int | None
    workers: int | None
    preview: Path | None


def extract(
    context: typer.Context,
    source: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Videos and pictures.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR|FILE", help="Where to write; here if not given.")
    ] = None,
    signals: Annotated[
        str | None,
        typer.Option(
            "--signals", metavar="LIST", help="What to look for [default: face,head,body,hands,matte as far as needed]."
        ),
    ] = None,
    format_: Annotated[
        str,
        typer.Option("--format", metavar="controls|csv|bvh|json", help="Form of the file; json is the skeleton of a picture."),
    ] = "controls",
    preview: Annotated[
        Path | None, typer.Option("--preview", metavar="FILE", help="Also draw what was found over the clip, into this video.")
    ] = None,
    start: o.Start = None,
    duration: o.Duration = None,
    subject: o.Subject = None,
    workers: o.Workers = None,
) -> None:
    """Find face, head, body, hands and matte in videos or pictures and write them to files."""
    console: Console = context.obj
    request = _Request(
        signals=_signals(signals, format_, drawn=preview is not None),
        format=format_,
        start=seconds("--start", start) or Fraction(0),
        duration=seconds("--duration", duration),
        subject=subject,
        workers=workers,
        preview=preview,
    )
    targets = _targets(source, output, request)
    for written in (*targets, preview):
        if written is not None and written.resolve() in {path.resolve() for path in source}:
            raise UsageError(f"{written} is a source itself", "name another file to write")
    failed = 0
    for path, target in zip(source, targets, strict=True):
        try:
            found = _extract_one(console, path, target, request)
        except Stopped:
            raise
        except DreamActorError as error:
            if len(source) == 1:
                raise
            failed += 1
            console.warn(f"error[{error.code}]: {error}")
            console.result("", {"source": str(path), **failure_record(error)})
        else:
            console.result(str(target or preview), found)
    if failed:
        raise JobFailed(f"{failed} of {len(source)} sources failed", "see the messages above")


def _signals(text: str | None, format_: str, *, drawn: bool) -> tuple[str, ...]:
    """The signals to look for: those that are named, and those that the form of the file needs; all for a preview."""
    if format_ not in SUFFIXES:
        raise UsageError(f"--format {format_} is unknown", nearest.hint(format_, SUFFIXES))
    needed = {"csv": ("face", "head"), "bvh": ("body",), "json": ("body", "hands"), "controls": SIGNALS}[format_]
    if text is None:
        return SIGNALS if drawn else needed
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in SIGNALS + ON_DEMAND:
            raise UsageError(f"--signals names the unknown signal {name!r}", nearest.hint(name, SIGNALS + ON_DEMAND))
    return tuple(name for name in SIGNALS + ON_DEMAND if name in names or (format_ != "controls" and name in needed))


def _targets(sources: list[Path], output: Path | None, request: _Request) -> list[Path | None]:
    """The file to write for each source; None where only a preview is asked for."""
    suffix = SUFFIXES[request.format]
    if request.preview and len(sources) > 1:
        raise UsageError("--preview takes one source", "name one clip, or run once for each")
    if output is None:
        return [None] if request.preview else [Path(f"{path.stem}{suffix}") for path in sources]
    # A folder that is there, or whose name has no suffix or ends with a slash, is one; a name with a suffix is the file.
    is_file = bool(output.suffix) and not output.is_dir()
    if is_file and len(sources) > 1:
        raise UsageError(f"-o {output} is one file for {len(sources)} sources", "name a folder")
    targets = [output] if is_file else [output / f"{path.stem}{suffix}" for path in sources]
    if len({target.resolve() for target in targets}) < len(targets):
        raise UsageError("two sources have the same name", "extract them into two folders")
    return [*targets]


def _extract_one(console: Console, path: Path, target: Path | None, request: _Request) -> dict[str, object]:
    """Extract, write and draw one source; what was found, for ``--json``."""
    from dreamactor_cli.media import is_video

    with console.progress() as on_progress:
        if is_video(path):
            if request.format == "json":
                raise UsageError(
                    f"{path} is a video: --format json is the skeleton of a picture", "take --format controls or bvh"
                )
            stream, about = _clip(console, path, request, on_progress)
        else:
            stream, about = _picture(path, skeleton=request.format == "json")
        if target is not None:
            about["warnings"] += _write(target, stream, request.format)
        if request.preview is not None:
            from dreamactor_cli.preview import write_preview

            write_preview(path, stream, request.preview, start=request.start, on_progress=on_progress)
    for warning in about["warnings"]:
        console.warn(f"{path}: {warning}")
    size = {"frames": stream.num_frames, "fps": str(stream.fps), "width": stream.width, "height": stream.height}
    shown = f"{path}: {stream.num_frames} frames, {', '.join(about['signals'])}"
    console.note(f"{shown}; {about['cache_hits']} signals from the cache, {about['seconds']:.1f} s")
    files = {"output": target and str(target), "preview": request.preview and str(request.preview)}
    return {"status": "ok", "source": str(path), **files, **size, **about}


def _clip(console: Console, path: Path, request: _Request, on_progress: OnProgress) -> tuple[ControlStream, dict[str, Any]]:
    from dreamactor_cli.controls.extract import extract_controls

    found = extract_controls(
        path, signals=request.signals, cache=console.cache(), start=request.start, duration=request.duration,
        subject=request.subject, workers=request.workers,
        on_progress=lambda done, total: on_progress("extract", done, total),
    )  # fmt: skip
    if found.scene_cuts:
        console.note(f"{path}: scene cuts before the frames {', '.join(map(str, found.scene_cuts))}")
    about = {"signals": list(found.stream.signals), "cache_hits": found.cache_hits, "seconds": found.seconds}
    return found.stream, {
        **about, "warnings": list(found.warnings), "scene_cuts": list(found.scene_cuts), "source_sha256": found.source_sha256
    }  # fmt: skip


def _picture(path: Path, *, skeleton: bool) -> tuple[ControlStream, dict[str, Any]]:
    """Signals of a picture; of one whose skeleton is wanted, nobody need be found."""
    import time
    from dataclasses import replace

    from dreamactor_cli.controls.extract import image_controls
    from dreamactor_cli.media import load_image, sha256_file

    began = time.monotonic()
    loaded = load_image(path)
    controls, _ = image_controls([loaded.rgb], names=[str(path)], anybody=not skeleton)
    controls = replace(controls, fps=STILL_FPS, source_sha256=sha256_file(path), space="driving")
    took = time.monotonic() - began
    about = {"signals": list(controls.signals()), "cache_hits": 0, "seconds": took, "warnings": list(loaded.warnings)}
    return controls, {**about, "scene_cuts": [], "source_sha256": controls.source_sha256}


def _write(target: Path, stream: ControlStream, format_: str) -> list[str]:
    """Write a file; what there is to tell of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if format_ == "json":
        return _write_skeleton(target, stream)
    if format_ == "controls":
        from dreamactor_cli.controls_file import write_controls

        write_controls(target, stream)
        return []
    from dreamactor_cli.controls_export import write_bvh, write_csv

    (write_csv if format_ == "csv" else write_bvh)(target, stream)
    return []


def _write_skeleton(target: Path, stream: ControlStream) -> list[str]:
    from dataclasses import replace

    from dreamactor_cli.skeleton_file import guessed_body, write_skeleton

    controls = stream.window(0, 1)
    seen = controls.body is not None and controls.body.score.max() > 0
    write_skeleton(target, controls if seen else replace(controls, body=guessed_body(controls)))
    guess = f"no body was found; {target} holds a guess: move its joints, and give those that are right the score 1"
    return [] if seen else [guess]
