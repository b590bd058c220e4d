"""Between two keys of a motion: a monotone cubic (Fritsch and Butland 1984), which never overshoots.

The same numbers as scipy's `PchipInterpolator`, whose import would be a third of what a short command starts with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def through(keys: ArrayLike, values: ArrayLike, times: Array) -> Array:
    """Values at times, (T,), of the curve through the keys, which is level at the first and the last of them.

    Args:
        keys: (N,), increasing, N > 1.
        values: (N,); the first two are alike, and so are the last two.
        times: (T,), within the keys.
    """
    x, y = np.asarray(keys, np.float64), np.asarray(values, np.float64)
    step = np.diff(x)
    slope = np.diff(y) / step
    tangent = np.zeros_like(y)
    tangent[1:-1] = _tangents(step, slope)
    bend = (tangent[:-1] + tangent[1:] - 2 * slope) / step
    cubic, square = bend / step, (slope - tangent[:-1]) / step - bend
    piece = np.clip(np.searchsorted(x, times, "right") - 1, 0, len(step) - 1)
    s = times - x[piece]
    return y[piece] + tangent[piece] * s + square[piece] * (s * s) + cubic[piece] * (s * s * s)


def _tangents(step: Array, slope: Array) -> Array:
    """At the inner keys, (N - 2,): the weighted harmonic mean of the slopes beside them; level where the curve turns."""
    before, after = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    turns = (np.sign(slope[1:]) != np.sign(slope[:-1])) | (slope[1:] == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (before / slope[:-1] + after / slope[1:]) / (before + after)
    return np.where(turns, 0.0, 1.0 / np.where(turns, 1.0, mean))
