"""Skeletons as bones: lifted from the picture into space, and measured.

A far camera is assumed: what is x, y and z in metres is ``scale`` times that in px. So bones are vectors in px, of which x and y
are seen, and z is taken from the network's joints in space, or, where a bone is clearly foreshortened, from its known length
(Taylor 2000, "Reconstruction of articulated objects from point correspondences in a single uncalibrated image").
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import rotations
from dreamactor_cli.body_space import HEAD, HIPS, NUM_JOINTS, SHOULDERS
from dreamactor_cli.contracts import Body
from dreamactor_cli.person_space import smoothstep

Array = NDArray[np.float64]


class Bone(NamedTuple):
    """A line between two points of a skeleton.

    Attributes:
        start, stop: joints whose mean is an end.
        parent: bone that it rides on when nothing drives it; -1 is the torso.
        part: what it belongs to, of `PARTS`.
        twin: the same bone on the other side, which has the same length.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    parent: int
    part: str
    twin: int


PARTS = ("torso", "arms", "hands", "legs")

# The first three make the frame of the torso. Hips and shoulders go from the person's right to the left.
BONES = (
    Bone(HIPS, SHOULDERS, -1, "torso", 0),
    Bone((12,), (11,), -1, "torso", 1),
    Bone((24,), (23,), -1, "torso", 2),
    Bone((11,), (13,), -1, "arms", 5), Bone((13,), (15,), 3, "arms", 6),
    Bone((12,), (14,), -1, "arms", 3), Bone((14,), (16,), 5, "arms", 4),
    Bone((23,), (25,), -1, "legs", 9), Bone((25,), (27,), 7, "legs", 10),
    Bone((24,), (26,), -1, "legs", 7), Bone((26,), (28,), 9, "legs", 8),
    Bone((27,), (29,), 8, "legs", 13), Bone((27,), (31,), 8, "legs", 14),
    Bone((28,), (30,), 10, "legs", 11), Bone((28,), (32,), 10, "legs", 12),
    Bone((15,), (17,), 4, "hands", 18), Bone((15,), (19,), 4, "hands", 19), Bone((15,), (21,), 4, "hands", 20),
    Bone((16,), (18,), 6, "hands", 15), Bone((16,), (20,), 6, "hands", 16), Bone((16,), (22,), 6, "hands", 17),
)  # fmt: skip
# Arms and legs: upper and lower bone, and what hangs on them.
LIMBS = (((3, 4), (15, 16, 17)), ((5, 6), (18, 19, 20)), ((7, 8), (11, 12)), ((9, 10), (13, 14)))
SPINE, SHOULDER_LINE, HIP_LINE = 0, 1, 2
FOREARMS = (4, 6)
KNUCKLES = ((15, 16), (18, 19))  # from the wrists to those of pinky and index finger
NUM_BONES = len(BONES)
UP = np.array([0.0, -1.0, 0.0])

# Share of a bone's length that is seen, between which its depth passes from what its length says to what the network says.
FORESHORTENED = (0.85, 0.97)
LONGEST = 1.12  # of a bone's length, that it may have with what the network says of its depth
AGREE = (12.0, 30.0)  # degrees between the bones of picture and driver at the anchor: fewer are errors of measurement
FLAT = 0.5  # share of a bone's length that is seen, from which its length in the picture is compared
BEST_SHARE = 0.25  # of the frames in which a bone is seen: those where it is least foreshortened tell its length
TRUSTED = 0.6  # visibility of both ends for a frame to tell a bone's length


def point(joints: Array, which: tuple[int, ...]) -> Array:
    """Mean of joints (T, 33, k), (T, k)."""
    return joints[:, which[0]] if len(which) == 1 else joints[:, list(which)].mean(1)


def bone_vectors(joints: Array) -> Array:
    """From joints (T, 33, k) to bones (T, 21, k)."""
    return np.stack([point(joints, bone.stop) - point(joints, bone.start) for bone in BONES], 1)


def torso_frames(bones: Array, hips: bool) -> Array:
    """Frames (T, 3, 3) of the torso: x to the person's left shoulder, y along the spine.

    Args:
        bones: (T, 21, 3).
        hips: the spine is seen; else the torso counts as upright.
    """
    across = rotations.unit(bones[:, SHOULDER_LINE], np.broadcast_to([1.0, 0.0, 0.0], bones[:, 0].shape))
    along = bones[:, SPINE] if hips else np.broadcast_to(UP, across.shape)
    if not hips:
        along = along - (along * across).sum(1, keepdims=True) * across
    along = rotations.unit(along, np.broadcast_to(UP, across.shape))
    identity = np.broadcast_to(np.eye(3), (len(bones), 3, 3))
    return rotations.frame(np.array([0.0, 1.0, 0.0]), along, np.array([1.0, 0.0, 0.0]), across, identity)


def px_per_metre(joints_2d: Array, joints_3d: Array, score: Array) -> Array:
    """Scale of the camera in each frame, (T,): spread of the joints in the picture over that in space, by visibility."""
    weight = np.maximum(score, 1e-3)[..., None]

    def spread(points: Array) -> Array:
        middle = (weight * points).sum(1, keepdims=True) / weight.sum(1, keepdims=True)
        return (weight * (points - middle) ** 2).sum((1, 2))

    return np.sqrt(spread(joints_2d) / np.maximum(spread(joints_3d[..., :2]), 1e-12))


def raw_bones(joints_2d: Array, joints_3d: Array, scale: Array) -> Array:
    """Bones (T, 21, 3) px as picture and network say, from joints and the camera's scale (T,)."""
    deep = bone_vectors(joints_3d[..., 2:]) * scale[:, None, None]
    return np.concatenate([bone_vectors(joints_2d), deep], 2)


def lifted(bones: Array, lengths: Array) -> Array:
    """Bones (T, 21, 3) px, whose depth agrees with their lengths (T, 21) px where they are clearly foreshortened.

    Elsewhere it is the network's, as far as that does not make them longer than they are.
    """
    seen = np.linalg.norm(bones[..., :2], axis=2)
    known = np.sqrt(np.maximum(lengths**2 - seen**2, 0))
    trust = 1 - smoothstep(seen / np.maximum(lengths, 1e-9), *FORESHORTENED)
    out = bones.copy()
    most = np.sqrt(np.maximum((LONGEST * lengths) ** 2 - seen**2, 0))
    deep = np.clip(bones[..., 2], -most, most)
    out[..., 2] = trust * np.copysign(known, deep) + (1 - trust) * deep
    return out


def leant_as(bones: Array, others: Array) -> Array:
    """Bones (21, 3) px of one picture, as deep as others (21, 3) of known lengths that point the same way in space.

    How far a bone leans away from the camera one picture hardly tells: it leans as the other does, whatever its length.
    """
    off = np.arccos(np.clip((rotations.unit(bones, UP) * rotations.unit(others, UP)).sum(1), -1, 1))
    same = 1 - smoothstep(np.degrees(off), *AGREE)
    seen, length = (np.linalg.norm(others[:, :k], axis=1) for k in (2, 3))
    mine = [np.linalg.norm(bones[:, :k], axis=1) for k in (2, 3)]
    flat = seen > FLAT * np.maximum(length, 1e-9)
    ratio = np.where(flat, mine[0] / np.maximum(seen, 1e-9), mine[1] / np.maximum(length, 1e-9))
    out = bones.copy()
    out[:, 2] += same * (ratio * others[:, 2] - bones[:, 2])
    return out


def end_scores(score: Array) -> Array:
    """How well both ends of each bone are seen, (T, 21), from visibility (T, 33)."""
    ends = [[score[:, list(bone.start)].min(1), score[:, list(bone.stop)].min(1)] for bone in BONES]
    return np.array(ends).min(1).T


def bone_lengths(bones: Array, score: Array) -> Array:
    """Lengths of bones, (21,), in the unit of ``bones``: the median over the best frames of a bone and its twin.

    Args:
        bones: (T, 21, 3), as `raw_bones` gives, at one scale.
        score: visibility of the joints, (T, 33).
    """
    length = np.linalg.norm(bones, axis=2)
    upright = np.linalg.norm(bones[..., :2], axis=2) / np.maximum(length, 1e-9)
    ends = end_scores(score)
    out = np.zeros(NUM_BONES)
    for k, bone in enumerate(BONES):
        pair = [k] if bone.twin == k else [k, bone.twin]
        values, quality, trusted = (a[:, pair].ravel() for a in (length, upright, ends))
        quality = np.where(trusted >= TRUSTED, quality, quality * trusted - 1)  # only if there is nothing better
        best = np.argsort(-quality, kind="stable")
        count = max(1, round(BEST_SHARE * max(int((trusted >= TRUSTED).sum()), 1)))
        out[k] = np.median(values[best[:count]])
    return out


def settled(body: Body) -> Body:
    """The body of reference pictures (T = N), whose first frame's joints in space agree with those in the picture.

    ``joints_2d = px_per_metre * joints_3d[:, :2] + offset``, hips in the origin, depth as `lifted` has it by the lengths of all
    pictures: the skeleton that is re-posed.
    """
    flat, deep, score = (a.astype(np.float64) for a in (body.joints_2d, body.joints_3d, body.score))
    if not score[0].any():
        return body
    scale = np.maximum(px_per_metre(flat, deep, score), 1e-6)
    raw = raw_bones(flat, deep, scale)
    bones = lifted(raw[:1], bone_lengths(raw / scale[:, None, None], score) * scale[0])[0]
    depth = np.zeros(NUM_JOINTS)
    chest = bones[SPINE, 2]
    for middle, line, (left, right) in ((0.0, HIP_LINE, HIPS), (chest, SHOULDER_LINE, SHOULDERS)):
        depth[left], depth[right] = middle + bones[line, 2] / 2, middle - bones[line, 2] / 2
    for bone, vector in zip(BONES[3:], bones[3:], strict=True):
        depth[bone.stop[0]] = depth[bone.start[0]] + vector[2]
    of_head = deep[0, list(HEAD), 2] - deep[0, list(SHOULDERS), 2].mean()
    depth[list(HEAD)] = chest + scale[0] * of_head
    joints = np.concatenate([flat[0] - flat[0, list(HIPS)].mean(0), depth[:, None]], 1) / scale[0]
    return replace(body, joints_3d=np.concatenate([joints[None].astype(np.float32), body.joints_3d[1:]]))


def by_limb(values: Array) -> Array:
    """What is true of each limb (T, 4), of its bones, (T, 21); 0 of the torso's."""
    out = np.zeros((len(values), NUM_BONES))
    for column, (main, rest) in enumerate(LIMBS):
        out[:, [*main, *rest]] = values[:, column, None]
    return out
