"""A clip drawn several times, each time with the picture shifted by half a cell or two frames later, and the mean of that.

A small model draws cell by cell and latent by latent, and the borders show, those between segments too. They fall elsewhere each
time, as do its other errors; in the mean a draw counts for a pixel the more, the nearer that is to the middle of its cell, in
space and in time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.models.conditions import Conditions, References
from dreamactor_cli.models.timeline import TEMPORAL


class Offset(NamedTuple):
    """Where a draw has the picture: px to the right and down, and frames later."""

    x: int
    y: int
    frames: int


_HALVES = ((0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1))  # halves of a cell, and of a latent's frames


def offsets(shifts: int, cell: int) -> list[Offset]:
    """Where each of so many draws has the picture; ``cell`` is px of a token."""
    return [Offset(x * (cell // 2), y * (cell // 2), t * (TEMPORAL // 2)) for x, y, t in _HALVES[:shifts]]


def shifted_references(references: References, offset: Offset) -> References:
    """Pictures and their poses elsewhere."""
    poses = None if references.poses is None else _shifted(references.poses, offset)
    return replace(references, images=_shifted(references.images, offset), poses=poses)


def shifted_conditions(conditions: Callable[[int, int], Conditions], offset: Offset) -> Callable[[int, int], Conditions]:
    """Conditions of frames start..stop-1 with poses elsewhere, and later; the first frame is held before it."""

    def asked(start: int, stop: int) -> Conditions:
        first, last = max(start - offset.frames, 0), max(stop - offset.frames, 1)
        given, held = conditions(first, last), (stop - start) - (last - first)
        poses, face, speech = (None if x is None else _held(x, held) for x in (given.poses, given.face, given.speech))
        return Conditions(poses=_shifted(poses, offset), face=face, speech=speech)

    return asked


def mean_of(draws: Sequence[U8], places: Sequence[Offset], cell: int, number: int) -> U8:
    """The weighted mean of one frame (H, W, 3) that is shifted, put back; the first is not shifted, so every pixel has one.

    Args:
        draws: the frame as each draw has it.
        places: where each draw has the picture; ``cell`` is px of a token.
        number: of the frame in the clip.
    """
    if len(draws) == 1:
        return draws[0]
    total: F32 = np.zeros(draws[0].shape, np.float32)
    count = np.zeros((*draws[0].shape[:2], 1), np.float32)
    for frame, (x, y, later) in zip(draws, places, strict=True):
        height, width = count.shape[0] - y, count.shape[1] - x
        counts = _middle(np.arange(y, y + height), cell)[:, None, None] * _middle(np.arange(x, x + width), cell)[:, None]
        counts = counts * _in_time(number + later)
        total[:height, :width] += frame[y:, x:] * counts
        count[:height, :width] += counts
    return np.rint(total / count).astype(np.uint8)


def _middle(at: NDArray[np.int64], cell: int) -> F32:
    """How near places are to the middle of their cells, which begin at multiples of ``cell``, above 0 to 1."""
    return (1 - np.abs(2 * (at % cell + 0.5) / cell - 1)).astype(np.float32)


def _in_time(number: int) -> float:
    """How near a frame is to the middle of its latent's four; the first latent has one frame alone."""
    return float(_middle(np.array([number - 1]), TEMPORAL)[0]) if number else 0.5


def _held(values: Any, count: int) -> Any:
    """Values (T, ...) with the first one so many times more."""
    return np.concatenate([np.repeat(values[:1], count, 0), values]) if count else values


def _shifted(pictures: Any, offset: Offset) -> Any:
    """Pictures (N, H, W, C) further to the right and down; what comes in is as at the border."""
    x, y, _ = offset
    if not (x or y):
        return pictures
    height, width = pictures.shape[1:3]
    return np.ascontiguousarray(np.pad(pictures, ((0, 0), (y, 0), (x, 0), (0, 0)), mode="edge")[:, :height, :width])
