"""A clip drawn several times, each time with the picture shifted by half a cell, and the mean of that.

A small model draws cell by cell, and the borders of the cells show. They fall elsewhere each time, as do its other errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.models.conditions import Conditions, References

Offset = tuple[int, int]  # px to the right and down
_HALVES = ((0, 0), (1, 1), (1, 0), (0, 1))


def offsets(shifts: int, cell: int) -> list[Offset]:
    """Where each of so many draws has the picture; ``cell`` is px of a token."""
    return [(x * (cell // 2), y * (cell // 2)) for x, y in _HALVES[:shifts]]


def shifted_references(references: References, offset: Offset) -> References:
    """Pictures and their poses elsewhere."""
    poses = None if references.poses is None else _shifted(references.poses, offset)
    return replace(references, images=_shifted(references.images, offset), poses=poses)


def shifted_conditions(conditions: Conditions, offset: Offset) -> Conditions:
    """Poses elsewhere."""
    return replace(conditions, poses=_shifted(conditions.poses, offset))


def mean_of(draws: Sequence[U8], places: Sequence[Offset]) -> U8:
    """The mean of frames (t, H, W, 3) that are shifted, put back; the first is not shifted, so that every pixel has one."""
    total: F32 = np.zeros(draws[0].shape, np.float32)
    count = np.zeros((*draws[0].shape[1:3], 1), np.float32)
    for frames, (x, y) in zip(draws, places, strict=True):
        height, width = count.shape[0] - y, count.shape[1] - x
        total[:, :height, :width] += frames[:, y:, x:]
        count[:height, :width] += 1
    return np.rint(total / count).astype(np.uint8)


def _shifted(pictures: Any, offset: Offset) -> Any:
    """Pictures (N, H, W, C) further to the right and down; what comes in is as at the border."""
    x, y = offset
    if not (x or y):
        return pictures
    height, width = pictures.shape[1:3]
    return np.ascontiguousarray(np.pad(pictures, ((0, 0), (y, 0), (x, 0), (0, 0)), mode="edge")[:, :height, :width])
