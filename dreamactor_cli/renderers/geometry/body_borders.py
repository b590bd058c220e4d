"""Where the torso ends and an upper arm or a thigh begins: at an edge of the picture, and where there is none, smoothly.

A watershed finds the edges, and wherever there are none it runs along each wrinkle of a shirt. So what it says is smoothed
again and again by a guided filter (He, Sun and Tang: Guided Image Filtering, ECCV 2010, equations 14 and 15), whose guide are
the picture's colours: about each pixel the torso is told from what is not by a linear function of the colour. Where both have
the same colours, be it plaid, that is the share of either around it; where they have not, it is the edge.

Not between one part of a limb and the next, and not about forearms and hands: they are no wider than the windows, and would
shrink.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_seams import nearest_labels
from dreamactor_cli.renderers.geometry.body_skeleton import CORE, PARTS

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Labels = NDArray[np.int8]
Mask = NDArray[np.bool_]

UPPER = tuple(index for index, name in enumerate(PARTS) if name.endswith(("upper_arm", "thigh")))
RADIUS = 8  # px of the windows
FLAT = 30.0  # levels by which a colour differs at an edge; a wrinkle does less
PASSES = 3
SMOOTH = 2.0  # px over which the border between two parts is smoothed after that


def smoothed(labels: Labels, image: U8, person: Mask) -> Labels:
    """Labels (h, w) of a person whose torso has a smooth border where the picture shows no edge.

    Args:
        labels: part of each pixel, (h, w), also beside the person; what is below 0 is of none.
        image: RGB, (h, w, 3).
        person: (h, w); elsewhere the result is -1.
    """
    out = labels.copy()
    limbs = np.isin(labels, UPPER)
    torso = labels == CORE
    if (person & limbs).any() and (person & torso).any():
        # What is further from the border than all windows reach is no neighbour of the limb: a strand of hair beside the neck.
        near = [
            cv2.distanceTransform((~(person & side)).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) for side in (limbs, torso)
        ]
        asked = (limbs | torso) & (np.maximum(*near) <= PASSES * RADIUS)
        guide = _Guide(image)
        for _ in range(PASSES):
            torso = guide.filtered(out == CORE) > 0.5
            still = limbs & ~torso
            if not still.any():
                break
            out = np.where(asked, np.where(torso, np.int8(CORE), nearest_labels(labels, still)[1]), out)
    votes = [cv2.GaussianBlur((out == part).astype(np.float32), (0, 0), SMOOTH) for part in range(len(PARTS))]
    return np.where(person, np.stack(votes).argmax(0), -1).astype(np.int8)


class _Guide:
    """Colours of a picture (h, w, 3), by which masks are filtered."""

    def __init__(self, image: U8) -> None:
        self._color = image.astype(np.float32)
        self._mean = _around(self._color)
        spread = {
            (i, j): _around(self._color[..., i] * self._color[..., j]) - self._mean[..., i] * self._mean[..., j]
            for i in range(3) for j in range(i, 3)
        }  # fmt: skip
        a, d, f = (spread[i, i] + FLAT**2 for i in range(3))
        b, c, e = spread[0, 1], spread[0, 2], spread[1, 2]
        # The inverse of a symmetric matrix by its cofactors: `linalg.inv` of that many is slow.
        rows = ((d * f - e * e, c * e - b * f, b * e - c * d), (c * e - b * f, a * f - c * c, b * c - a * e),
                (b * e - c * d, b * c - a * e, a * d - b * b))  # fmt: skip
        self._inverse = (
            np.stack([np.stack(row, -1) for row in rows], -2)
            / (a * rows[0][0] + b * rows[0][1] + c * rows[0][2])[..., None, None]
        )  # (h, w, 3, 3)

    def filtered(self, mask: Mask) -> F32:
        """How much of a mask (h, w) a pixel is by its colour and by what is around it."""
        values = mask.astype(np.float32)
        share = _around(values)
        covariance = _around(self._color * values[..., None]) - self._mean * share[..., None]
        slope = np.einsum("hwij,hwj->hwi", self._inverse, covariance)
        offset = share - (slope * self._mean).sum(-1)
        return np.asarray((_around(slope) * self._color).sum(-1) + _around(offset), np.float32)


def _around(values: F32) -> F32:
    """Means of the windows about each pixel of (h, w) or (h, w, 3)."""
    size = (2 * RADIUS + 1, 2 * RADIUS + 1)
    return np.asarray(cv2.boxFilter(np.ascontiguousarray(values), cv2.CV_32F, size, borderType=cv2.BORDER_REPLICATE), np.float32)
