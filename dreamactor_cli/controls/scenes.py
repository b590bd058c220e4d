"""Scene cuts, from small grey pictures of every frame."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.controls.view import View

THUMB = 24  # px, side of the picture of a frame that is kept for the detection
_CHANGE = 0.35  # 1 - correlation across a cut is larger than this
_TIMES = 4.0  # and larger than so many times the changes around it
_NEAR = 8  # frames
_BLENDED = 2  # frames that a cut may take
_BLOCK = 256  # frames looked at at a time


class Thumbs(Protocol):
    """Small pictures of all frames (T, THUMB, THUMB) uint8, an array or read from files as they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, frames: slice, /) -> U8: ...


def thumbnail(view: View) -> U8:
    """The frame as (THUMB, THUMB) grey."""
    return cv2.resize(view.thumb, (THUMB, THUMB), interpolation=cv2.INTER_AREA)


def _difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 - correlation of pictures (T, P) with zero mean: blind to brightness and contrast, hence to fades of the light.

    Pictures without contrast, like a black one, differ from everything but each other.
    """
    noise = 2.0**2 * a.shape[1]  # two grey levels
    product = (a * b).sum(1) + noise
    return 1 - product / np.sqrt(((a * a).sum(1) + noise) * ((b * b).sum(1) + noise))


def _flat(thumbs: U8) -> NDArray[np.float32]:
    """Pictures (T, P) with zero mean."""
    flat = thumbs.reshape(len(thumbs), -1).astype(np.float32)
    return np.asarray(flat - flat.mean(1, keepdims=True), np.float32)


def _changes(thumbs: Thumbs) -> NDArray[np.float32]:
    """How much each frame differs from the one before, (T - 1,)."""
    found = []
    for start in range(0, len(thumbs) - 1, _BLOCK):
        block = _flat(thumbs[start : start + _BLOCK + 1])
        found.append(_difference(block[1:], block[:-1]))
    return np.concatenate(found)


def find_cuts(thumbs: Thumbs) -> list[int]:
    """First frame after each hard cut.

    A cut is a change of the whole picture that is sudden (the frames around it change far less) and lasts: a flash changes
    one or two frames and is no cut.
    """
    if len(thumbs) < 2:
        return []
    step = _changes(thumbs)  # step[t] is the change from frame t to t+1
    cuts: list[int] = []
    for t in np.flatnonzero(step > _CHANGE).tolist():
        around = np.r_[step[max(t - _NEAR, 0) : t], step[t + 1 : t + 1 + _NEAR]]
        # The largest of them may be the second half of this cut: encoders put a blended frame in between.
        if len(around) > 1 and step[t] < _TIMES * np.sort(around)[-3:-1].mean():
            continue
        before = _flat(thumbs[max(t - 2, 0) : t + 1])
        after = _flat(thumbs[t + 1 : t + 4])
        lasting = [float(_difference(frame[None].repeat(len(after), 0), after).min()) for frame in before]
        if min(lasting) > 0.7 * _CHANGE:
            if cuts and t + 1 - cuts[-1] <= _BLENDED:
                cuts.pop()
            cuts.append(t + 1)
    return cuts
