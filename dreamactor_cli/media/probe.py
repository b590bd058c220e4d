"""What is in a video file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """The video stream of a file, on a timeline of constant rate.

    Attributes:
        width, height: upright, after `rotation` is applied, px.
        fps: frames a second.
        num_frames: on the timeline; frame k shows the last picture whose time is <= k / fps.
        duration: ``num_frames / fps``, seconds.
        rotation: clockwise degrees, of 0, 90, 180, 270, that bring the stored picture upright.
        variable_rate: the stored pictures are not evenly spaced.
        audio_codec: of the first audio stream, None without one.
        warnings: what the user should know.
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    num_frames: int
    duration: Fraction
    rotation: int
    variable_rate: bool
    codec: str
    pixel_format: str
    audio_codec: str | None
    warnings: tuple[str, ...] = ()


def probe(path: Path) -> VideoInfo:
    """Look into a video. Raises UnreadableInput, NoStream."""
    raise NotImplementedError


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its content."""
    raise NotImplementedError
