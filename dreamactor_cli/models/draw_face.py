"""Pictures of faces, drawn from geometry: what a face says with, where it stands. Ours and not the paper's.

The paper gives a face to its model as motion tokens alone. A model that learns for an hour never learns to look at these; a
mouth that is drawn where the mouth shall be is read like a skeleton. What is drawn is the face in the shape of the reference,
so no shape of the driver's face shows.

The three channels of a picture: red the lips, with what opens between them brightest; green the openings of the eyes; blue the
brows, and the irises as far as the lids leave them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from dreamactor_cli.contracts import F32, U8, Face
from dreamactor_cli.head_space import (
    BROW_LEFT,
    BROW_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    INNER_LIPS,
    IRIS_LEFT,
    IRIS_RIGHT,
    OUTER_LIPS,
)

CHANNELS = 3
_PARTS = (OUTER_LIPS, INNER_LIPS, EYE_LEFT, EYE_RIGHT, BROW_LEFT, BROW_RIGHT, IRIS_LEFT, IRIS_RIGHT)
DRAWN = tuple(row for part in _PARTS for row in part)  # landmarks that are drawn, part by part
_ENDS = tuple(int(end) for end in np.cumsum([len(part) for part in _PARTS]))
_LIPS = 96  # level of the lips; what opens between them has 255
_FINE = 256  # px a side from which lines need no finer grid to be drawn on: a mouth at 64 px opens by less than one
_FINEST = 4
_SHIFT = 4  # fractional bits of OpenCV's coordinates
_FAR = 1 << 12  # px beyond which nothing is seen


def outlines_of(face: Face, origin: np.ndarray, scale: np.ndarray) -> F32:
    """What is drawn of faces, in px of the drawn picture.

    Args:
        origin: of the drawn part in the face's picture, px, (2,).
        scale: px of the drawn picture per px of the face's, (2,).

    Returns:
        (T, 102, 2), pixel centres at integers; NaN where no face was seen.
    """
    points = (face.landmarks[:, list(DRAWN), :2] + 0.5 - origin) * scale - 0.5
    return np.where((face.score > 0)[:, None, None], points, np.nan).astype(np.float32)


def draw_faces(outlines: F32, width: int, height: int) -> U8:
    """Draw faces.

    Args:
        outlines: (T, 102, 2), of `outlines_of`.
        width, height: of the pictures, px.

    Returns:
        (T, height, width, 3); black where no face was seen.
    """
    out = np.zeros((len(outlines), height, width, CHANNELS), np.uint8)
    finer = min(_FINEST, -(-_FINE // max(1, min(width, height))))
    for picture, points in zip(out, outlines, strict=True):
        if np.isfinite(points).all():
            picture[:] = _drawn((points.astype(np.float64) + 0.5) * finer - 0.5, width, height, finer)
    return out


def _drawn(points: np.ndarray, width: int, height: int, finer: int) -> U8:
    """One face (102, 2), px of the finer grid, (height, width, 3)."""
    parts = np.split(np.rint(np.clip(points, -_FAR, _FAR) * (1 << _SHIFT)).astype(np.int32), _ENDS[:-1])
    outer, inner, left, right, *brows_irises = parts

    def filled(shapes: Sequence[np.ndarray], level: int = 255) -> U8:
        layer = np.zeros((finer * height, finer * width), np.uint8)
        for shape in shapes:
            cv2.fillPoly(layer, [shape], level, cv2.LINE_AA, _SHIFT)
        return layer

    lips = np.maximum(filled([outer], _LIPS), filled([inner]))
    eyes = filled([left, right])
    irises = np.minimum(filled([cv2.convexHull(shape[1:]) for shape in brows_irises[2:]]), eyes)
    brows = filled([cv2.convexHull(shape) for shape in brows_irises[:2]])
    layers = np.stack([lips, eyes, np.maximum(irises, brows)], -1)
    return cast(U8, cv2.resize(layers, (width, height), interpolation=cv2.INTER_AREA) if finer > 1 else layers)
