"""Sharp and fast sampling of a still picture: enlarge it once by a cubic filter, then sample bilinearly."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

# Up to how many pixels a picture is enlarged by how much; beyond, it is sharper than a bilinear sample can blur.
FACTORS = ((200_000, 4), (4_000_000, 2))


class Sampler:
    """A picture that is sampled at fractional positions.

    Sampling at whole positions gives back the picture exactly.

    Args:
        image: (H, W, C), C = 1, 3 or 4.
        most: the largest factor; sampling costs more the larger it is.

    Attributes:
        factor: px of the enlarged picture per px of the picture; position p lies at ``factor * p``.
    """

    def __init__(self, image: U8, most: int = 4) -> None:
        height, width = image.shape[:2]
        self.factor = next((min(factor, most) for limit, factor in FACTORS if height * width <= limit), 1)
        self._source = image
        if self.factor > 1:
            # Position p of the picture lies at factor * p: whole positions keep their value to the bit.
            matrix = np.array([[1 / self.factor, 0, 0], [0, 1 / self.factor, 0]])
            size = (self.factor * (width - 1) + 1, self.factor * (height - 1) + 1)
            self._source = cv2.warpAffine(
                image, matrix, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            )  # fmt: skip

    def at(self, x: F32, y: F32) -> U8:
        """The picture at positions x, y (h, w), px of the enlarged picture; outside it is reflected at the border. (h, w, C)."""
        if not x.size:
            return np.zeros((*x.shape, *self._source.shape[2:]), np.uint8)
        return np.asarray(cv2.remap(self._source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.uint8)
