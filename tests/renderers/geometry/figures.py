"""A figure of flat limbs whose joints, matte and colours are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import Body, Controls, Hands, Reference

Array = NDArray[np.float64]

WIDTH, HEIGHT = 240, 360
PX_PER_METRE = 180.0
COLORS = {
    "torso": (200, 60, 60), "head": (225, 180, 150), "left_arm": (60, 90, 220), "right_arm": (60, 200, 200),
    "left_leg": (40, 140, 60), "right_leg": (150, 150, 40), "skirt": (180, 60, 180),
}  # fmt: skip
# Joints 11.. of a figure that stands with its arms away from it, px.
STANDING = {
    0: (120, 62), 7: (132, 60), 8: (108, 60), 11: (152, 100), 12: (88, 100), 13: (176, 148), 14: (64, 148), 15: (196, 192),
    16: (44, 192), 17: (203, 206), 18: (37, 206), 19: (200, 208), 20: (40, 208), 21: (196, 204), 22: (44, 204), 23: (138, 190),
    24: (102, 190), 25: (144, 256), 26: (96, 256), 27: (146, 318), 28: (94, 318), 29: (142, 326), 30: (98, 326), 31: (158, 332),
    32: (82, 332),
}  # fmt: skip
LIMBS = {"left_arm": (11, 13, 15, 19), "right_arm": (12, 14, 16, 20), "left_leg": (23, 25, 27, 31), "right_leg": (24, 26, 28, 32)}
THICKNESS = {"left_arm": 17, "right_arm": 17, "left_leg": 25, "right_leg": 25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawn figure.

    Attributes:
        reference: its picture with controls and matte.
        joints: (33, 2) px.
    """

    reference: Reference
    joints: Array

    def posed(self, moved: dict[int, tuple[float, float]], depth: dict[int, float] | None = None) -> Controls:
        """Controls of one frame in which joints lie elsewhere, px, at depths in metres."""
        body = body_of(self.joints_with(moved), depth or {})
        return replace(self.reference.controls, num_frames=1, body=body)

    def joints_with(self, moved: dict[int, tuple[float, float]]) -> Array:
        """All joints, some of them elsewhere, (33, 2) px."""
        joints = self.joints.copy()
        for joint, place in moved.items():
            joints[joint] = place
        return joints


def standing(moved: dict[int, tuple[float, float]] | None = None) -> Array:
    """Joints of the standing figure, (33, 2) px."""
    joints = np.tile(np.array(STANDING[0], float), (33, 1))
    for joint, place in (STANDING | (moved or {})).items():
        joints[joint] = place
    return joints


def body_of(joints: Array, depth: dict[int, float], scores: dict[int, float] | None = None) -> Body:
    """The signal of one frame of joints (33, 2) px, at depths in metres."""
    space = np.zeros((33, 3))
    space[:, :2] = (joints - joints[[23, 24]].mean(0)) / PX_PER_METRE
    for joint, z in depth.items():
        space[joint, 2] = z
    score = np.ones(33, np.float32)
    for joint, seen in (scores or {}).items():
        score[joint] = seen
    return Body(
        joints_2d=joints[None].astype(np.float32), joints_3d=space[None].astype(np.float32), score=score[None]
    )  # fmt: skip


def draw(joints: Array, *, hidden: tuple[str, ...] = (), skirt: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Picture (H, W, 3) and matte (H, W) of a figure, its arms in front."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.dstack([150 + rows // 6, 160 + columns // 8, 190 - rows // 8]).astype(np.uint8)
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)

    def lay(mask: NDArray[np.uint8], color: tuple[int, ...]) -> None:
        soft = (mask / 255.0)[..., None]
        image[:] = np.rint(image * (1 - soft) + np.array(color) * soft).astype(np.uint8)
        np.maximum(matte, mask, out=matte)

    def shape() -> NDArray[np.uint8]:
        return np.zeros((HEIGHT, WIDTH), np.uint8)

    def limb(name: str) -> None:
        mask = shape()
        points = np.rint(joints[list(LIMBS[name])]).astype(np.int32)
        cv2.polylines(mask, [points], False, 255, THICKNESS[name], cv2.LINE_AA)
        lay(mask, COLORS[name])

    for name in ("left_leg", "right_leg"):
        if name not in hidden:
            limb(name)
    torso = shape()
    corners = np.rint(joints[[11, 12, 24, 23]] + [[6, -6], [-6, -6], [-8, 6], [8, 6]]).astype(np.int32)
    cv2.fillPoly(torso, [corners], 255, cv2.LINE_AA)
    lay(torso, COLORS["torso"])
    if skirt:
        mask = shape()
        hips, knees = joints[[23, 24]], joints[[25, 26]]
        hem = knees + [[22, -4], [-22, -4]]
        cv2.fillPoly(
            mask, [np.rint(np.array([hips[0] + [8, 0], hips[1] - [8, 0], hem[1], hem[0]])).astype(np.int32)], 255, cv2.LINE_AA
        )
        lay(mask, COLORS["skirt"])
    head = shape()
    cv2.circle(head, (120, 60), 24, 255, -1, cv2.LINE_AA)
    cv2.line(head, (120, 70), (120, 98), 255, 16)
    lay(head, COLORS["head"])
    for name in ("left_arm", "right_arm"):
        if name not in hidden:
            limb(name)
    return image, matte.astype(np.float32) / 255


def figure(
    moved: dict[int, tuple[float, float]] | None = None, *, skirt: bool = False, hidden: tuple[str, ...] = (),
    scores: dict[int, float] | None = None, depth: dict[int, float] | None = None, hands: Hands | None = None,
) -> Figure:  # fmt: skip
    """A figure without a face, some of its joints elsewhere."""
    joints = standing(moved)
    image, matte = draw(joints, hidden=hidden, skirt=skirt)
    controls = Controls(
        num_frames=1, fps=Fraction(1), width=WIDTH, height=HEIGHT, space="reference", body=body_of(joints, depth or {}, scores),
        hands=hands,
    )  # fmt: skip
    return Figure(reference=Reference(images=image[None], controls=controls, matte=matte[None]), joints=joints)
