"""Cutting a person into parts: which part of the body each pixel of a picture shows, and what lies hidden behind which.

A pixel goes to the part whose bone is nearest by its limb's radius, an arm or the torso by ways that shun edges. Where two
parts are about equally near, the border is moved to the edges of the picture (watershed). Legs that a skirt joins are no parts:
the whole skirt hangs on the core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import HIPS, KNEES, SHOULDERS, WRISTS
from dreamactor_cli.renderers.geometry.body_below import bare_skin
from dreamactor_cli.renderers.geometry.body_borders import smoothed
from dreamactor_cli.renderers.geometry.body_seams import (
    daylight,
    given_back,
    hand_behind,
    off_hand,
    sleeveless,
    without_thorns,
)
from dreamactor_cli.renderers.geometry.body_skeleton import (
    BONES,
    CARRIERS,
    CORE,
    FINGER_RADIUS,
    HAND_PARTS,
    HAND_RADIUS,
    HEAD,
    HEAD_ENDS,
    HEAD_PART,
    NECK,
    PARTS,
    TORSO,
    Bone,
    Skeleton,
    distances,
    hand_reach,
    head_distance,
    torso_distance,
    torso_outline,
)
from dreamactor_cli.renderers.geometry.body_ways import by_ways

Array = NDArray[np.float64]
F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

WORK_SIZE = 480  # px of the longer side at which parts are told apart
NOBODY = -1
SOMEBODY = 0.4  # alpha from which a pixel is told to be of a part
TORSO_REACH = 0.09  # metres beyond the line between the joints that are as near as a limb's radius
INSIDE = 0.62  # how near the inside of the torso is, in limbs' radii: limbs in front of it are nearer
LEGS = tuple(index for index, name in enumerate(PARTS) if name.endswith(("thigh", "shin", "foot")))
THIGHS = tuple(index for index, name in enumerate(PARTS) if name.endswith("thigh"))
SKIRT_FACING = 0.13  # metres between the hips in the picture from which legs are seen from the front
CHEST = 0.5  # of the way from shoulders to hips that is torso for certain where the hips are not seen
SURE = 0.45  # lead in limbs' radii from which no edge of the picture is asked
BESIDE = 10  # px of the working size around a person in which it is told how near the parts are
AWAY = 1e3  # limbs' radii
OVER, CLAIM = 1.5, 0.4  # radii about the joints of a hand that are nearer to it, by this factor, than to a hand behind it
CUFF = 0.045  # metres beyond a wrist that are the arm's, with cuff and watch, where nothing is seen of the hand
SHOULDER = 0.15  # metres about a shoulder in which it is told whether it is bare, and about the neck that is so then
BESIDE_HAND = 2.0  # radii about the joints of a hand, within which skin is its own unless the hand behind is nearer
BEHIND = 2.0  # radii about the line of a hand behind the other, within which its skin is seen
SKIRT_SPREAD = 1.35  # distance of the knees, in widths of a thigh, from which legs that touch are under a skirt
SKIRT_WIDTH = 1.3  # width of both legs and what they wear, in widths of two bare thighs side by side, from which it is a skirt
ARM_WIDTH = 1.2  # radii of an arm and a hand that count as it where the width of legs is told
SKIRT_ROWS = 3  # of eight lines across the thighs, on which it is that wide
HEM_WIDTH = 1.1  # likewise, of one that ends at a hem
HEM_FROM = 2  # the first of eight lines, on which a hem may be: above it is the torso's
HEM_NARROWS = 0.75  # width two lines below a hem against that above it
SKIRT_FILLED = 0.8  # share of the space between two thighs that a skirt fills
SKIRT_COLOR = 80.0  # of 442: what lies between two thighs and differs more from either is seen between them
SKIRT_AT = (0.3, 0.85)  # from where to where along the thighs


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A picture's pixels by part.

    Attributes:
        labels: (h, w), index in `PARTS` or `NOBODY`, at the scale of ``shrink``.
        reach: (P, h, w), how near each part's bones are in limbs' radii; infinite where a part is not there.
        shrink: px of the labels per px of the picture.
        bare: where the picture shows skin, (H, W).
        sleeves: limbs that wear one.
        gaps: what shows the background between an arm and the torso, (H, W).
        carried: part that carries the bones of each part, (P,): itself, or the core for legs under a skirt and an upright head.
    """

    labels: NDArray[np.int8]
    reach: F32
    shrink: float
    bare: Mask
    sleeves: frozenset[int]
    gaps: Mask
    carried: tuple[int, ...]


def split(image: U8, alpha: F32, skeleton: Skeleton, order: Sequence[int]) -> Split:
    """Tell the parts of a person apart.

    Args:
        image: (H, W, 3), RGB.
        alpha: (H, W), 0..1, how much of a pixel is the person.
        skeleton: of the picture.
        order: parts from the farthest to the nearest, in the picture.
    """
    height, width = alpha.shape
    shrink = min(1.0, WORK_SIZE / max(height, width))
    size = (max(8, round(width * shrink)), max(8, round(height * shrink)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    person = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > SOMEBODY
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    points = (np.stack([columns.ravel(), rows.ravel()], 1) + 0.5) / shrink - 0.5
    carried = _carried(skeleton, small, person, shrink)
    reach = _reach_around(person, points, skeleton, carried)
    if skeleton.behind is not None:
        own, front = CARRIERS[HAND_PARTS[skeleton.behind]], HAND_PARTS[1 - skeleton.behind]
        over = reach[front] < OVER
        reach[front] *= np.where(over, CLAIM, 1.0)
        reach[own] = np.where(over, np.maximum(reach[own], reach[front] + SURE), reach[own])
    near = by_ways(reach, small, person, _units(skeleton, reach, shrink), INSIDE)
    labels = _labels(small, person, _priority(near, order))
    bare = bare_skin(image, skeleton)
    labels, gaps = _with_gaps(labels, small, points, skeleton)
    person &= ~gaps
    labels, sleeves = _told_by_color(labels, small, bare, reach, points, skeleton)
    labels = _whole(smoothed(labels, small, person), reach)  # what was given back leaves steps and islands
    return Split(
        labels=labels, reach=reach.astype(np.float32), shrink=shrink, bare=bare, sleeves=sleeves, carried=carried,
        gaps=cv2.resize(gaps.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0,
    )  # fmt: skip


def _with_gaps(labels: NDArray[np.int8], image: U8, points: Array, skeleton: Skeleton) -> tuple[NDArray[np.int8], Mask]:
    """Labels (h, w) with gaps beside arms, and these, see `Split.gaps`; points of the pixels (h w, 2) px of the picture."""
    gaps = np.zeros(labels.shape, bool)
    for bone in _arms_there(skeleton):
        along = _along(points, skeleton, bone).reshape(labels.shape)
        labels, found = daylight(labels, image, bone.part, (CORE, *THIGHS), along)
        gaps |= found
    return labels, gaps


def _arms_there(skeleton: Skeleton) -> list[Bone]:
    return [bone for bone, there in zip(BONES, skeleton.bones, strict=True) if there and bone.name.endswith("arm")]


def _along(points: Array, skeleton: Skeleton, bone: Bone) -> Array:
    """How far points (N, 2) px lie along a bone, 0 at its start and 1 at its end, (N,)."""
    a, b = skeleton.points[bone.start], skeleton.points[bone.end]
    return np.asarray((points - a) @ (b - a) / max(float((b - a) @ (b - a)), 1e-9))


def _told_by_color(
    labels: NDArray[np.int8], image: U8, bare: Mask, reach: Array, points: Array, skeleton: Skeleton
) -> tuple[NDArray[np.int8], frozenset[int]]:
    """Labels (h, w) of a picture (h, w, 3) by what its colours tell of arms and hands, and which arms wear sleeves.

    Args:
        bare: skin, (H, W).
        reach: (P, h, w); a hand behind the other is added to that of its arm, in place.
        points: of the pixels, (h w, 2) px of the picture.
    """
    skin = cv2.resize(bare.astype(np.uint8), labels.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    arms = _arms_there(skeleton)
    for bone in arms:
        along = _along(points, skeleton, bone).reshape(labels.shape)
        labels = given_back(labels, image, bone.part, (CORE, *THIGHS), along, skin)
    for part in (part for part in HAND_PARTS if np.isfinite(reach[part]).any()):
        parts = _arm_of(part)
        nearest = np.array(parts, np.int8)[reach[list(parts)].argmin(0)]
        labels = off_hand(without_thorns(labels, part, parts), image, part, reach[part], skin, nearest)
    if skeleton.behind is not None:
        near, before = (
            hand_reach(points, skeleton, side).reshape(labels.shape) for side in (skeleton.behind, 1 - skeleton.behind)
        )
        own, front = CARRIERS[HAND_PARTS[skeleton.behind]], HAND_PARTS[1 - skeleton.behind]
        asked = (near < BEHIND) & np.isin(labels, (CORE, own))
        nearer = (before < BESIDE_HAND) & (FINGER_RADIUS * before < HAND_RADIUS * near)
        labels = hand_behind(labels, image, front, own, asked, nearer)
        reach[own] = np.where(labels == own, np.minimum(reach[own], near), reach[own])
    sleeves = set()
    for bone in (bone for bone in arms if bone.start in SHOULDERS):
        about, neck = (
            (np.linalg.norm(points - skeleton.points[at], axis=1) < SHOULDER * skeleton.scale).reshape(labels.shape)
            for at in (bone.start, NECK)
        )
        labels, dressed = sleeveless(labels, skin, bone.part, CORE, about, neck)
        sleeves |= {bone.part} if dressed else set()
    return labels, frozenset(sleeves)


def _arm_of(hand: int) -> tuple[int, int]:
    """Forearm and upper arm of a hand's side."""
    return CARRIERS[hand], CARRIERS[CARRIERS[hand]]


def connected(matte: F32, skeleton: Skeleton) -> F32:
    """The matte (H, W) without what is not connected to the skeleton: other people and things in the background."""
    some = (matte > 0.3).astype(np.uint8)
    count, components = cv2.connectedComponents(some, connectivity=4)
    if count <= 2:
        return matte
    line = bones_mask(skeleton, matte.shape, 0.35)
    kept = np.unique(components[(line > 0) & (some > 0)])
    mask = np.isin(components, kept[kept > 0])
    if not mask.any():
        return matte
    size = 2 * round(0.01 * max(matte.shape)) + 1
    near = cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8))
    return np.where(near > 0, matte, 0).astype(np.float32)


def bones_mask(skeleton: Skeleton, shape: tuple[int, ...], share: float) -> U8:
    """255 inside the torso, and within a share of the limbs' radii about the bones that are seen well, (H, W)."""
    mask = np.zeros(shape, np.uint8)
    corners = torso_outline(skeleton)
    seen = all(_seen(skeleton, hip) for hip in HIPS)
    corners[2:] = corners[[1, 0]] + (1.0 if seen else CHEST) * (corners[2:] - corners[[1, 0]])
    inner = corners.mean(0) + 2 * share * (corners - corners.mean(0))
    cv2.fillConvexPoly(mask, np.rint(inner).astype(np.int32), 255)
    for bone, there in zip(BONES, skeleton.bones, strict=True):
        if there and bone.start != bone.end and _seen(skeleton, bone.start) and _seen(skeleton, bone.end):
            a, b = (tuple(np.rint(skeleton.points[p]).astype(int).tolist()) for p in (bone.start, bone.end))
            cv2.line(mask, a, b, 255, max(1, round(2 * share * skeleton.scale * min(bone.radii))))
    return mask


def _seen(skeleton: Skeleton, point: int) -> bool:
    return point >= len(skeleton.score) or bool(skeleton.score[point] > 0.65)


def _carried(skeleton: Skeleton, image: U8, person: Mask, shrink: float) -> tuple[int, ...]:
    """See `Split.carried`."""
    own = list(range(len(PARTS)))
    if not skeleton.bowed:
        own[HEAD_PART] = CORE
    thighs = [PARTS.index("left_thigh"), PARTS.index("right_thigh")]
    if not all(part in skeleton.parts for part in thighs):
        return tuple(own)
    hips, knees = skeleton.points[list(HIPS)], skeleton.points[list(KNEES)]
    if np.linalg.norm(hips[0] - hips[1]) < SKIRT_FACING * skeleton.scale:
        return tuple(own)  # from the side, one leg is seen through the other
    thigh = 2 * 0.08 * skeleton.scale
    apart = float(np.linalg.norm(knees[0] - knees[1])) / thigh
    filled, wide = [], []
    for t in np.linspace(*SKIRT_AT, 8):
        ends = hips + t * (knees - hips)
        between = ends[0] + np.linspace(0.3, 0.7, 9)[:, None] * (ends[1] - ends[0])
        filled.append(_share(person & _like(image, ends, shrink), between, shrink))
        across = np.linspace(-4.0, 4.0, 65)
        direction = (ends[1] - ends[0]) / max(float(np.linalg.norm(ends[1] - ends[0])), 1e-6)
        line = ends.mean(0) + across[:, None] * thigh * direction
        legs = line[_arms(line, skeleton) > ARM_WIDTH]  # hands hang beside them
        width = 8 * thigh * _share(person, legs, shrink) * len(legs) / len(line)
        wide.append(width / (np.linalg.norm(ends[1] - ends[0]) + thigh))
    flared = (np.array(wide) > SKIRT_WIDTH) & (np.array(filled) > SKIRT_FILLED)
    joined = apart > SKIRT_SPREAD and np.mean(filled) > SKIRT_FILLED
    if joined or flared.sum() >= SKIRT_ROWS or _hem(np.array(wide), np.array(filled)):
        for part in thighs:
            own[part] = CORE
    return tuple(own)


def _arms(points: Array, skeleton: Skeleton) -> Array:
    """How near the bones of arms and hands are to points (N, 2) px, in their radii, (N,)."""
    near = np.full(len(points), np.inf)
    for bone, there in zip(BONES, skeleton.bones, strict=True):
        if there and bone.start in WRISTS:
            near = np.minimum(near, hand_reach(points, skeleton, WRISTS.index(bone.start)))
        elif there and bone.name.endswith("arm"):
            near = np.minimum(near, np.divide(*distances(points, skeleton, bone)))
    return near


def _hem(wide: Array, filled: Array) -> bool:
    """Whether two legs together are wide down to a hem, and bare below it; widths and fillings as in `_carried`, (8,)."""
    narrower = wide[2:] < HEM_NARROWS * wide[:-2]
    whole = np.array([filled[: row + 1].mean() for row in range(len(narrower))]) > SKIRT_FILLED
    return bool((narrower & whole & (wide[:-2] > HEM_WIDTH))[HEM_FROM:].any())


def _like(image: U8, points: Array, shrink: float) -> Mask:
    """Where a picture (h, w, 3) has about the colour that it has at one of points (N, 2) px, (h, w)."""
    x, y = np.rint((points + 0.5) * shrink - 0.5).astype(int).T
    x, y = np.clip(x, 0, image.shape[1] - 1), np.clip(y, 0, image.shape[0] - 1)
    off = image[:, :, None].astype(np.float32) - image[y, x].astype(np.float32)
    return np.asarray(np.linalg.norm(off, axis=3).min(2) < SKIRT_COLOR)


def _share(person: Mask, points: Array, shrink: float) -> float:
    """Share of points (N, 2) px of the picture that show the person; what lies outside the picture shows nobody."""
    x, y = np.rint((points + 0.5) * shrink - 0.5).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < person.shape[1]) & (y < person.shape[0])
    return float(person[y[inside], x[inside]].sum() / len(points))


def _reach_around(person: Mask, points: Array, skeleton: Skeleton, carried: tuple[int, ...]) -> Array:
    """`_reach` of the pixels (h, w) of a person and beside it, (P, h, w); `AWAY` elsewhere, where nobody asks for it."""
    asked = cv2.dilate(person.astype(np.uint8), np.ones((2 * BESIDE + 1, 2 * BESIDE + 1), np.uint8)) > 0
    found = _reach(points[asked.ravel()], skeleton, carried)
    out = np.where(np.isfinite(found).any(1)[:, None, None], AWAY, np.full(person.shape, np.inf))
    out[:, asked] = found
    return out


def _reach(points: Array, skeleton: Skeleton, carried: tuple[int, ...]) -> Array:
    """How near each part's bones are to points (N, 2) px, in limbs' radii, (P, N)."""
    out = np.full((len(PARTS), len(points)), np.inf)
    for index, bone in enumerate(BONES):
        if not skeleton.bones[index]:
            continue
        if index == TORSO:
            near = INSIDE + torso_distance(points, skeleton) / (TORSO_REACH * skeleton.scale)
        elif index == HEAD and skeleton.bowed:
            near = np.maximum(INSIDE + head_distance(points, skeleton) / HEAD_ENDS, 0)  # ends where the torso begins
        elif bone.start in WRISTS:
            if WRISTS.index(bone.start) == skeleton.behind:
                continue
            near = hand_reach(points, skeleton, WRISTS.index(bone.start))
        else:
            distance, radius = distances(points, skeleton, bone, CUFF if _ends_hidden(bone, skeleton) else 0.0)
            near = distance / radius
        part = _part_of(bone, skeleton, carried)
        out[part] = np.minimum(out[part], near)
    return out


def _ends_hidden(bone: Bone, skeleton: Skeleton) -> bool:
    """Whether a bone ends where nothing is seen of its hand."""
    return skeleton.hidden is not None and bone.end == WRISTS[skeleton.hidden]


def _units(skeleton: Skeleton, reach: Array, shrink: float) -> dict[int, float]:
    """Px of the working size that are a limb's radius, of the arms that are there and of the torso."""
    metre = skeleton.scale * shrink
    arms = {bone.part: float(np.mean(bone.radii)) * metre for bone in BONES if bone.name.endswith("arm")}
    return {part: unit for part, unit in arms.items() if np.isfinite(reach[part]).any()} | {CORE: TORSO_REACH * metre}


def _part_of(bone: Bone, skeleton: Skeleton, carried: tuple[int, ...]) -> int:
    """The part that shows a bone: its own, or that of a hand whose fingers move."""
    if bone.start in WRISTS and skeleton.fine(WRISTS.index(bone.start)):
        return HAND_PARTS[WRISTS.index(bone.start)]
    return carried[bone.part]


def _priority(reach: Array, order: Sequence[int]) -> Array:
    """`_reach` where a limb behind the torso yields to it; the lowest has a pixel."""
    out = reach.copy()
    inside = reach[CORE] < 1.0
    for part in order[: list(order).index(CORE)]:
        if part not in LEGS:
            out[part] = np.where(inside, np.maximum(out[part], reach[CORE] + 0.3), out[part])
    return out


def _labels(image: U8, person: Mask, reach: Array) -> NDArray[np.int8]:
    """Part of each pixel, (h, w)."""
    order = np.sort(reach, axis=0)
    first = reach.argmin(0)
    with np.errstate(invalid="ignore"):
        lead = order[1] - order[0]
    sure = person & ((lead > SURE) | ~np.isfinite(lead))
    markers = np.where(sure, first + 2, 0).astype(np.int32)
    markers[~person] = 1
    # The border to nobody is known from the matte: pixels there must not be drawn into it by an edge.
    smooth = cv2.GaussianBlur(image, (0, 0), 0.8)
    cv2.watershed(np.ascontiguousarray(smooth), markers)
    labels = np.where(markers >= 2, markers - 2, first).astype(np.int8)
    return _whole(smoothed(labels, image, person), reach)


def _whole(labels: NDArray[np.int8], reach: Array) -> NDArray[np.int8]:
    """Labels without islands: what does not hang together with its part's bone goes to the part around it."""
    out = labels.copy()
    for part in range(len(PARTS)):
        own = (out == part).astype(np.uint8)
        if not own.any():
            continue
        count, components = cv2.connectedComponents(own, connectivity=4)
        near = np.unique(components[(own > 0) & (reach[part] < 0.8)])
        for island in set(range(1, count)) - set(near.tolist()):
            there = components == island
            ring = cv2.dilate(there.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~there & (out >= 0)
            out[there] = np.bincount(out[ring]).argmax() if ring.any() else part
    return out
