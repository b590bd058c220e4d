"""How long the streams of a file really are, by their packets and not by what the header says."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dreamactor_cli.media.container import main_video, opened

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """What the packets of a file add up to.

    Attributes:
        pictures: in the video stream.
        video, audio: seconds from the first packet's time to the last one's end; None where there is no such stream.
    """

    pictures: int
    video: Fraction | None
    audio: Fraction | None


def lengths_of(path: Path) -> Lengths:
    """Count packets; nothing is decoded.

    Raises:
        UnreadableInput: no media file.
    """
    with opened(path) as container:
        pictures, video = _length(container, main_video(container))
    with opened(path) as container:
        sound = container.streams.audio[0] if container.streams.audio else None
        _, audio = _length(container, sound)
    return Lengths(pictures=pictures, video=video, audio=audio)


def _length(container: InputContainer, stream: Stream | None) -> tuple[int, Fraction | None]:
    """Number of packets that are shown, and seconds from the first to the end of the last."""
    import av

    if stream is None:
        return 0, None
    count, first, end = 0, None, 0
    try:
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None and not packet.is_discard:
                count += 1
                first = packet.pts if first is None else min(first, packet.pts)
                end = max(end, packet.pts + (packet.duration or 0))
    except av.error.FFmpegError:  # a damaged end is where it ends
        pass
    return count, None if first is None else (end - max(first, 0)) * Fraction(stream.time_base or 1)
