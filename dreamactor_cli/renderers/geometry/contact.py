"""Lids and lips that were driven past each other meet halfway: a mesh that is folded over itself has holes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space

Array = NDArray[np.float64]


def _facing(contour: tuple[int, ...]) -> tuple[tuple[int, int], NDArray[np.int64], NDArray[np.int64]]:
    """Both corners of a closed contour, and the points between them of its first and of its second half, face to face."""
    half = len(contour) // 2
    return (contour[0], contour[half]), np.array(contour[1:half]), np.array(contour[:half:-1])


CONTOURS = tuple(_facing(c) for c in (head_space.INNER_LIPS, head_space.EYE_LEFT, head_space.EYE_RIGHT))


def apart(landmarks: Array) -> Array:
    """Landmarks (478, 3) px whose lids and lips touch at most."""
    out = landmarks
    for (left, right), upper, lower in CONTOURS:
        along = landmarks[right, :2] - landmarks[left, :2]
        down = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
        overlap = np.minimum((landmarks[lower, :2] - landmarks[upper, :2]) @ down, 0)[:, None]
        if overlap.any():
            out = landmarks.copy() if out is landmarks else out
            out[upper, :2] += 0.5 * overlap * down
            out[lower, :2] -= 0.5 * overlap * down
    return out
