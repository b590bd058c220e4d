"""How far parts go on below what hides them: a limb as wide as it is seen, a torso as far as it can be.

Nobody sees where a torso ends below an arm. But it is between the shoulders and the hips, a little wider than the lines between
them and than what is seen of it; and where nobody is seen beside it, before an arm that hangs there, it has ended.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import HIPS, SHOULDERS
from dreamactor_cli.renderers.geometry.body_skeleton import BONES, Skeleton, torso_distance
from dreamactor_cli.renderers.geometry.layers import dilate

Array = NDArray[np.float64]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
U8 = NDArray[np.uint8]

MOST = 0.85  # of a limb's radius that lies below what is in front of it
ALONG = np.linspace(-0.3, 1.7, 21)  # places along a limb's bone, from its root to beyond its end, at which its width is told
FINELY = np.linspace(-0.3, 1.7, 61)  # likewise
GAP = 3.0  # px beside a limb that show something else before what is in front of it begins
SURELY = 1.3  # of a limb's radius, within which a limb lies between what is seen of it
WIDEST = 95.0  # percentile of the distances of its pixels from the bone that is its width there
ENOUGH = 12  # pixels that tell a width
SHREDS = 0.06  # metres, of a torso below an arm
PIECE = 0.1  # of the largest piece of the torso: smaller ones are specks of it beyond an arm
PATCH = 0.1  # of arms that hang along the torso: smaller spots of the colour of skin are their cloth's
BARE = 0.5  # share of skin in what an arm shows at some height, from which it is bare there
EVENLY = 7  # rows over which that is told
OUTSIDE = 0.06  # metres outside the line between shoulder and hip that lie below an arm
BEFORE = 0.04  # metres of a torso, with its clothes, that an arm hides which hangs along it
BULGES = 0.025  # metres that a torso is hidden beyond the hull of what is seen of it
ROWS = np.linspace(-0.2, 1.4, 81)  # places along the spine at which the torso's width is told, in its lengths
EDGE = 0.01  # metres that a torso is wider than it is seen before a bare arm
FACE_SKIN = (0, 9, 10)  # joints of a face: nose and corners of the mouth
FACE_SEEN = 0.6
TINT = 0.09  # difference of two colours' shares of red, green and blue, up to which both are one skin's
ROUND_ABOUT = 0.012  # metres about skin that count as skin: its outline has colours of both
SHADE = (0.4, 1.6)  # times as bright as the face
SHOULDER_RISES, NECK_RISES = 0.05, 0.09  # metres of shoulders and neck above the line between the shoulders
HANGS = np.radians(30.0)  # off the spine, up to which an arm hangs along the torso
LOOKS = 48  # places between a point and the spine, at which it is asked whether anybody is there


def hidden_limb(part: int, own: Mask, covered: Mask, reach: F32, skeleton: Skeleton) -> Mask:
    """Where a limb goes on below what lies in front of it, (H, W): as far from its bone as where it is seen.

    Args:
        own: pixels that show the limb, (H, W).
        covered: those that show what is in front of it.
        reach: how near its bones are, in limbs' radii, (H, W).
    """
    found = covered & (reach < MOST)
    bones = [bone for bone in BONES if bone.part == part]
    if not bones:  # a hand with its fingers
        return found
    start, end = skeleton.points[bones[0].start], skeleton.points[bones[0].end]
    axis = (end - start) / max(float((end - start) @ (end - start)), 1e-9)
    at, asked = ((_points(mask) - start) @ axis for mask in (own, found))
    bins, far = np.digitize(at, ALONG), reach[own]
    widths = np.full(len(ALONG) - 1, np.nan)
    for number in range(1, len(ALONG)):
        if (bins == number).sum() >= ENOUGH:
            widths[number - 1] = np.percentile(far[bins == number], WIDEST)
    told = np.isfinite(widths)
    if told.any():
        middle = (ALONG[1:] + ALONG[:-1]) / 2
        found[found] = reach[found] <= np.interp(asked, middle[told], widths[told])
    return found | _between_ends(own, covered & (reach < SURELY), covered, start, axis)


def _between_ends(own: Mask, asked: Mask, covered: Mask, start: Array, axis: Array) -> Mask:
    """Where a limb, on either side of its bone, is no wider than at both ends of what is covered, (H, W).

    Args:
        own, covered: as of `hidden_limb`.
        asked: where it may be, (H, W).
        start: of its bone, (2,) px.
        axis: along the bone, (2,) per px: 1 at its end.
    """
    across = np.array([-axis[1], axis[0]]) / max(float(np.linalg.norm(axis)), 1e-9)
    points = [_points(mask) - start for mask in (own, covered, asked)]
    places = [np.digitize(at @ axis, FINELY) for at in points]
    inside = np.zeros(len(points[2]), bool)
    for side in (-1.0, 1.0):
        mine, others, wanted = (side * at @ across for at in points)
        ends, begins = np.full(len(FINELY) + 1, -np.inf), np.full(len(FINELY) + 1, np.inf)
        np.maximum.at(ends, places[0][mine > 0], mine[mine > 0])
        beyond = others > ends[places[1]]
        np.minimum.at(begins, places[1][beyond], others[beyond])
        told = np.flatnonzero(np.isfinite(ends) & (begins > ends + GAP))
        if len(told) < 2:
            continue
        after = np.searchsorted(told, np.arange(len(ends))).clip(1, len(told) - 1)
        narrower = np.minimum(ends[told[after - 1]], ends[told[after]])
        between = (np.arange(len(ends)) > told[0]) & (np.arange(len(ends)) < told[-1])
        inside |= (wanted > 0) & between[places[2]] & (wanted <= narrower[places[2]])
    out = np.zeros(own.shape, bool)
    out[asked] = inside
    return out


def hidden_torso(own: Mask, covered: Mask, labels: NDArray[np.int8], nobody: Mask, bare: Mask, skeleton: Skeleton) -> Mask:
    """Where the core goes on below what lies in front of it, (H, W).

    Args:
        own: pixels that show the core, (H, W).
        covered: those that show what is in front of it.
        labels: part of each pixel.
        nobody: pixels that show nobody.
        bare: pixels that show skin.
        skeleton: of the picture.
    """
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(own.astype(np.uint8), connectivity=4)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    whole = np.isin(pieces, 1 + np.flatnonzero(sizes >= PIECE * sizes.max()))
    found = np.zeros(own.shape, bool)
    far = torso_distance(_points(covered), skeleton)
    found[covered] = far < OUTSIDE * skeleton.scale
    between = np.zeros(own.shape, bool)
    between[covered] = far == 0
    along = np.isin(labels, _hanging(skeleton))
    found |= _beside(whole, covered & along, skeleton)
    found &= _hull(whole, skeleton) | between
    skin = _without_spots(_bare_arms(labels, bare, skeleton), PATCH * along.sum())
    found &= ~(skin & _beyond_seen(whole, found, skeleton))  # before a bare arm the torso is seen to end
    if skeleton.bowed:
        found |= covered & _neckline(own.shape, skeleton)
    return hanging_together(whole, found & ~_ended_before(found, nobody, skeleton), SHREDS * skeleton.scale)


def hanging_together(torso: Mask, hidden: Mask, shreds: float) -> Mask:
    """What is hidden of a torso without shreds narrower than ``shreds`` px, and without what is no piece with what is seen."""
    size = 2 * round(0.5 * shreds) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    both = cv2.morphologyEx((torso | hidden).astype(np.uint8), cv2.MORPH_OPEN, disc) | torso.astype(np.uint8)
    _, pieces = cv2.connectedComponents(both, connectivity=4)
    return np.asarray(hidden & np.isin(pieces, np.unique(pieces[torso])))


def _bare_arms(labels: NDArray[np.int8], bare: Mask, skeleton: Skeleton) -> Mask:
    """Arms that hang along the torso, where most of what they show at that height is skin, (H, W).

    Their outlines, in the shade, have not its colour.
    """
    chest, spine = _spine(skeleton)
    out = np.zeros(labels.shape, bool)
    for part in _hanging(skeleton):
        arm = labels == part
        rows = np.digitize((_points(arm) - chest) @ spine / max(float(spine @ spine), 1e-9), ROWS)
        all_of_it, skin = (
            np.convolve(np.bincount(rows[chosen], minlength=len(ROWS) + 1), np.ones(EVENLY), "same")
            for chosen in (np.ones(len(rows), bool), bare[arm])
        )
        out[arm] = (skin > BARE * all_of_it)[rows]
    return out


def _without_spots(mask: Mask, least: float) -> Mask:
    """A mask (H, W) without pieces of fewer than ``least`` px."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    return np.asarray(mask & (stats[:, cv2.CC_STAT_AREA] >= least)[pieces])


def _points(mask: Mask) -> Array:
    """Where a mask is, (N, 2) px."""
    rows, columns = np.nonzero(mask)
    return np.stack([columns, rows], 1).astype(np.float64)


def _spine(skeleton: Skeleton) -> tuple[Array, Array]:
    """Between the shoulders, (2,) px, and from there to between the hips."""
    chest, hips = (skeleton.points[list(pair)].mean(0) for pair in (SHOULDERS, HIPS))
    return chest, hips - chest


def _hanging(skeleton: Skeleton) -> list[int]:
    """Parts of arms that hang along the torso."""
    _, spine = _spine(skeleton)
    return [
        bone.part for bone, there in zip(BONES, skeleton.bones, strict=True)
        if there and bone.name.endswith("arm") and _along(skeleton.points[bone.end] - skeleton.points[bone.start], spine)
    ]  # fmt: skip


def _beside(torso: Mask, hanging: Mask, skeleton: Skeleton) -> Mask:
    """Where the torso goes on below arms that hang along it, (H, W): its side is not where an arm begins to hide it."""
    chest, spine = _spine(skeleton)
    found = hanging & (dilate(torso, 2 * BEFORE * skeleton.scale) > 0)
    found[found] = (_points(found) - chest) @ spine < float(spine @ spine)  # further down there are legs
    return found


def _along(a: Array, b: Array) -> bool:
    return float(a @ b) > np.cos(HANGS) * float(np.linalg.norm(a) * np.linalg.norm(b))


def _hull(torso: Mask, skeleton: Skeleton) -> Mask:
    """The hull of what is seen of the torso below the shoulders, and a little more, (H, W)."""
    chest, spine = _spine(skeleton)
    seen = _points(torso)
    seen = seen[(seen - chest) @ spine > 0]
    out = np.zeros(torso.shape, np.uint8)
    if len(seen):
        cv2.fillConvexPoly(out, cv2.convexHull(seen.astype(np.int32)), 1)
    return dilate(out > 0, 2 * BULGES * skeleton.scale) > 0


def _neckline(shape: tuple[int, ...], skeleton: Skeleton) -> Mask:
    """Where a torso is whose shoulders rise to the neck below a head that hangs before them, (H, W)."""
    chest, spine = _spine(skeleton)
    up = -spine / max(float(np.linalg.norm(spine)), 1e-6) * skeleton.scale
    left, right, *hips = skeleton.points[[*SHOULDERS, *HIPS[::-1]]]
    out = np.zeros(shape, np.uint8)
    corners = [left, left + SHOULDER_RISES * up, chest + NECK_RISES * up, right + SHOULDER_RISES * up, right, *hips]
    cv2.fillConvexPoly(out, np.rint(corners).astype(np.int32), 1)
    return out > 0


def _beyond_seen(torso: Mask, hidden: Mask, skeleton: Skeleton) -> Mask:
    """Where the torso would be wider than it is seen at that height, (H, W)."""
    chest, spine = _spine(skeleton)
    length = max(float(np.linalg.norm(spine)), 1e-6)
    across = np.array([-spine[1], spine[0]]) / length
    seen, asked = _points(torso), _points(hidden)
    rows = [np.digitize((points - chest) @ spine / length**2, ROWS) for points in (seen, asked)]
    out = np.zeros(torso.shape, bool)
    beyond = np.zeros(len(asked), bool)
    for side in (-1.0, 1.0):
        widths = np.full(len(ROWS) + 1, -np.inf)
        np.maximum.at(widths, rows[0], side * (seen - chest) @ across)
        widths[np.isinf(widths)] = np.inf  # where nothing of it is seen, nobody knows
        beyond |= side * (asked - chest) @ across > widths[rows[1]] + EDGE * skeleton.scale
    out[hidden] = beyond
    return out


def bare_skin(color: U8, skeleton: Skeleton) -> Mask:
    """Where a picture (H, W, 3) has the colour of the face's skin, in light or shade, (H, W)."""
    height, width = color.shape[:2]
    points = np.rint(skeleton.points[list(FACE_SKIN)]).astype(int)
    inside = ((points >= 0) & (points < [width, height])).all(1) & (skeleton.score[list(FACE_SKIN)] > FACE_SEEN)
    if not inside.any():
        return np.zeros((height, width), bool)
    smooth = cv2.blur(color, (5, 5)).astype(np.float32) + 1
    skin = np.median(smooth[points[inside, 1], points[inside, 0]], axis=0)
    light, own = smooth.sum(2), float(skin.sum())
    off = np.abs(smooth / light[..., None] - skin / own).sum(2)
    like = (off < TINT) & (light > SHADE[0] * own) & (light < SHADE[1] * own)
    return dilate(like, 2 * ROUND_ABOUT * skeleton.scale) > 0


def _ended_before(hidden: Mask, nobody: Mask, skeleton: Skeleton) -> Mask:
    """Where the torso has ended already, since between there and the spine nobody is seen, (H, W)."""
    chest, spine = _spine(skeleton)
    points = _points(hidden)
    along = np.clip((points - chest) @ spine / max(float(spine @ spine), 1e-9), 0, 1)
    inwards = chest + along[:, None] * spine - points
    gone = np.zeros(len(points), bool)
    for share in np.linspace(0, 1, LOOKS):
        x, y = np.rint(points + share * inwards).astype(int).T
        gone |= nobody[np.clip(y, 0, nobody.shape[0] - 1), np.clip(x, 0, nobody.shape[1] - 1)]
    out = np.zeros(hidden.shape, bool)
    out[hidden] = gone
    return out
