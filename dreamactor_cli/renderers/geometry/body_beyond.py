"""What a limb is like beyond the border of the picture, which cuts it: as thick as there, as long as its bones, softly coloured.

Nobody knows what is there. A hand becomes a mitten of the colours at its cut, without the stripes that a gap between two fingers
would draw over its whole length.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import WRISTS
from dreamactor_cli.renderers.geometry.body_skeleton import BONES, Skeleton, distances, hand_reach

Array = NDArray[np.float64]
F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

ENDS = 0.9  # limbs' radii from its bones: a limb that the border cuts ends there, and its cut end is drawn no wider
RADIUS = 0.05  # metres, of a limb
EDGE = 1.5  # px over which it ends
SPREADS = (0.008, 0.025)  # metres by which its colours run together, a little and a good way beyond the border
AWAY = 0.05  # metres, that way


def nearness(points: Array, part: int, skeleton: Skeleton, carried: tuple[int, ...]) -> Array:
    """How near points (N, 2) px are to the bones of a part, in limbs' radii, (N,): a hand's with fingers, whatever is seen of it.

    Args:
        carried: see `body_split.Split`.
    """
    out = np.full(len(points), np.inf)
    for index, bone in enumerate(BONES):
        if not skeleton.bones[index] or carried[bone.part] != part:
            continue
        if bone.start in WRISTS:
            near = hand_reach(points, skeleton, WRISTS.index(bone.start))
        else:
            distance, radius = distances(points, skeleton, bone)
            near = distance / radius
        out = np.minimum(out, near)
    return out


def go_on(color: U8, alpha: U8, outside: Mask, near: F32, scale: float) -> tuple[U8, U8]:
    """A layer whose pixels beyond the border are as at the border, made softer there, and ended with its bones.

    Args:
        color, alpha: of the layer, (h, w, 3) and (h, w).
        outside: its pixels that the picture does not have, (h, w).
        near: see `nearness`, (h, w).
        scale: px per metre.
    """
    off = cv2.distanceTransform(outside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)[..., None] / (AWAY * scale)
    own = (alpha[..., None] / 255).astype(np.float32)
    made = color.astype(np.float32)
    for spread, share in zip(SPREADS, (2 * off, 2 * off - 1), strict=True):
        size = (0, 0), max(spread * scale, 0.3)
        weight = cv2.GaussianBlur(own, *size)[..., None]
        mean = cv2.GaussianBlur(color * own, *size) / np.maximum(weight, 1e-3)
        made += np.where(weight > 1e-2, np.clip(share, 0, 1), 0) * (mean - made)
    ends = np.clip((ENDS - near) * RADIUS * scale / EDGE + 0.5, 0, 1)
    kept = np.where(outside, alpha * ends, alpha)
    return np.clip(np.rint(made), 0, 255).astype(np.uint8), np.rint(kept).astype(np.uint8)
