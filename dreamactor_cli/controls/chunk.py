"""One pass over a chunk of frames, with every extractor that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np

from dreamactor_cli.contracts import U8
from dreamactor_cli.controls import load_extractor
from dreamactor_cli.controls.base import Arrays, Extractor, Tools
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.scenes import THUMB, thumbnail
from dreamactor_cli.controls.view import View

CHUNK = 192  # frames at most
_SHORT, _PARTS = 96, 8  # as long as a clip is cut into fewer parts, none is longer than the first: many processes share it
WARM_UP = 3  # frames before a chunk that trackers are shown to settle
_ONE_CHUNK = 48  # a clip this short is not cut
_BATCH = 8  # frames that are measured together, at most
_BATCH_PIXELS = 1 << 24  # of a batch


def chunks_of(num_frames: int) -> list[tuple[int, int]]:
    """Start and stop of each chunk of a clip: equal parts, an even number of them.

    It depends on the clip alone, so that the result does not depend on who works on it.
    """
    if num_frames <= _ONE_CHUNK:
        return [(0, num_frames)]
    count = max(-(-num_frames // CHUNK), min(-(-num_frames // _SHORT), _PARTS))
    count += count % 2
    edges = [round(k * num_frames / count) for k in range(count + 1)]
    return list(pairwise(edges))


def batch_of(clip: Clip) -> int:
    """How many frames of a clip are measured together; fewer large ones, for they are all in memory."""
    return max(1, min(_BATCH, _BATCH_PIXELS // (clip.width * clip.height)))


def measure_chunk(
    clip: Clip,
    frames: Iterable[U8],
    first: int,
    start: int,
    signals: Sequence[str],
    on_frames: Callable[[int], None],
    kept: dict[str, Any],
) -> Arrays:
    """Arrays of a chunk.

    Args:
        clip: what is known of the clip.
        frames: (H, W, 3) each, from frame ``first`` on; the ones before ``start`` only settle the trackers.
        first: number of the first frame in the window.
        start: number of the first frame that counts.
        signals: names of extractors.
        on_frames: told from time to time how many frames are done.
        kept: see `Tools.keep`; empty at first, and the same for all chunks of a clip.

    Returns:
        ``SIGNAL.FIELD`` (T, ...) and ``thumbs`` (T, THUMB, THUMB).
    """
    tools = Tools(clip, kept)
    extractors: dict[str, Extractor] = {name: load_extractor(name)(clip, tools) for name in signals}
    rows: dict[str, list[Arrays | None]] = {name: [] for name in signals}
    thumbs: list[U8] = []
    source = (View(rgb, index) for index, rgb in enumerate(frames, first))
    before = list(islice(source, start - first))
    for extractor in extractors.values() if before else ():
        extractor.settle(before)
    while views := list(islice(source, batch_of(clip))):
        for name, extractor in extractors.items():
            rows[name] += extractor.measure(views)
        thumbs += [thumbnail(view) for view in views]
        on_frames(len(views))
    out: Arrays = {"thumbs": np.stack(thumbs) if thumbs else np.zeros((0, THUMB, THUMB), np.uint8)}
    for name, extractor in extractors.items():
        out |= {f"{name}.{field}": array for field, array in extractor.stack(rows[name]).items()}
    return out
