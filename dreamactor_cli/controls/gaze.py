"""Gaze angles from the irises of a canonical face."""

from __future__ import annotations

import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32

# Outer and inner corner of each eye, and its iris. The picture's left eye first.
_EYES = ((33, 133, head_space.IRIS_LEFT[0]), (362, 263, head_space.IRIS_RIGHT[0]))
# Radius of the eyeball over the width of the palpebral fissure: 12 mm over 30 mm.
_BALL = 0.4


def gaze_angles(canonical: np.ndarray) -> F32:
    """Direction of each eye relative to the head.

    Args:
        canonical: (T, 478, 3), canonical head space.

    Returns:
        (T, 2, 2) rad: picture's left and right eye; positive x to the picture's right, positive y down.
    """
    out = np.zeros((len(canonical), 2, 2), np.float32)
    for eye, (first, second, iris) in enumerate(_EYES):
        axis = (canonical[:, second] - canonical[:, first])[:, :2]
        width = np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-6)
        along = axis / width
        across = np.stack([-along[:, 1], along[:, 0]], 1)
        offset = canonical[:, iris, :2] - (canonical[:, first, :2] + canonical[:, second, :2]) / 2
        # The iris sits on the front of a ball, so its shift over the ball's radius is the sine of the angle.
        sine = np.stack([(offset * along).sum(1), (offset * across).sum(1)], 1) / (_BALL * width)
        out[:, eye] = np.arcsin(np.clip(sine, -0.9, 0.9))
    return out
