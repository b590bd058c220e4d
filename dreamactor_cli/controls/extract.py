"""Control signals of a clip, from the cache or measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import F32, U8, Controls
from dreamactor_cli.controls_file import StoredControls
from dreamactor_cli.media import VideoInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What was found in a clip.

    Attributes:
        stream: the signals.
        info: the video.
        cache_hits: signals that were read and not made.
        seconds: that it took.
        scene_cuts: first frame after each cut, counted from the start of the window.
    """

    stream: StoredControls
    info: VideoInfo
    source_sha256: str
    cache_hits: int
    warnings: tuple[str, ...]
    seconds: float
    scene_cuts: tuple[int, ...]


def extract_controls(
    path: Path,
    *,
    signals: Sequence[str],
    cache: Cache,
    start: Fraction = Fraction(0),
    duration: Fraction | None = None,
    fps: Fraction | None = None,
    subject: int | None = None,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Extraction:
    """Control signals of a video."""
    raise NotImplementedError


def image_controls(images: Sequence[U8], *, names: Sequence[str]) -> tuple[Controls, F32]:
    """Control signals (T = N) and mattes (N, H, W) of pictures of one size."""
    raise NotImplementedError
