"""Where exactly a part ends that lies before another: told by the colours on either side of the border.

Parts are told apart on a small picture, by bones and edges, and a border may be some pixels off, so a part is cut out with a
rim of what lies beside it. What little of the shorts is cut out along with an arm before them is a black line as soon as the
arm is lifted. Close to the border each side has colours of its own, and a pixel belongs to the side in whose colours it is
likelier.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

NEAR = 3.0  # widths of the band: colours of a side are gathered as far from the border
INNER = 0.2  # of how deep the first side is at most, from which a pixel of a thin one lies inside it
CLOSE = 2.2  # widths: as near must be the inside of the first side
NOISE = 6.0  # levels by which colours of one thing differ
LEAST = 0.01  # share of a side's pixels around, from which it has colours
APART = (1.0, 2.5)  # distance of both sides' colours in their spread, from which and at which they are told apart,
LEVELS = (30.0, 70.0)  # and in levels: a fold of a dark suit is no border
STEEP = 1.5  # of likelihoods
SURE, LITTLE = 0.5, 0.2  # trust from which, and share up to which, a pixel is clean of the first side,
LIKE = 3.0  # as far as it is no further from the second's colours, in their spread


class Sides(NamedTuple):
    """What colours say beyond a border, (H, W) each; 0 where nothing is in question.

    Attributes:
        share: how much of a pixel is of the first side, 0..1.
        trust: how far that is to be trusted, 0..1.
        clean: whether a pixel has the second side's colours, and nothing of the first's has run into it.
    """

    share: F32
    trust: F32
    clean: Mask


def judge(color: U8, mine: Mask, theirs: Mask, width: float) -> Sides:
    """Tell two sides apart along their border.

    Args:
        color: (H, W, 3).
        mine, theirs: (H, W), as they are told apart so far.
        width: px beyond the border, on the second side, that are in question.
    """
    share, trust = np.zeros(mine.shape, np.float32), np.zeros(mine.shape, np.float32)
    clean = np.zeros(mine.shape, bool)
    inside, outside = (_depth(side) for side in (mine, theirs))
    # What is told to be of the first side stays: a hand has no inside to take colours from, and would be judged by its sleeve.
    deep = min(width, INNER * float(inside.max(initial=0.0)))
    band = theirs & _near(mine, width) & _near(inside > deep, CLOSE * width)
    rows, columns = np.nonzero(band)
    if not rows.size:
        return Sides(share, trust, clean)
    margin = round(2 * NEAR * width) + 1
    box = tuple(slice(max(int(at.min()) - margin, 0), int(at.max()) + margin + 1) for at in (rows, columns))
    pixels = color[box].astype(np.float32)
    sides = [_colors(pixels, depth[box] > least, NEAR * width) for depth, least in ((inside, deep), (outside, width))]
    (first, first_spread, first_there), (second, second_spread, second_there) = sides
    spread = np.sqrt(0.5 * (first_spread + second_spread))
    apart = np.linalg.norm(first - second, axis=2)
    rising = _rising(apart / spread, APART) * _rising(apart, LEVELS)
    off = [((pixels - mean) ** 2).sum(2) / var for mean, var, _ in sides]
    odds = 0.5 * (off[1] - off[0]) + 1.5 * np.log(second_spread / first_spread)
    likely = cv2.GaussianBlur(np.clip(odds, -8, 8).astype(np.float32), (0, 0), 0.8)
    share[box] = 1 / (1 + np.exp(-STEEP * likely))
    trust[box] = np.where(band[box] & (first_there > LEAST) & (second_there > LEAST), rising, 0)
    clean[box] = (trust[box] > SURE) & (share[box] < LITTLE) & (off[1] < LIKE**2)
    return Sides(share, trust, clean)


def _colors(pixels: F32, side: Mask, sigma: float) -> tuple[F32, F32, F32]:
    """Mean (h, w, 3) and variance (h, w) of a side's colours around each pixel, and the side's share of what is around."""
    weight = side.astype(np.float32)
    there = cv2.GaussianBlur(weight, (0, 0), sigma)
    least = np.maximum(there, 1e-6)[..., None]
    mean = cv2.GaussianBlur(pixels * weight[..., None], (0, 0), sigma) / least
    square = cv2.GaussianBlur(pixels**2 * weight[..., None], (0, 0), sigma) / least
    variance = np.maximum(square - mean**2, 0).mean(2) + NOISE**2
    return mean, np.asarray(variance, np.float32), there


def _rising(values: F32, between: tuple[float, float]) -> F32:
    return np.asarray(np.clip((values - between[0]) / (between[1] - between[0]), 0, 1), np.float32)


def _depth(side: Mask) -> F32:
    """Distance of each pixel of a side to where it ends, px."""
    return np.asarray(cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def _near(side: Mask, width: float) -> Mask:
    return np.asarray(cv2.distanceTransform((~side).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) <= width)
