"""Bones and parts of a body: what a picture of a person is cut into, and where it lies in the picture.

A bone is a segment between two joints. A part is what is drawn as one layer: it follows the bones of its own and, beside a
joint that it shares with another part, the bones of that one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import (
    EARS,
    FINGERS,
    HIPS,
    MOUTH,
    NUM_JOINTS,
    SHOULDERS,
    SHOWN,
    WRISTS,
    guessed_joints,
    shown_joints,
)
from dreamactor_cli.contracts import Body, Hands

Array = NDArray[np.float64]

# Points that are no joints of their own: the knuckles of both hands, the base of the neck, the middle of the head.
KNUCKLES = (NUM_JOINTS, NUM_JOINTS + 1)
NECK, SKULL = NUM_JOINTS + 2, NUM_JOINTS + 3
NUM_POINTS = NUM_JOINTS + 4

HEAD_WIDE, CHIN_WIDE = 0.085, 0.07  # metres, half the width of a head with its hair, and about the mouth, with throat and collar
CROWN = 0.08  # metres from the middle of the head towards its crown, around which it is as wide
HEAD_ENDS = 0.015  # metres beyond its outline that are as far as a limb's radius
BOWED = 0.14  # metres in the picture from neck to ears, below which a head hangs before the chest
HAND_OFF = 0.12  # metres that the wrist of a hand may lie beside that of the arm
BARE_HAND, NO_HAND = 0.6, 0.4  # shares of skin on a bare hand, and where a hand would be that is hidden
ONE_HAND = 0.3  # of a palm's length: two hands whose joints lie no further apart are one, seen twice


class Bone(NamedTuple):
    """A segment.

    Attributes:
        start, end: points of the skeleton.
        radii: of the limb at both ends, metres.
        part: index in `PARTS`.
    """

    name: str
    start: int
    end: int
    radii: tuple[float, float]
    part: int


class Joint(NamedTuple):
    """Where two parts meet: a point of the skeleton, and the radius in metres within which they overlap."""

    point: int
    radius: float
    parts: tuple[int, int]


SIDES = ("left", "right")
FINE = 40.0  # px, the least size of a hand whose fingers move,
FINE_FOR_TWO = 16.0  # and of one that is drawn in place of the other too
CORE = 0
PARTS = (
    "core", "left_upper_arm", "left_forearm", "right_upper_arm", "right_forearm", "left_thigh", "left_shin", "right_thigh",
    "right_shin", "left_hand", "right_hand", "head", "left_foot", "right_foot",
)  # fmt: skip
HAND_PARTS = (9, 10)
FOOT_PARTS = (12, 13)
HEAD_PART = 11  # carried by the core, unless it hangs before it
CARRIERS = {2: 1, 4: 3, 9: 2, 10: 4, 6: 5, 8: 7, 12: 6, 13: 8}  # what hangs on which limb, from the body outwards
TORSO, HEAD = 0, 1  # bones


def _limbs(side: int) -> tuple[list[Bone], list[Joint]]:
    """Bones and joints of the arm and the leg of a side, 0 left and 1 right."""
    shoulder, hip, wrist = SHOULDERS[side], HIPS[side], WRISTS[side]
    upper, fore, thigh, shin = 1 + 2 * side, 2 + 2 * side, 5 + 2 * side, 6 + 2 * side
    elbow, knee, ankle, toes = shoulder + 2, hip + 2, hip + 4, hip + 8
    label = SIDES[side]
    bones = [
        Bone(f"{label}_upper_arm", shoulder, elbow, (0.085, 0.065), upper),
        Bone(f"{label}_forearm", elbow, wrist, (0.062, 0.045), fore),
        Bone(f"{label}_hand", wrist, KNUCKLES[side], (0.045, 0.055), fore),
        Bone(f"{label}_thigh", hip, knee, (0.115, 0.080), thigh),
        Bone(f"{label}_shin", knee, ankle, (0.078, 0.055), shin),
        Bone(f"{label}_foot", ankle, toes, (0.060, 0.055), FOOT_PARTS[side]),
    ]
    joints = [
        Joint(shoulder, 0.10, (CORE, upper)), Joint(elbow, 0.07, (upper, fore)), Joint(hip, 0.13, (CORE, thigh)),
        Joint(knee, 0.09, (thigh, shin)), Joint(wrist, 0.05, (fore, HAND_PARTS[side])),
        Joint(ankle, 0.06, (shin, FOOT_PARTS[side])),
    ]  # fmt: skip
    return bones, joints


_LEFT, _RIGHT = _limbs(0), _limbs(1)
BONES: tuple[Bone, ...] = (
    Bone("torso", NECK, NECK, (0.09, 0.09), CORE), Bone("head", NECK, SKULL, (0.075, 0.12), HEAD_PART), *_LEFT[0], *_RIGHT[0],
)  # fmt: skip
JOINTS: tuple[Joint, ...] = (*_LEFT[1], *_RIGHT[1])
BONE_INDEX = {bone.name: index for index, bone in enumerate(BONES)}


def other_side(part: int) -> int:
    """The part on the other side of the body; the core is its own."""
    name = PARTS[part]
    for mine, theirs in (SIDES, SIDES[::-1]):
        if name.startswith(mine):
            return PARTS.index(name.replace(mine, theirs))
    return part


def with_points(joints: Array) -> Array:
    """Joints (..., 33, d) with the points of `BONES` that are none, (..., 37, d)."""
    knuckles = [joints[..., [fingers[0], fingers[1]], :].mean(-2) for fingers in FINGERS]
    neck = joints[..., list(SHOULDERS), :].mean(-2)
    skull = joints[..., list(EARS), :].mean(-2)
    return np.concatenate([joints, np.stack([*knuckles, neck, skull], -2)], -2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """The skeleton of one picture.

    Attributes:
        points: (37, 2), px.
        depth: (37,), metres, larger is farther.
        score: (33,), how well a joint is seen.
        scale: px per metre.
        bones: which of `BONES` the picture shows, (B,) bool.
        hands: joints of the left and the right hand, (21, 2) px each; None where they are not seen.
        bowed: whether the head hangs before the chest, and no face is seen of it.
        behind: side of the hand that lies behind the other, None if neither does.
        hidden: side of the hand that nothing is seen of, as of one in a pocket, while the other is; None if there is none.
        least: px, of a hand whose fingers move.
    """

    points: Array
    depth: Array
    score: Array
    scale: float
    bones: NDArray[np.bool_]
    hands: tuple[Array | None, Array | None]
    bowed: bool
    behind: int | None = None
    hidden: int | None = None
    least: float = FINE

    @property
    def parts(self) -> list[int]:
        """Parts of which the picture shows a bone, or a hand with its fingers."""
        hands = {HAND_PARTS[side] for side in (0, 1) if self.fine(side)}
        return sorted({bone.part for bone, there in zip(BONES, self.bones, strict=True) if there} | hands)

    def fine(self, side: int) -> bool:
        """Whether the picture shows the fingers of a hand, large enough to be moved one by one."""
        hand = self.hands[side]
        return (
            hand is not None
            and bool(self.bones[BONE_INDEX[f"{SIDES[side]}_hand"]])
            and float(np.ptp(hand, axis=0).max()) >= self.least
        )

    @property
    def joints(self) -> list[Joint]:
        """Joints between parts that are there."""
        parts = self.parts
        return [joint for joint in JOINTS if joint.parts[0] in parts and joint.parts[1] in parts]


def skeleton_of(body: Body, hands: Hands | None, frame: int, width: int, height: int, *, face: bool = False) -> Skeleton:
    """The skeleton of picture number ``frame``, of width x height px; with a face the head is never taken for a bowed one."""
    joints, space = body.joints_2d[frame].astype(np.float64), body.joints_3d[frame].astype(np.float64)
    score = body.score[frame].astype(np.float64)
    weights = np.maximum(score, 0.02)
    spread = [(weights[:, None] * (xy - np.average(xy, axis=0, weights=weights)) ** 2).sum() for xy in (joints, space[:, :2])]
    scale = float(np.sqrt(spread[0] / max(spread[1], 1e-9)))
    points = with_points(joints)
    neck = float(np.linalg.norm(points[SKULL] - points[NECK]))
    found, behind = _told_apart(_hand(hands, frame, 0, joints, scale), _hand(hands, frame, 1, joints, scale), points)
    return Skeleton(
        points=points, depth=with_points(space)[:, 2], score=score, scale=scale,
        bones=_bones_there(guessed_joints(body, width, height, frame), shown_joints(body, width, height, frame)),
        hands=found, behind=behind,
        bowed=not face and neck < BOWED * scale,
    )  # fmt: skip


def _hand(hands: Hands | None, frame: int, side: int, joints: Array, scale: float) -> Array | None:
    """Joints of a hand (21, 2) px, if it was seen where the arm ends."""
    if hands is None or hands.score[frame, side] < SHOWN:
        return None
    found = hands.joints_2d[frame, side].astype(np.float64)
    near = np.linalg.norm(found[0] - joints[WRISTS[side]]) < HAND_OFF * scale
    large = np.linalg.norm(found[9] - found[0]) < 2 * HAND_OFF * scale
    return found if near and large else None


def _told_apart(left: Array | None, right: Array | None, points: Array) -> tuple[tuple[Array | None, Array | None], int | None]:
    """Both hands (21, 2) px, and the side of the one behind: one taken for either is the arm's that points as it does."""
    if left is None or right is None:
        return (left, right), None
    palm = float(np.linalg.norm(left[9] - left[0]))
    if float(np.linalg.norm(left - right, axis=1).mean()) > ONE_HAND * palm:
        return (left, right), None
    off = []
    for side, hand in enumerate((left, right)):
        arm, own = points[KNUCKLES[side]] - points[WRISTS[side]], hand[[5, 17]].mean(0) - hand[0]
        off.append(-float(arm @ own) / max(float(np.linalg.norm(arm) * np.linalg.norm(own)), 1e-9))
    return ((left, None), 1) if off[0] < off[1] else ((None, right), 0)


def without_hidden_hand(skeleton: Skeleton, bare: NDArray[np.bool_]) -> Skeleton:
    """The skeleton without the bone of a hand where no skin is seen (H, W), while the other hand shows its own."""
    smaller = replace(skeleton, least=FINE_FOR_TWO)
    for side, other in ((0, 1), (1, 0)):
        index, hand = BONE_INDEX[f"{SIDES[side]}_hand"], skeleton.hands[other]
        if hand is None or not smaller.fine(other):
            continue
        if skeleton.hands[side] is None and skeleton.behind != side and skeleton.bones[index]:
            wrist, knuckles = skeleton.points[WRISTS[side]], skeleton.points[KNUCKLES[side]]
            line = wrist + np.linspace(0.3, FINGERS_BEYOND, 16)[:, None] * (knuckles - wrist)
            if _share(bare, hand) > BARE_HAND and _share(bare, line) < NO_HAND:
                bones = skeleton.bones.copy()
                bones[index] = False
                return replace(smaller, bones=bones, hidden=side)
    return skeleton


def _share(mask: NDArray[np.bool_], points: Array) -> float:
    """Share of points (N, 2) px on a mask (H, W); what lies outside it is not."""
    x, y = np.rint(points).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    return float(mask[y[inside], x[inside]].sum() / len(points))


def _bones_there(guessed: NDArray[np.bool_], shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which bones a picture shows: both ends are about known, one is seen, and the bone that carries it is there."""
    there = np.ones(len(BONES), bool)
    guessed, shown = _with_knuckles(guessed), _with_knuckles(shown)
    for index, bone in enumerate(BONES[2:], 2):
        carried = bone.start in (*SHOULDERS, *HIPS) or there[index - 1]
        there[index] = carried and guessed[bone.start] and guessed[bone.end] and (shown[bone.start] or shown[bone.end])
        # A limb of which only the root is seen is no limb to move: a thigh that ends at the picture's border.
        if bone.start in (*SHOULDERS, *HIPS):
            there[index] &= shown[bone.end]
    return there


def _with_knuckles(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flags of joints (33,) for all points, (37,)."""
    hands = [flags[list(fingers[:2])].all() for fingers in FINGERS]
    return np.concatenate([flags, [*hands, flags[list(SHOULDERS)].any(), True]])


def distances(points: Array, skeleton: Skeleton, bone: Bone, more: float = 0.0) -> tuple[Array, Array]:
    """Distance of points (N, 2) px to a bone, ``more`` metres longer, px, and the limb's radius there, px; (N,) each."""
    a, b = skeleton.points[bone.start], skeleton.points[bone.end]
    along = b - a
    along = along * (1 + more * skeleton.scale / max(float(np.linalg.norm(along)), 1e-6))
    length = max(float(along @ along), 1e-9)
    t = np.clip((points - a) @ along / length, 0, 1)
    radius = skeleton.scale * (bone.radii[0] + t * (bone.radii[1] - bone.radii[0]))
    off = points - a - t[:, None] * along
    return np.sqrt((off**2).sum(1)), radius


# Bones of a hand: wrist to knuckles, and along the fingers.
HAND_BONES = (
    (0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (5, 6), (6, 7), (7, 8), (0, 9), (9, 10), (10, 11), (11, 12), (0, 13), (13, 14),
    (14, 15), (15, 16), (0, 17), (17, 18), (18, 19), (19, 20),
)  # fmt: skip
FINGER_RADIUS = 0.018  # metres, with what the joints are off
HAND_RADIUS = 0.05  # metres, of a hand whose fingers are not told apart
FINGERS_BEYOND = 1.9  # length of a hand with its fingers, in lengths from the wrist to the knuckles


def hand_reach(points: Array, skeleton: Skeleton, side: int) -> Array:
    """How near points (N, 2) px are to a hand and its fingers, in their radii, (N,)."""
    hand = skeleton.hands[side]
    if hand is not None:
        lines = [(hand[a], hand[b]) for a, b in HAND_BONES]
        radius = FINGER_RADIUS * skeleton.scale
    else:
        wrist, knuckles = skeleton.points[WRISTS[side]], skeleton.points[KNUCKLES[side]]
        lines = [(wrist, wrist + FINGERS_BEYOND * (knuckles - wrist))]
        radius = HAND_RADIUS * skeleton.scale
    nearest = np.full(len(points), np.inf)
    for a, b in lines:
        along = b - a
        t = np.clip((points - a) @ along / max(float(along @ along), 1e-9), 0, 1)
        nearest = np.minimum(nearest, ((points - a - t[:, None] * along) ** 2).sum(1))
    return np.sqrt(nearest) / radius


def torso_outline(skeleton: Skeleton) -> Array:
    """Corners of the torso, (4, 2) px: shoulders and hips, in the order in which they lie around it."""
    left, right = SHOULDERS, HIPS
    return skeleton.points[[left[0], left[1], right[1], right[0]]]


def torso_distance(points: Array, skeleton: Skeleton) -> Array:
    """Distance of points (N, 2) px to the torso's outline, px; 0 inside, (N,)."""
    corners = torso_outline(skeleton)
    nearest = np.full(len(points), np.inf)
    inside = np.zeros(len(points), bool)
    for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
        along = b - a
        t = np.clip((points - a) @ along / max(float(along @ along), 1e-9), 0, 1)
        nearest = np.minimum(nearest, np.sqrt(((points - a - t[:, None] * along) ** 2).sum(1)))
        crosses = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        rise = b[1] - a[1]
        left = points[:, 0] < (b[0] - a[0]) * (points[:, 1] - a[1]) / (rise if rise else 1.0) + a[0]
        inside ^= crosses & left
    return np.where(inside, 0.0, nearest)


def head_distance(points: Array, skeleton: Skeleton) -> Array:
    """Distance of points (N, 2) px to the outline of a bowed head, metres; below 0 inside, (N,)."""
    mouth, ears = skeleton.points[list(MOUTH)].mean(0), skeleton.points[SKULL]
    up = (ears - mouth) / max(float(np.linalg.norm(ears - mouth)), 1e-6)
    axis = ears + CROWN * skeleton.scale * up - mouth
    t = np.clip((points - mouth) @ axis / max(float(axis @ axis), 1e-9), 0, 1)
    return np.linalg.norm(points - mouth - t[:, None] * axis, axis=1) / skeleton.scale - (CHIN_WIDE + t * (HEAD_WIDE - CHIN_WIDE))
