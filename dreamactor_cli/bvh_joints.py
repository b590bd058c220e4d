"""The joints of our skeleton in the hierarchies of other programs, by name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import rotations
from dreamactor_cli.body_space import HIPS, NUM_JOINTS, SHOULDERS
from dreamactor_cli.bvh import Bvh
from dreamactor_cli.errors import InputRefused
from dreamactor_cli.motion_body import Performance, rest

Array = NDArray[np.float64]

_PREFIX = re.compile(r"^(mixamorig\d*|bip0?\d*|character\d*|def|armature|skeleton|\w+(?=:))[ :_|-]*", re.IGNORECASE)

# Names without side, prefix and punctuation, in lower case; the first that is there counts. Where a side is meant, it stands
# before or behind: LeftArm, lArm, arm_l, L_Arm.
_SIDED: dict[str, tuple[str, ...]] = {
    "shoulder": ("arm", "uparm", "upperarm", "shldr", "upperarm01", "humerus", "shoulder"),
    "elbow": ("forearm", "lowarm", "lowerarm", "elbow", "lowerarm01", "radius"),
    "wrist": ("hand", "wrist"),
    "pinky": ("handpinky1", "pinky01", "pinky1", "littlefinger1", "handend"),
    "index": ("handindex1", "index01", "index1", "indexfinger1", "fingerbase", "handindex", "handend"),
    "thumb": ("handthumb2", "handthumb1", "thumb02", "thumb01", "thumb1", "thumb"),
    "hip": ("upleg", "thigh", "upperleg", "hip", "femur"),
    "knee": ("leg", "shin", "calf", "lowleg", "lowerleg", "knee", "tibia"),
    "ankle": ("foot", "ankle"),
    "foot_index": ("toebase", "toe", "ball", "toes", "toe0", "footend"),
}  # fmt: skip
_MIDDLE = {"head": ("head",), "neck": ("neck", "neck1", "neck01", "neck02")}
_NEEDED = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_COLUMN = {"shoulder": 11, "elbow": 13, "wrist": 15, "pinky": 17, "index": 19, "thumb": 21, "hip": 23, "knee": 25, "ankle": 27,
           "heel": 29, "foot_index": 31}  # fmt: skip
_HANDS = {"pinky": (0.08, 0.02), "index": (0.09, -0.02), "thumb": (0.05, -0.03)}  # m along and across the hand


def _plain(name: str) -> str:
    """A name in lower case without prefix and punctuation."""
    return re.sub(r"[^a-z0-9]", "", _PREFIX.sub("", name).lower())


def _spellings(part: str, side: str) -> tuple[str, ...]:
    return (f"{side}{part}", f"{side[0]}{part}", f"{part}{side[0]}", f"{part}{side}")


def find_joints(names: list[str]) -> dict[str, int]:
    """Which joint of a hierarchy is which of ours: ``left_elbow`` and so on, ``head`` and ``neck``."""
    index: dict[str, int] = {}
    for k, name in enumerate(names):
        index.setdefault(_plain(name), k)
    found: dict[str, int] = {}
    for part, variants in _MIDDLE.items():
        for variant in reversed(variants):
            if variant in index:
                found[part] = index[variant]
    for part, variants in _SIDED.items():
        for side in ("left", "right"):
            for variant in reversed(variants):
                found |= {f"{side}_{part}": index[s] for s in reversed(_spellings(variant, side)) if s in index}
    return found


def driving_body(bvh: Bvh, path: Path) -> tuple[Performance, Array]:
    """A body of the template's size that faces the camera in the first frame, and the rotation of its head, (T, 3, 3).

    Raises:
        InputRefused: joints that a body needs are not there.
    """
    found = find_joints([joint.name for joint in bvh.joints])
    lacking = [f"{side}_{part}" for part in _NEEDED for side in ("left", "right") if f"{side}_{part}" not in found]
    if lacking:
        what = f"{path} has no joint for {', '.join(lacking[:4])}{' ...' if len(lacking) > 4 else ''}"
        raise InputRefused(what, "name its joints as Mixamo does: LeftArm, LeftForeArm, LeftHand, LeftUpLeg, LeftLeg, LeftFoot")
    places, turns = bvh.pose()
    still = _placed(bvh.rest()[None], found)
    axes = _axes(still)
    joints, still = _placed(places, found) @ axes.T, still @ axes.T
    facing = _facing(joints)
    head = facing @ axes @ turns[:, found.get("head", 0)] @ axes.T @ _facing(still).T
    joints = joints @ facing.T
    joints *= _size(rest()[None]) / max(_size(joints), 1e-9)
    joints += rest()[list(HIPS)].mean(0) - joints[0, list(HIPS)].mean(0)
    joints = _completed(joints, found)
    neck = joints[:, list(SHOULDERS)].mean(1) - rest()[list(SHOULDERS)].mean(0)
    return Performance(joints=joints, torso=_torso(joints), neck=neck), head


def _axes(still: Array) -> Array:
    """From the file's axes to the camera's, (3, 3), by where its rest pose (1, 33, 3) has the shoulders above the hips."""
    up = (still[0, list(SHOULDERS)] - still[0, list(HIPS)]).mean(0)
    if abs(up[2]) > abs(up[1]):  # z is up, as some programs have it
        return np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return np.diag([1.0, -1.0, -1.0])


def _placed(places: Array, found: dict[str, int]) -> Array:
    joints = np.full((len(places), NUM_JOINTS, 3), np.nan)
    for name, k in found.items():
        side, _, part = name.partition("_")
        if part:
            joints[:, _COLUMN[part] + (side == "right")] = places[:, k]
    return joints


def _facing(joints: Array) -> Array:
    """The turn about the vertical that lets the first frame face the camera, (3, 3)."""
    across = sum(joints[0, left] - joints[0, right] for left, right in (SHOULDERS, HIPS))
    return np.asarray(rotations.about_axis(1, np.degrees(np.array([np.arctan2(across[2], across[0])])))[0])


def _size(joints: Array) -> float:
    """Length of spine and legs, median over the frames."""
    spine = np.linalg.norm(joints[:, list(SHOULDERS)].mean(1) - joints[:, list(HIPS)].mean(1), axis=1)
    legs = [np.linalg.norm(joints[:, a] - joints[:, b], axis=1) for a, b in ((23, 25), (25, 27), (24, 26), (26, 28))]
    return float(np.median(spine + sum(legs) / 2))


def _torso(joints: Array) -> Array:
    """Rotation of the upper body since the template's rest, (T, 3, 3)."""
    along = joints[:, list(SHOULDERS)].mean(1) - joints[:, list(HIPS)].mean(1)
    up = np.array([0.0, -1.0, 0.0])
    still = np.tile(np.eye(3), (len(joints), 1, 1))
    return rotations.frame(up, rotations.unit(along, up), np.array([1.0, 0.0, 0.0]), joints[:, 11] - joints[:, 12], still)


def _completed(joints: Array, found: dict[str, int]) -> Array:
    """Fingers, heels and toes that the file does not have, in line with hands and feet; the head as at rest."""
    joints[:, :11] = rest()[:11]
    for s, side in enumerate(("left", "right")):
        elbow, wrist = joints[:, 13 + s], joints[:, 15 + s]
        along = rotations.unit(wrist - elbow, np.array([0.0, 1.0, 0.0]))
        tips = [joints[:, _COLUMN[part] + s] for part in ("index", "pinky") if f"{side}_{part}" in found]
        if tips:
            along = rotations.unit(np.mean(tips, 0) - wrist, along)
        across = rotations.unit(np.cross(along, np.array([1.0, 0.0, 0.0])), np.array([0.0, 0.0, 1.0]))
        same = {found.get(f"{side}_index"), found.get(f"{side}_pinky")}
        for part, (far, wide) in _HANDS.items():
            if f"{side}_{part}" not in found or (part != "thumb" and len(same) == 1):
                joints[:, _COLUMN[part] + s] = wrist + far * along + wide * across
        ankle, knee, toe = joints[:, 27 + s], joints[:, 25 + s], joints[:, 31 + s]
        if f"{side}_foot_index" not in found:
            toe[:] = ankle + 0.14 * np.array([0.0, 0.4, -0.9])
        down = rotations.unit(ankle - knee, np.array([0.0, 1.0, 0.0]))
        joints[:, 29 + s] = ankle + 0.05 * down - 0.25 * (toe - ankle)
    return joints
