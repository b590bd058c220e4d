"""Sound for a video that is being written."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AudioSource:
    """Where the sound comes from.

    Attributes:
        path: a video or an audio file.
        start: on the timeline of the file's video (of its sound if it has no video), seconds.
        duration: seconds; None is to the end.
    """

    path: Path
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
