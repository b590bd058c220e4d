"""A few small pictures of a video, for pages that show many videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from dreamactor_cli.contracts import U8
from dreamactor_cli.media.container import opened
from dreamactor_cli.media.decode import Converter, Pictures
from dreamactor_cli.media.probe import VideoInfo, probe
from dreamactor_cli.media.timeline import timeline_of

WORTH_A_SEEK = 250  # frames; what lies nearer is decoded on the way, as most clips have one keyframe in so many


def evenly(total: int, most: int) -> list[int]:
    """At most ``most`` of ``total`` frame numbers, evenly spread, first and last among them."""
    count = min(most, total)
    return [round(k * (total - 1) / max(count - 1, 1)) for k in range(count)]


def glimpses(path: Path, count: int, height: int) -> list[U8]:
    """Evenly spread frames of a video, first and last among them, scaled down to ``height`` px.

    Only the frames that are shown are converted; where they lie far apart, the keyframe before each is shown instead.

    Returns:
        At most ``count`` pictures (height, w, 3), RGB.

    Raises:
        UnreadableInput, NoStream: as `probe`.
    """
    info = probe(path)
    return list(_at(path, info, evenly(info.num_frames, count), _sized(info, height)))


def _sized(info: VideoInfo, height: int) -> VideoInfo:
    """What `Converter` scales to: upright, even, never up."""
    height = min(height, info.height)
    return replace(info, height=height, width=max(round(info.width * height / info.height), 1))


def _at(path: Path, info: VideoInfo, wanted: Sequence[int], small: VideoInfo) -> Iterator[U8]:
    timeline = timeline_of(path)
    convert = Converter(small, accurate=False)
    before = -WORTH_A_SEEK
    with ExitStack() as stack:
        pictures: Pictures | None = None
        shown = None
        for index in wanted:
            stamp = int(timeline.pictures[min(index, info.num_frames - 1)])
            if pictures is None or (index - before >= WORTH_A_SEEK and not timeline.ordinal):
                keys = timeline.keyframes[timeline.keyframes <= stamp]
                stack.close()
                key = int(keys[-1]) if len(keys) and not timeline.ordinal else None
                stamp = key if key is not None and before >= 0 else stamp
                pictures = Pictures(stack.enter_context(opened(path)), timeline, key)
            shown = pictures.up_to(stamp) or shown
            before = index
            if shown is not None:
                yield convert(shown[1])
