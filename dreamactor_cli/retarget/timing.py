"""Rate conversion, exact to the frame."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def frame_positions(start: int, stop: int, fps: Fraction, source_fps: Fraction, source_frames: int) -> NDArray[np.float64]:
    """Where output frames start..stop-1 lie on the source's time line, in source frames, clipped to the clip, (T,)."""
    ratio = source_fps / fps
    last = source_frames - 1
    return np.array([min(float(k * ratio), float(last)) for k in range(start, stop)])


def interpolate(values: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation along the first axis at fractional positions.

    Args:
        values: (S, ...).
        positions: (T,), 0 <= position <= S-1.

    Returns:
        (T, ...).
    """
    low = np.minimum(positions.astype(int), len(values) - 1)
    high = np.minimum(low + 1, len(values) - 1)
    part = (positions - low).reshape(-1, *[1] * (values.ndim - 1))
    return values[low] * (1 - part) + values[high] * part
