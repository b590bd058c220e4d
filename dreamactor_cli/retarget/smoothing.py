"""Zero-phase smoothing of control curves, window by window."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.person_space import smoothstep

POLYNOMIAL_ORDER = 2
QUICK = (0.004, 0.012)  # inter-ocular units that smoothing moves a landmark: all noise, and all motion
EASE_FRAMES = 3.0  # how fast an anchored curve returns from the raw to the smoothed value


@cache
def savgol_kernel(window: int) -> NDArray[np.float64]:
    """Coefficients of the Savitzky-Golay filter (1964) of order 2, (window,); symmetric, hence without delay."""
    half = window // 2
    vandermonde = np.vander(np.arange(-half, half + 1, dtype=np.float64), POLYNOMIAL_ORDER + 1, increasing=True)
    return np.linalg.pinv(vandermonde)[0]


def smooth(values: NDArray[np.floating], window: int) -> NDArray[np.float64]:
    """Smooth along the first axis; the ends are continued by their own value.

    Args:
        values: (T, ...).
        window: odd number of frames; below 3 nothing is done.
    """
    values = np.asarray(values, np.float64)
    if window < 3 or len(values) < 2:
        return values
    half = window // 2
    padded = np.concatenate([np.repeat(values[:1], half, 0), values, np.repeat(values[-1:], half, 0)])
    kernel = savgol_kernel(window)
    out = np.zeros_like(values)
    for offset, weight in enumerate(kernel):
        out += weight * padded[offset : offset + len(values)]
    return out


def keep_quick(raw: NDArray[np.float64], smoothed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smoothed points, but as they were wherever smoothing moved them further than noise does.

    A filter that calms a face at rest also rounds off the lips of quick speech and the lids of a blink.

    Args:
        raw, smoothed: (T, N, 3), inter-ocular units.
    """
    moved = np.linalg.norm(raw - smoothed, axis=2, keepdims=True)
    return smoothed + np.asarray(smoothstep(moved, *QUICK)) * (raw - smoothed)


def ease_from_anchor(
    smoothed: NDArray[np.float64], correction: NDArray[np.float64], frames_from_anchor: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Let a smoothed curve pass through the raw value at the anchor, and return to itself within a few frames.

    Args:
        smoothed: (T, ...).
        correction: raw minus smoothed value at the anchor, (...).
        frames_from_anchor: distance of each frame from the anchor, (T,).
    """
    fade = np.exp(-np.abs(frames_from_anchor) / EASE_FRAMES)
    return smoothed + correction * fade.reshape(-1, *[1] * (smoothed.ndim - 1))


def nearest_rotations(matrices: NDArray[np.floating]) -> NDArray[np.float64]:
    """The rotations (T, 3, 3) nearest to matrices (T, 3, 3), by singular value decomposition."""
    u, _, vt = np.linalg.svd(np.asarray(matrices, np.float64))
    sign = np.linalg.det(u @ vt)
    u[..., :, 2] *= sign[..., None]
    return u @ vt
