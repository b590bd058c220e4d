"""What colours tell of arms and hands: what a limb has taken of the body beside it is given back.

The bone of an arm that hangs along the torso may lie at the arm's inner side. What is near it then counts as the arm, and is a
strip of shorts or shirt that comes along when the arm is lifted. Across the limb, from the body outwards, the outer half shows
what the limb looks like there, and the body beside it what the body does.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int8]
Mask = NDArray[np.bool_]

PLACES = 24  # along a limb, at which colours are told
FEW = 6  # pixels that tell a colour, or are a gap
NOISE = 8.0  # levels by which colours of one thing differ at least
APART = 2.0  # distance of both colours, in their spread, from which they are told apart
LEVELS = 90.0  # and in levels: a shade on a sleeve is no border
EVEN = 30.0  # levels by which the limb's own colour may differ: bare skin does less
BARE = 0.5  # share of skin in a limb's outer half, from which it is bare
AWAY = 2.5  # radii about the joints of a hand, beyond which skin is its arm's
STRANGE = 50.0  # levels by which cloth differs from a hand before it
LIGHT = 0.4  # of the distance to the nearest colour of either side, up to which what lies between them is the background
SAMPLES = 64  # colours of a side that are looked at
THORN = 9  # px of the working size: what is thinner beside a hand is its outline
DRESSED = 0.5  # share of skin about the root of a limb, below which it is in a sleeve
SAME, TINT = 0.12, 0.2  # difference of tints, up to which it is the limb, or the other hand, in light or shade,
SHADE = (0.25, 1.6)  # and times as bright
RIM = 1.5  # px of the working size along the outline that tell nothing: the background shines into them
LIKELIER = 3.0  # difference of squared distances, in their spread, from which a pixel is the body's


def given_back(labels: Labels, image: NDArray[np.uint8], limb: int, body: tuple[int, ...], along: Array, skin: Mask) -> Labels:
    """Labels (h, w) in which the inner pixels of a limb that have the colours of the body beside it are the body's.

    The inner side of a bare limb lies in the shade, and is as dark as a dark shirt: it is skin all the same.

    Args:
        labels: part of each pixel, (h, w).
        image: RGB, (h, w, 3).
        limb: the part in question.
        body: parts beside it.
        along: how far each pixel lies along the limb, 0 at its root and 1 at its end, (h, w).
        skin: pixels that show skin, (h, w).
    """
    mine, theirs = labels == limb, np.isin(labels, body)
    if not mine.any() or not theirs.any():
        return labels
    away, owner = nearest_labels(labels, theirs)
    beside = cv2.distanceTransform((~mine).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    inner = cv2.distanceTransform((labels >= 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > RIM
    pixels = image.astype(np.float64)
    out = labels.copy()
    for here, asked, half in _places(mine, away, along):
        own = mine & here
        far = own & inner & (away > half)
        outer = _colors(pixels[far])
        ground = _colors(pixels[theirs & here & (beside <= 2 * half) & (beside > RIM)])
        if outer is None or ground is None:
            continue
        (limb_color, limb_spread), (body_color, body_spread) = outer, ground
        apart = float(np.linalg.norm(limb_color - body_color))
        if limb_spread > EVEN**2 or apart < LEVELS or apart < APART * np.sqrt(0.5 * (limb_spread + body_spread)):
            continue
        if skin[far].mean() > BARE:
            asked[asked] = ~_in_shade(pixels[asked], limb_color, SAME)
        off = [((pixels[asked] - color) ** 2).sum(1) / spread for color, spread in (outer, ground)]
        back = np.zeros_like(asked)
        back[asked] = off[0] - off[1] > LIKELIER
        out[back] = owner[back]
    return out


def daylight(labels: Labels, image: NDArray[np.uint8], limb: int, body: tuple[int, ...], along: Array) -> tuple[Labels, Mask]:
    """Labels (h, w) in which a gap between a limb and the body beside it is nobody's, and the gap, (h, w).

    A matte knows nothing of so narrow a gap, and a strip of the background would come along with the limb. What the limb has
    on the other side of the gap is the body's.

    Args:
        labels, image, limb, body, along: as of `given_back`.
    """
    mine, theirs, nobody = labels == limb, np.isin(labels, body), labels < 0
    gaps, out = np.zeros(labels.shape, bool), labels.copy()
    if not mine.any() or not theirs.any() or not nobody.any():
        return out, gaps
    away, owner = nearest_labels(labels, theirs)
    beside, edge = (cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) for mask in (mine, nobody))
    off_nobody = cv2.distanceTransform(nobody.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    pixels = image.astype(np.float64)
    for here, asked, half in _places(mine, away, along):
        own = mine & here
        sides = (
            nobody & here & (beside <= 4 * half) & (off_nobody > RIM), own & (edge > RIM) & (away > half),
            theirs & here & (beside <= 2 * half) & (beside > RIM),
        )  # fmt: skip
        if min(int(side.sum()) for side in sides) < FEW or not asked.any():
            continue
        outside, arm, torso = (_nearest(pixels[asked], pixels[side]) for side in sides)
        person = np.minimum(arm, torso)
        gap = asked.copy()
        gap[asked] = (person > STRANGE) & (outside < LIGHT * person)
        if gap.any():
            beyond = asked & (away < away[gap].max())
            out[beyond] = owner[beyond]
        gaps |= gap
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(gaps.astype(np.uint8), connectivity=8)
    gaps &= (stats[:, cv2.CC_STAT_AREA] >= FEW)[pieces]
    out[gaps] = -1
    return out, gaps


def sleeveless(labels: Labels, bare: Mask, limb: int, body: int, near: Mask, neck: Mask) -> tuple[Labels, bool]:
    """Labels (h, w) in which the skin of a bare shoulder is none of a sleeve's, and whether the limb wears one.

    Args:
        labels: as in `given_back`.
        bare: pixels that show skin, (h, w).
        limb, body: the parts in question.
        near: what lies about the limb's root, (h, w).
        neck: what lies about the neck, with which the skin of a shoulder hangs together, (h, w).
    """
    root = near & (labels == limb)
    if not root.any() or bare[root].mean() >= DRESSED:
        return labels, False
    mine, theirs = bare & (labels == limb), bare & (labels == body)
    _, pieces = cv2.connectedComponents((mine | theirs).astype(np.uint8), connectivity=4)
    shoulder = root & mine & np.isin(pieces, np.unique(pieces[theirs & neck]))
    return np.where(shoulder, np.int8(body), labels), True


def off_hand(labels: Labels, image: NDArray[np.uint8], hand: int, reach: Array, bare: Mask, arm: Labels) -> Labels:
    """Labels (h, w) in which what is not of a hand's colour is its neighbours', where it is no mere ring or gap.

    Fingers that a network sees where there are none are cloth, and skin away from them is the arm's.

    Args:
        labels, image: as in `given_back`.
        hand: the part in question.
        reach: how near its bones are, in their radii, (h, w).
        bare: pixels that show skin, (h, w).
        arm: the part of its arm that is nearest, (h, w).
    """
    mine, others = labels == hand, (labels >= 0) & (labels != hand)
    pixels = image.astype(np.float64)
    told = _colors(pixels[mine & (reach < 1)])
    if told is None or not others.any():
        return labels
    color, spread = told
    off = ((pixels - color) ** 2).sum(2)
    strange = (mine & ~bare & (off > max(STRANGE**2, APART**2 * spread))).astype(np.uint8)
    strange = cv2.morphologyEx(strange, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    cleaned = np.where(strange > 0, nearest_labels(labels, others)[1], labels)
    return np.where((cleaned == hand) & bare & (reach > AWAY), arm, cleaned)


def without_thorns(labels: Labels, hand: int, arm: tuple[int, ...]) -> Labels:
    """Labels (h, w) in which what an arm has of the outline of a hand before it, too thin for an arm, is the hand's."""
    mine, theirs = (np.isin(labels, parts).astype(np.uint8) for parts in (arm, (hand,)))
    thick = cv2.morphologyEx(mine, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THORN, THORN)))
    beside = cv2.dilate(theirs, np.ones((THORN, THORN), np.uint8))
    return np.where((mine > thick) & (beside > 0), np.int8(hand), labels)


def hand_behind(labels: Labels, image: NDArray[np.uint8], front: int, own: int, near: Mask, nearer: Mask) -> Labels:
    """Labels (h, w) in which skin beside a hand is its own or that of the hand behind it.

    Args:
        labels, image: as in `given_back`.
        front: the hand before it, whose tint it has.
        own: the part that shows the hand behind.
        near: where that may be, (h, w).
        nearer: where the hand before it is nearer, (h, w).
    """
    pixels = image.astype(np.float64)
    told = _colors(pixels[labels == front])
    if told is None:
        return labels
    like = near & _in_shade(pixels, told[0], TINT)
    whole = cv2.morphologyEx(like.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return np.where((whole > 0) & near, np.where(nearer, front, own).astype(np.int8), labels)


def nearest_labels(labels: Labels, known: Mask) -> tuple[NDArray[np.float32], Labels]:
    """Distance of each pixel to the nearest known one, px, and the label of that, both (h, w); some pixel is known."""
    away, index = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(index.max()) + 1, np.int8)
    table[index[known]] = labels[known]
    return away, table[index]


def _places(mine: Mask, away: NDArray[np.float32], along: Array) -> Iterator[tuple[Mask, Mask, float]]:
    """Places along a limb that lies on the body: what is about there, its inner half there, (h, w), and half its width, px.

    Args:
        mine: the limb, (h, w).
        away: distance of each pixel to the body, px.
        along: as of `given_back`.
    """
    place = np.clip((along * PLACES).astype(int), -1, PLACES)
    for number in range(PLACES):
        here = np.abs(place - number) <= 1
        own = mine & here
        if own.sum() >= FEW and away[own].min() <= 2:
            half = 0.5 * float(away[own].max())
            yield here, mine & (place == number) & (away <= half), half


def _nearest(pixels: Array, others: Array) -> Array:
    """Distance of each of pixels (N, 3) to the nearest of some colours (M, 3), (N,)."""
    some = others[:: max(len(others) // SAMPLES, 1)]
    return np.asarray(np.linalg.norm(pixels[:, None] - some[None], axis=2).min(1))


def _in_shade(pixels: Array, color: Array, tint: float) -> Mask:
    """Whether pixels (..., 3) have a colour (3,), in light or shade.

    Args:
        tint: difference of both colours' shares of red, green and blue, below which they are the same.
    """
    light, own = pixels.sum(-1) + 3, color.sum() + 3
    off = np.abs((pixels + 1) / light[..., None] - (color + 1) / own).sum(-1)
    return np.asarray((off < tint) & (light > SHADE[0] * own) & (light < SHADE[1] * own))


def _colors(pixels: Array) -> tuple[Array, float] | None:
    """Median colour (3,) of pixels (N, 3), and their variance about it; None of too few."""
    if len(pixels) < FEW:
        return None
    middle = np.median(pixels, axis=0)
    return middle, float(np.median(((pixels - middle) ** 2).mean(1))) + NOISE**2
