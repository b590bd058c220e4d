"""Frames of a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dreamactor_cli.contracts import U8
from dreamactor_cli.media.probe import VideoInfo


def read_frames(
    path: Path, start: int = 0, stop: int | None = None, *, info: VideoInfo | None = None, accurate: bool = True
) -> Iterator[U8]:
    """Yield frames start..stop-1, each RGB (H, W, 3), upright."""
    raise NotImplementedError
