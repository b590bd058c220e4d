"""A reference's eye, cut out along its chord so that corners, lids and iris have simple coordinates."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.renderers.geometry.aperture import Aperture

SIDE, HEIGHT = 0.12, 0.65  # margin of the pictures beside and across the chord, of its length

Picture = NDArray[np.float32]


class EyeView(NamedTuple):
    """The picture of an eye along its chord; all arrays (h, w) or (h, w, 3), distances in px of the reference."""

    color: Picture
    s: Picture
    d: Picture
    upper: Picture
    lower: Picture
    ring: Picture  # distance from the iris' centre, in radii


def look(image: U8, opening: Aperture, iris_s: float, iris_d: float, radius: float, texels: float) -> EyeView:
    """Cuts the eye out along its chord, so that corners, lids and iris have simple coordinates."""
    width = opening.width
    columns = int(np.ceil((1 + 2 * SIDE) * width * texels)) + 1
    rows = int(np.ceil(2 * HEIGHT * width * texels)) + 1
    s, d = np.meshgrid(np.arange(columns) / texels - SIDE * width, np.arange(rows) / texels - HEIGHT * width)
    x = opening.x + s * opening.ex - d * opening.ey
    y = opening.y + s * opening.ey + d * opening.ex
    color = cv2.remap(image, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    place = np.clip(s[0] / width, 0, 1) * (len(opening.top) - 1)
    index = np.arange(len(opening.top))
    top, bottom = np.interp(place, index, opening.top), np.interp(place, index, opening.bottom)
    arrays = (s, d, d - top, bottom - d, np.hypot(s - iris_s, d - iris_d) / radius)
    return EyeView(color.astype(np.float32), *(a.astype(np.float32) for a in arrays))


def inside(view: EyeView, width: float, upper: float, lower: float) -> NDArray[np.bool_]:
    """Texels in the eye, so far from the lids (of the chord's length)."""
    in_chord = (view.s > 0.02 * width) & (view.s < 0.98 * width)
    return in_chord & (view.upper > upper * width) & (view.lower > lower * width)
