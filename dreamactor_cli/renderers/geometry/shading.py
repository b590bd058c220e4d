"""Relighting: the driver's wrinkles, folds and shades as a ratio image over the face (Liu et al. 2001)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.renderers.geometry.face_mesh import SHADING_SIZE

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

LIMITS = (0.65, 1.2)  # of the ratio: beyond it something else than light has changed
RIM = 13  # px of the atlas along the oval that are left alone: there the driver's outline moves, not the light
NEUTRAL = 128  # the atlas value that stands for 1
DRAWN_ELSEWHERE = (head_space.EYE_LEFT, head_space.EYE_RIGHT, head_space.INNER_LIPS)


class Shading:
    """Applies the shading of `contracts.Appearance` to the colours of a face."""

    def __init__(self) -> None:
        layout = np.rint(head_space.atlas_layout(SHADING_SIZE)).astype(np.int32)
        mask = np.zeros((SHADING_SIZE, SHADING_SIZE), np.uint8)
        cv2.fillPoly(mask, [layout[list(head_space.FACE_OVAL)]], 255)
        mask = cv2.erode(mask, np.ones((RIM, RIM), np.uint8))
        for contour in DRAWN_ELSEWHERE:
            cv2.fillPoly(mask, [layout[list(contour)]], 0)
            cv2.polylines(mask, [layout[list(contour)]], True, 0, 2)
        for brow in (head_space.BROW_LEFT, head_space.BROW_RIGHT):
            cv2.fillPoly(mask, [cv2.convexHull(layout[list(brow)])], 0)
        self._mask = cv2.GaussianBlur(mask, (0, 0), 2.0).astype(np.float32)[..., None] / 255

    def apply(self, color: U8, shading: U8, x: F32, y: F32) -> U8:
        """Colours (h, w, 3) under the light of an atlas (64, 64, 3), at positions x, y (h, w) px of the atlas."""
        ratio = np.clip(shading.astype(np.float32) / NEUTRAL, *LIMITS)
        ratio = 1 + (ratio - 1) * self._mask
        light = cv2.remap(ratio, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(1, 1, 1))
        return np.clip(np.rint(color * light), 0, 255).astype(np.uint8)
