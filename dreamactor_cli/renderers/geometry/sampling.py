"""Sharp and fast sampling of a still picture: enlarge it once by a cubic filter, then sample bilinearly."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

MAX_PIXELS_TO_ENLARGE = 4_000_000  # beyond it the picture is sharper than a bilinear sample can blur


class Sampler:
    """A picture that is sampled at fractional positions.

    Sampling at whole positions gives back the picture exactly.

    Args:
        image: (H, W, C), C = 1, 3 or 4.
    """

    def __init__(self, image: U8) -> None:
        height, width = image.shape[:2]
        self.factor = 2 if height * width <= MAX_PIXELS_TO_ENLARGE else 1
        self._source = image
        if self.factor == 2:
            # Position p of the picture lies at 2p: whole positions keep their value to the bit.
            matrix = np.array([[0.5, 0, 0], [0, 0.5, 0]])
            self._source = cv2.warpAffine(
                image, matrix, (2 * width - 1, 2 * height - 1), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            )  # fmt: skip

    def at(self, x: F32, y: F32) -> U8:
        """The picture at positions x, y (h, w) px; positions outside are reflected at the border. (h, w, C)."""
        if self.factor != 1:
            x, y = x * np.float32(self.factor), y * np.float32(self.factor)
        return np.asarray(cv2.remap(self._source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.uint8)
