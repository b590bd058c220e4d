"""A picture made ready for `compositing.lay`: enlarged once by a cubic filter, so that bilinear samples of it are sharp."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

# Up to how many pixels a picture is enlarged by how much; beyond, it is sharper than a bilinear sample can blur.
FACTORS = ((200_000, 4), (4_000_000, 2))
Box = tuple[int, int, int, int]


class Texture:
    """A picture that is sampled at fractional positions; whole positions give the picture back exactly.

    Args:
        image: (H, W, C), C = 3 or 4.
        most: the largest factor; sampling costs more the larger it is.
        box: first column and row, and one past the last, of the part that is needed; None is the whole picture.

    Attributes:
        pixels: (h, w), the bytes R, G, B, A of each pixel in one number.
    """

    def __init__(self, image: U8, most: int = 4, box: Box | None = None) -> None:
        height, width = image.shape[:2]
        self._factor = next((min(factor, most) for limit, factor in FACTORS if height * width <= limit), 1)
        x0, y0, x1, y1 = box or (0, 0, width, height)
        self._corner = np.array([x0, y0])
        if self._factor > 1:
            # Position p of the picture lies at factor * (p - corner): whole positions keep their value to the bit.
            matrix = np.array([[1 / self._factor, 0, x0], [0, 1 / self._factor, y0]])
            size = (self._factor * (x1 - x0 - 1) + 1, self._factor * (y1 - y0 - 1) + 1)
            image = np.asarray(
                cv2.warpAffine(
                    image, matrix, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
                ),
                np.uint8,
            )
        else:
            image = image[y0:y1, x0:x1]
        self.pixels = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA) if image.shape[2] == 3 else np.ascontiguousarray(image)
        self.pixels = self.pixels.view(np.uint32)[..., 0]

    def positions(self, points: NDArray[np.floating]) -> F32:
        """Points (N, 2) px of the picture in px of the texture."""
        return np.ascontiguousarray((points - self._corner) * self._factor, np.float32)
