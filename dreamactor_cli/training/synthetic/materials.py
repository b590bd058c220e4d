"""What surfaces are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SKIN, EYE, TEETH, TONGUE, LASH, HAIR, TOP, BOTTOM, SHOE, HAT = range(10)
COUNT = 10

# Colours people have, sRGB 0..1.
SKIN_TONES = np.array(
    [[255, 224, 202], [244, 204, 176], [232, 184, 148], [216, 160, 120], [190, 132, 94], [158, 104, 70], [122, 78, 52],
     [88, 56, 40], [66, 42, 32]], np.float32) / 255  # fmt: skip
HAIR_TONES = np.array(
    [[30, 24, 22], [48, 34, 26], [78, 52, 34], [110, 74, 44], [150, 108, 62], [196, 156, 98], [222, 190, 130], [140, 62, 34],
     [150, 150, 150], [205, 203, 200]], np.float32) / 255  # fmt: skip
IRIS_TONES = np.array(
    [[70, 42, 22], [96, 60, 30], [120, 90, 45], [70, 110, 80], [70, 120, 160], [95, 130, 150], [50, 80, 120]],
    np.float32) / 255  # fmt: skip
CLOTH_TONES = np.array(
    [[20, 20, 24], [240, 238, 232], [120, 122, 126], [70, 74, 82], [28, 40, 80], [58, 84, 130], [90, 116, 150], [190, 170, 140],
     [110, 84, 60], [60, 74, 50], [128, 28, 36], [200, 196, 186], [40, 60, 56], [222, 205, 170], [160, 170, 180]],
    np.float32) / 255  # fmt: skip


def looks() -> NDArray[np.float64]:
    """Colour (multiplies the texture), wrap of the light, highlight, and its sharpness, of each material: (COUNT, 6)."""
    look = np.ones((COUNT, 6))
    look[:, 3:] = (0.25, 0.05, 16)
    look[SKIN, 3:] = (0.35, 0.10, 14)
    look[TEETH] = (0.9, 0.87, 0.8, 0.5, 0.2, 30)
    look[TONGUE] = (0.65, 0.25, 0.25, 0.4, 0.1, 20)
    look[LASH] = (0.06, 0.05, 0.05, 0.2, 0, 1)
    look[HAIR, 3:] = (0.3, 0.18, 24)
    look[[TOP, BOTTOM, HAT], 3:] = (0.2, 0.03, 8)
    return look
