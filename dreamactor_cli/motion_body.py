"""A template body that performs joint angles: the part of a motion below the neck.

A person 1.7 m tall stands with hanging arms and faces the camera; metres, camera axes (x to the person's left), origin between
the hips. The lower foot stands on the ground whatever the legs do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space, rotations
from dreamactor_cli.body_space import FEET, HEAD, HIPS, JOINTS, SHOULDERS
from dreamactor_cli.contracts import Body

Array = NDArray[np.float64]

INTER_OCULAR = 0.063  # m

# Limits of what curves may say. Degrees; X, Y, Z: metres of a person 1.7 m tall, to the picture's right, down and away.
# Yaw, pitch and roll as of the head: to the picture's left, forwards, crown to the picture's right; the spine's come on top of
# the hips', the head's on top of both. ArmRaise: sideways and up from hanging; ArmForward: to the front; ArmTwist: outwards, so
# that the bent forearm of a raised arm points up; Elbow, Knee: bent; HandBend: palm towards the forearm; ThighOut: sideways;
# Ankle: toes up.
_WHOLE = {
    "hipsX": (-3, 3), "hipsY": (-1, 1), "hipsYaw": (-180, 180), "hipsPitch": (-90, 90), "hipsRoll": (-90, 90),
    "spineYaw": (-60, 60), "spinePitch": (-45, 90), "spineRoll": (-45, 45),
}  # fmt: skip
_SIDED = {
    "ArmRaise": (-30, 180), "ArmForward": (-60, 180), "ArmTwist": (-90, 110), "Elbow": (0, 150), "HandBend": (-80, 80),
    "ThighForward": (-40, 120), "ThighOut": (-20, 70), "Knee": (0, 150), "Ankle": (-50, 30),
}  # fmt: skip
SIDES = ("left", "right")
BODY_CHANNELS: dict[str, tuple[float, float]] = {
    **_WHOLE, **{f"{side}{part}": limits for part, limits in _SIDED.items() for side in SIDES},
}  # fmt: skip
# Both sides at once: ``armRaise`` for ``leftArmRaise`` and ``rightArmRaise``.
BOTH_ARMS_AND_LEGS = {f"{part[0].lower()}{part[1:]}": limits for part, limits in _SIDED.items()}

# Joints of the person's left side and the middle, m; the right side mirrors them.
_REST = {
    "nose": (0.0, -0.68, -0.11), "left_eye_inner": (0.018, -0.715, -0.09), "left_eye": (0.032, -0.715, -0.085),
    "left_eye_outer": (0.045, -0.713, -0.08), "left_ear": (0.075, -0.69, 0.0), "mouth_left": (0.025, -0.64, -0.09),
    "left_shoulder": (0.18, -0.49, 0.0), "left_elbow": (0.215, -0.21, 0.0), "left_wrist": (0.23, 0.04, -0.02),
    "left_pinky": (0.235, 0.12, -0.01), "left_index": (0.23, 0.13, -0.04), "left_thumb": (0.215, 0.09, -0.05),
    "left_hip": (0.1, 0.0, 0.0), "left_knee": (0.1, 0.42, 0.0), "left_ankle": (0.1, 0.83, 0.01),
    "left_heel": (0.1, 0.88, 0.05), "left_foot_index": (0.12, 0.89, -0.12),
}  # fmt: skip
_ARMS = ((11, 13, 15, (17, 19, 21)), (12, 14, 16, (18, 20, 22)))
_LEGS = ((23, 25, 27, (29, 31)), (24, 26, 28, (30, 32)))
HEAD_CENTER = np.array([0.0, -0.69, 0.0])  # between the ears, where the head sphere is
NECK = np.array([0.0, -0.56, 0.01])
STANDS = 0.02  # m above the lower foot by which the other one counts as lifted
UPPER = tuple(range(11, 23))  # joints of shoulders and arms


@cache
def rest() -> Array:
    """Joints of the template at rest, (33, 3) m."""
    out = []
    for name in JOINTS:
        mirrored = name.startswith("right") or name.endswith("right")
        x, y, z = _REST[name.replace("right", "left")]
        out.append((-x if mirrored else x, y, z))
    return np.array(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """A body over time.

    Attributes:
        joints: (T, 33, 3) m; those of the head at rest.
        torso: rotation of the upper body, (T, 3, 3).
        neck: how far the lower end of the neck has moved from rest, (T, 3) m.
    """

    joints: Array
    torso: Array
    neck: Array

    def held(self, frames: int) -> Performance:
        """With the first frame repeated."""
        rows = np.maximum(np.arange(-frames, len(self.joints)), 0)
        return Performance(joints=self.joints[rows], torso=self.torso[rows], neck=self.neck[rows])

    def after(self, frames: int) -> Performance:
        """Without the first frames."""
        return Performance(joints=self.joints[frames:], torso=self.torso[frames:], neck=self.neck[frames:])

    def carried(self, scale: float, middle: Array) -> Array:
        """Similarity of the shoulders since rest, px, (T, 3, 3).

        Args:
            scale: px per metre.
            middle: where the centre of the template's head is at rest, (2,) px.
        """
        left, right = (self.joints[:, k, :2] for k in SHOULDERS)
        angle = np.arctan2((left - right)[:, 1], (left - right)[:, 0])
        was = middle + scale * (rest()[list(SHOULDERS), :2].mean(0) - HEAD_CENTER[:2])
        out = np.tile(np.eye(3), (len(angle), 1, 1))
        out[:, 0, 0] = out[:, 1, 1] = np.cos(angle)
        out[:, 1, 0], out[:, 0, 1] = np.sin(angle), -np.sin(angle)
        out[:, :2, 2] = middle + scale * ((left + right) / 2 - HEAD_CENTER[:2]) - out[:, :2, :2] @ was
        return out

    def signal(self, scale: float, middle: Array, torso: Array, head: Array, turn: Array) -> Body:
        """The body in a picture.

        Args:
            scale, middle: as of `carried`.
            torso: similarity that moves the upper body further, px, (T, 3, 3).
            head: centre of the head, (T, 2) px.
            turn: of the head, (T, 3, 3).
        """
        flat = middle + scale * (self.joints[..., :2] - HEAD_CENTER[:2])
        flat[:, UPPER] = flat[:, UPPER] @ torso[:, :2, :2].swapaxes(1, 2) + torso[:, None, :2, 2]
        depth = self.joints[..., 2].copy()
        offsets = (turn[:, None] @ (rest()[list(HEAD)] - HEAD_CENTER)[..., None])[..., 0]
        flat[:, HEAD] = head[:, None] + scale * offsets[..., :2]
        depth[:, HEAD] = (self.torso @ HEAD_CENTER + self.neck)[:, None, 2] + offsets[..., 2]
        joints = np.concatenate([flat / scale, depth[..., None]], 2)
        joints = joints - joints[:, list(HIPS)].mean(1, keepdims=True)
        score = np.ones(depth.shape, np.float32)
        return Body(joints_2d=flat.astype(np.float32), joints_3d=joints.astype(np.float32), score=score)


def perform_body(curves: Mapping[str, Array], frames: int) -> Performance:
    """The template with the joint angles of curves, (T,) each, by the names of `BODY_CHANNELS`; what is left out is 0."""

    def curve(name: str) -> Array:
        return np.asarray(curves.get(name, np.zeros(frames)), np.float64)

    def sided(side: int, part: str) -> Array:
        return curve(f"{SIDES[side]}{part}") + curve(f"{part[0].lower()}{part[1:]}")

    hips = head_space.rotation_from_euler(np.stack([curve(f"hips{turn}") for turn in ("Yaw", "Pitch", "Roll")], 1))
    spine = head_space.rotation_from_euler(np.stack([curve(f"spine{turn}") for turn in ("Yaw", "Pitch", "Roll")], 1))
    torso = hips @ spine
    joints = np.einsum("tij,kj->tki", torso, rest())
    for side, outwards in enumerate((-1.0, 1.0)):
        shoulder, elbow, wrist, fingers = _ARMS[side]
        upper = torso @ rotations.about_axis(2, outwards * sided(side, "ArmRaise"))
        upper = upper @ rotations.about_axis(0, -sided(side, "ArmForward"))
        upper = upper @ rotations.about_axis(1, outwards * sided(side, "ArmTwist"))
        lower = upper @ rotations.about_axis(0, -sided(side, "Elbow"))
        hand = lower @ rotations.about_axis(2, -outwards * sided(side, "HandBend"))
        _chain(joints, ((shoulder, elbow, upper), (elbow, wrist, lower), *((wrist, finger, hand) for finger in fingers)))
        hip, knee, ankle, toes = _LEGS[side]
        joints[:, hip] = (hips @ rest()[hip][:, None])[..., 0]
        thigh = hips @ rotations.about_axis(2, outwards * sided(side, "ThighOut"))
        thigh = thigh @ rotations.about_axis(0, -sided(side, "ThighForward"))
        shin = thigh @ rotations.about_axis(0, sided(side, "Knee"))
        foot = shin @ rotations.about_axis(0, -sided(side, "Ankle"))
        _chain(joints, ((hip, knee, thigh), (knee, ankle, shin), *((ankle, toe, foot) for toe in toes)))
    shift = _standing(joints) + np.stack([curve("hipsX"), curve("hipsY"), np.zeros(frames)], 1)
    return Performance(joints=joints + shift[:, None], torso=torso, neck=torso @ NECK - NECK + shift)


def _standing(joints: Array) -> Array:
    """The shift (T, 3) m that puts the lower foot on the ground, in its place at rest; both if both are down."""
    feet, still = (points[..., list(FEET), :].mean(-2) for points in (joints, rest()))  # (T, 2, 3) and (2, 3)
    weight = np.exp((feet[..., 1] - feet[..., 1].max(1, keepdims=True)) / STANDS)[..., None]
    shift = (weight * (still - feet)).sum(1) / weight.sum(1)
    lowest = [toe for pair in FEET for toe in pair]
    shift[:, 1] = rest()[lowest, 1].max() - joints[:, lowest, 1].max(1)
    return np.asarray(shift)


def _chain(joints: Array, bones: tuple[tuple[int, int, Array], ...]) -> None:
    """Hang joints (T, 33, 3) on each other, in place: (from, to, rotation of the bone since rest)."""
    for start, stop, turned in bones:
        joints[:, stop] = joints[:, start] + (turned @ (rest()[stop] - rest()[start])[:, None])[..., 0]
