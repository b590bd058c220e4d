"""The pictures of a video on a timeline of constant rate.

All packets of the video stream are read (not decoded), because what containers say of the number of frames and of the
rate is often wrong. The timeline starts at the first picture; frame k shows the last picture whose time is <= k / fps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.errors import NoStream, UnreadableInput
from dreamactor_cli.media.container import main_video, opened

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

I64 = NDArray[np.int64]

STANDARD_RATES = tuple(
    Fraction(n, d)
    for n, d in (
        (10, 1), (12, 1), (12500, 1000), (15, 1), (24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1),
        (60000, 1001), (60, 1), (100, 1), (120000, 1001), (120, 1),
    )
)  # fmt: skip

# Pictures that lie this near to a uniform grid, in frames, are evenly spaced: cameras jitter.
JITTER = 0.3
# An edit may end this many pictures before the last packet: a cut in a stream with reordering leaves them behind.
MAX_REORDER = 16


@dataclass(frozen=True, slots=True)
class Timeline:
    """Which picture each frame shows.

    Attributes:
        fps: frames a second.
        pictures: time stamp of the picture that frame k shows, (num_frames,), in `time_base`.
        keyframes: time stamps at which decoding can start, ascending.
        ordinal: the file has no time stamps; pictures are counted, and decoding starts at the first one.
        start: time of the first picture on the file's own clock, seconds.
        variable: the pictures are not evenly spaced.
        spread: shortest and longest time between pictures, seconds.
        missing: packets that the file announces and does not have.
    """

    fps: Fraction
    pictures: I64
    keyframes: I64
    time_base: Fraction
    ordinal: bool
    start: Fraction
    variable: bool
    spread: tuple[float, float]
    missing: int


def timeline_of(path: Path) -> Timeline:
    """The timeline of a file's video, remembered while the file stays as it is.

    Raises:
        UnreadableInput: no media file.
        NoStream: no video in it.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise UnreadableInput(f"{path} was not found", "check the name") from error
    return _timeline(path, (stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=8)
def _timeline(path: Path, version: tuple[int, int]) -> Timeline:  # noqa: ARG001 - a part of the key
    with opened(path) as container:
        stream = main_video(container)
        if stream is None:
            raise NoStream(f"{path} has no video", "give a file with moving pictures")
        packets = _packets(container.demux(stream))
        if not packets:
            raise UnreadableInput(f"{path} has a video stream without a single picture", "give another file")
        return _build(stream, packets)


class _Packet(NamedTuple):
    pts: int | None
    duration: int
    is_keyframe: bool
    is_shown: bool


def _packets(demux: Iterator[Packet]) -> list[_Packet]:
    """All packets; a damaged end is where reading stops."""
    import av

    found: list[_Packet] = []
    try:
        for packet in demux:
            if packet.size:
                found.append(_Packet(packet.pts, packet.duration or 0, packet.is_keyframe, not packet.is_discard))
    except av.error.FFmpegError:
        pass
    return found


def _build(stream: VideoStream, packets: Sequence[_Packet]) -> Timeline:
    time_base = Fraction(stream.time_base or Fraction(1, 1000))
    rates = [Fraction(r) for r in (stream.base_rate, stream.average_rate, stream.guessed_rate) if r]
    missing = max(0, (stream.frames or 0) - len(packets))
    shown = [packet for packet in packets if packet.is_shown] or packets
    if any(packet.pts is None for packet in packets):
        fps = Fraction(stream.average_rate or stream.guessed_rate or 25)
        counted = np.arange(len(shown), dtype=np.int64)
        return Timeline(fps, counted, counted[:1], 1 / fps, True, Fraction(0), False, (float(1 / fps),) * 2, missing)
    keyframes = np.unique(np.array([packet.pts for packet in packets if packet.is_keyframe], np.int64))
    last = max(shown, key=lambda packet: packet.pts or 0)
    pictures, end = np.unique(np.array([packet.pts for packet in shown], np.int64)), (last.pts or 0) + last.duration
    if "mp4" in stream.container.format.name:
        pictures, end = _cut_at_declared_end(stream, pictures, end)
    uniform = uniform_rate(pictures, time_base, rates)
    fps = uniform or stepped_rate(pictures, time_base, rates)
    frames = _frames(pictures, end, time_base, fps, uniform is not None)
    gaps = np.diff(pictures) if len(pictures) > 1 else np.array([1 / (fps * time_base)], float)
    spread = (float(gaps.min() * time_base), float(gaps.max() * time_base))
    start = int(pictures[0]) * time_base
    return Timeline(fps, frames, keyframes, time_base, False, start, uniform is None, spread, missing)


def _cut_at_declared_end(stream: VideoStream, pictures: I64, end: int) -> tuple[I64, int]:
    """Leave out the few pictures that an edit list puts behind the end of the track."""
    if not stream.duration or stream.start_time is None:
        return pictures, end
    declared = stream.start_time + stream.duration
    kept = pictures[pictures < declared]
    if len(kept) and 0 < len(pictures) - len(kept) <= MAX_REORDER:
        return kept, declared
    return pictures, end


def uniform_rate(pictures: I64, time_base: Fraction, rates: Sequence[Fraction]) -> Fraction | None:
    """The rate of evenly spaced pictures, None if they are not.

    What the file says comes first, then the standard rates, then the simplest fraction that fits: over an hour a rate that
    is off by a thousandth is off by a hundred frames, so a wrong one does not pass.
    """
    if len(pictures) < 2:
        return rates[0] if rates else Fraction(25)
    times = (pictures - pictures[0]).astype(np.float64)
    span = int(pictures[-1] - pictures[0]) * time_base
    mean = (len(pictures) - 1) / span
    if len(set(np.diff(pictures).tolist())) == 1:
        return mean
    simple = [mean.limit_denominator(d) for d in (1, 10, 100, 1001)]
    near = [r for r in (*rates, *STANDARD_RATES) if abs(r / mean - 1) < 0.05]
    tick = float(time_base)
    for tolerance in (0.51 * tick, None):  # exact but for the rounding of the time stamps; then with jitter
        for rate in (*near, *simple, mean):
            if rate <= 0:
                continue
            error = np.abs(times * tick - np.arange(len(times)) / float(rate)).max()
            if error <= (tolerance if tolerance is not None else JITTER / float(rate)):
                return rate
    return None


def stepped_rate(pictures: I64, time_base: Fraction, rates: Sequence[Fraction]) -> Fraction:
    """A constant rate for unevenly spaced pictures: that of the grid they lie on, else a standard one above their average."""
    mean = (len(pictures) - 1) / (int(pictures[-1] - pictures[0]) * time_base)
    times = (pictures - pictures[0]).astype(np.float64) * float(time_base)
    top = STANDARD_RATES[-1]
    fitting = sorted(r for r in {*rates, *STANDARD_RATES} if mean <= r <= min(top, max(4 * mean, Fraction(30))))
    for rate in fitting:
        steps = times * float(rate)
        if np.abs(steps - np.round(steps)).max() <= max(0.51 * float(time_base * rate), 0.02):
            return rate
    announced = [r for r in rates if r in STANDARD_RATES and mean <= r <= 60]
    return min(announced) if announced else min((r for r in STANDARD_RATES if r >= mean), default=top)


def _frames(pictures: I64, end: int, time_base: Fraction, fps: Fraction, uniform: bool) -> I64:
    """Time stamp of the picture that each frame shows, (num_frames,)."""
    length = round((end - int(pictures[0])) * time_base * fps)
    if uniform:
        index = np.arange(max(length, len(pictures)))
        return pictures[np.minimum(index, len(pictures) - 1)]
    slack = min(0.51 * float(time_base), 0.25 / float(fps))  # time stamps are rounded to the clock of the file
    times = (pictures - pictures[0]).astype(np.float64) * float(time_base)
    asked = np.arange(max(length, 1)) / float(fps)
    return pictures[np.searchsorted(times, asked + slack, side="right") - 1]
