"""The Python interface: `animate`, `lipsync` and `extract`, with the names of the command line.

>>> from dreamactor_cli import animate
>>> animate("photo.jpg", "clip.mp4", "out.mp4", region="face,head")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Job, RenderResult
from dreamactor_cli.presets import load_preset, merge

if TYPE_CHECKING:
    from dreamactor_cli.controls.extract import Extraction

Name = str | PathLike[str]


def animate(
    source: Name | Sequence[Name],
    driving: Name,
    output: Name,
    *,
    preset: str = "default",
    start: Fraction | float = 0,
    duration: Fraction | float | None = None,
    subject: int | None = None,
    side_by_side: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    cache_dir: Name | None = None,
    workers: int | None = None,
    device: str = "auto",
    **options: object,
) -> RenderResult:
    """Make a picture move by a video, a controls file or a built-in motion.

    Args:
        source: a picture, or several of one person.
        driving: a video, a controls file, or ``"motion:NAME"``.
        output: ``.mp4``, ``.webm``, ``.mov``, ``.gif``, a folder or ``name_%05d.png``.
        start, duration: of the driving window, seconds.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        options: any field of `contracts.Preset`, like ``region="face"`` or ``fps="30000/1001"``.

    Raises:
        DreamActorError: see `dreamactor_cli.errors`.
    """
    from dreamactor_cli.pipeline import Means, run_job
    from dreamactor_cli.renderers.needs import choose_device

    sources = [source] if isinstance(source, str | PathLike) else list(source)
    job = Job(
        id=Path(output).stem, references=tuple(Path(s) for s in sources), driving=str(driving), output=Path(output),
        preset=merge(load_preset(preset), options), seed=seed, start=Fraction(start),
        duration=None if duration is None else Fraction(duration), subject=subject, side_by_side=side_by_side,
        overwrite=overwrite,
    )  # fmt: skip
    return run_job(job, cache=_cache(cache_dir), means=Means(device=choose_device(job.preset, device), workers=workers))


def lipsync(
    source: Name | Sequence[Name],
    audio: Name,
    output: Name,
    *,
    driving: Name | None = None,
    preset: str = "default",
    start: Fraction | float = 0,
    duration: Fraction | float | None = None,
    subject: int | None = None,
    side_by_side: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    cache_dir: Name | None = None,
    workers: int | None = None,
    device: str = "auto",
    **options: object,
) -> RenderResult:
    """Make a picture speak, or let a video say something else.

    Args:
        source: a picture, several of one person, or one video whose mouth is replaced.
        audio: a sound, or a video with sound.
        output: as of `animate`.
        driving: what moves head and body: a video, a controls file, or ``"motion:NAME"``; None gives them a life of their own.
        start, duration: of the sound, seconds.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        options: any field of `contracts.Preset`, like ``mouth_gain=1.2`` or ``head_motion=0.5``.

    Raises:
        DreamActorError: see `dreamactor_cli.errors`.
    """
    from dreamactor_cli.pipeline import Means, run_job
    from dreamactor_cli.renderers.needs import choose_device

    sources = [source] if isinstance(source, str | PathLike) else list(source)
    job = Job(
        id=Path(output).stem, kind="lipsync", references=tuple(Path(s) for s in sources), audio=Path(audio),
        driving=None if driving is None else str(driving), output=Path(output), preset=merge(load_preset(preset), options),
        seed=seed, start=Fraction(start), duration=None if duration is None else Fraction(duration), subject=subject,
        side_by_side=side_by_side, overwrite=overwrite,
    )  # fmt: skip
    return run_job(job, cache=_cache(cache_dir), means=Means(device=choose_device(job.preset, device), workers=workers))


def extract(
    source: Name,
    output: Name | None = None,
    *,
    signals: Sequence[str] = ("face", "head", "body", "hands"),
    start: Fraction | float = 0,
    duration: Fraction | float | None = None,
    subject: int | None = None,
    cache_dir: Name | None = None,
    workers: int | None = None,
) -> Extraction:
    """Measure the control signals of a video; with ``output``, write them to a portable controls file too.

    Raises:
        DreamActorError: see `dreamactor_cli.errors`.
    """
    from dreamactor_cli.controls.extract import extract_controls
    from dreamactor_cli.controls_file import write_controls

    found = extract_controls(
        Path(source), signals=signals, cache=_cache(cache_dir), start=Fraction(start),
        duration=None if duration is None else Fraction(duration), subject=subject, workers=workers,
    )  # fmt: skip
    if output is not None:
        write_controls(Path(output), found.stream)
    return found


def _cache(folder: Name | None) -> Cache:
    return Cache(None if folder is None else Path(folder))
