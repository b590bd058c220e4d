"""Hands: palm and fingers of the driver with the reference's lengths, on the reference's wrists.

A palm turns as the driver's has turned against its forearm since the frame that is nearest to the anchor and shows it; fingers
turn likewise within the palm. On an arm that has come to the driver's pose it points as the driver's does, and bends about the
same axes. While the driver shows no hand, fingers ease back to what the picture shows, and the palm points where the body's
joints say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import rotations
from dreamactor_cli.body_space import ELBOWS, SHOWN, WRISTS
from dreamactor_cli.contracts import Body, Controls, ControlStream, Hands
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.retarget.skeleton import FOREARMS, KNUCKLES, UP, px_per_metre
from dreamactor_cli.retarget.smoothing import ease_from_anchor, smooth

Array = NDArray[np.float64]

# Joints (from, to) of the 20 bones of a hand, from the wrist outwards.
BONES = tuple((0 if k % 4 == 1 else k - 1, k) for k in range(1, 21))
MIDDLE, INDEX, PINKY = 9, 5, 17  # first joints of fingers
EASE = 5  # frames in which a hand comes and goes
PARTS = (10.0, 45.0)  # degrees that a forearm has turned, between which its hand comes to the end of its bone,
OFF = (0.25, 0.4)  # as far as it lies off that by as much of the forearm, as it is seen in the picture
SCAN = 256  # frames read at a time when the whole clip is looked at


def lifted_hand(joints_2d: Array, joints_3d: Array) -> Array:
    """Joints (T, 21, 3) px of a hand, depth relative to its wrist, from px (T, 21, 2) and metres (T, 21, 3)."""
    scale = px_per_metre(joints_2d, joints_3d, np.ones(joints_2d.shape[:2]))
    deep = (joints_3d[..., 2:] - joints_3d[:, :1, 2:]) * scale[:, None, None]
    return np.concatenate([joints_2d, deep], 2)


def settled(hands: Hands, px: float) -> Hands:
    """The hands of reference pictures (T = N); those of the first in metres of ``px`` px, about their middle."""
    flat, deep = hands.joints_2d[:1].astype(np.float64), hands.joints_3d[:1].astype(np.float64)
    joints = np.stack([lifted_hand(flat[:, side], deep[:, side]) for side in (0, 1)], 1)
    joints = ((joints - joints.mean(2, keepdims=True)) / px).astype(np.float32)
    return replace(hands, joints_3d=np.concatenate([joints, hands.joints_3d[1:]]))


def palms(joints: Array) -> Array:
    """Frames (T, 3, 3) of a palm: y from the wrist to the middle finger, x towards the index finger."""
    along = rotations.unit(joints[:, MIDDLE] - joints[:, 0], np.broadcast_to(UP, joints[:, 0].shape))
    across = joints[:, INDEX] - joints[:, PINKY]
    still = np.broadcast_to(np.eye(3), (len(joints), 3, 3))
    return rotations.frame(np.array([0.0, 1.0, 0.0]), along, np.array([1.0, 0.0, 0.0]), across, still)


def finger_bones(joints: Array) -> Array:
    """Bones (T, 20, 3) of joints (T, 21, 3)."""
    return np.stack([joints[:, stop] - joints[:, start] for start, stop in BONES], 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gesture:
    """What the driver's hands do in a stretch of frames.

    Attributes:
        joints: (T, 2, 21, 3) px, depth relative to the wrist.
        weight: 0 where a hand is not seen, (T, 2).
    """

    joints: Array
    weight: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Forearms:
    """Both forearms in a frame of the driver.

    Attributes:
        theirs: rotations of the driver's since the anchor, (2, 3, 3).
        mine: of the reference's since the picture, (2, 3, 3).
        arrived: how far the reference's arms have come to the driver's pose, 0..1, (2,).
    """

    theirs: Array
    mine: Array
    arrived: Array


def _lifted(hands: Hands, smoothing: int) -> Array:
    """Hands (T, 2, 21, 3) px as they were measured, smoothed."""
    flat, deep = (smooth(joints, smoothing) for joints in (hands.joints_2d, hands.joints_3d))
    return np.stack([lifted_hand(flat[:, side], deep[:, side]) for side in (0, 1)], 1)


def _weights(seen: NDArray[np.bool_]) -> Array:
    """How far hands count, (T, 2): 0 where they are not seen, 1 a few frames away from there."""
    half = EASE // 2
    padded = np.pad(seen, ((2 * half, 2 * half), (0, 0)), mode="edge").astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(padded, EASE, 0)
    inner = windows.min(2)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(inner, EASE, 0).mean(2))


class _Hand:
    """One hand of the reference, and the frame of the driver that stands for it.

    Args:
        joints: of the reference's hand, (21, 3) px, depth relative to the wrist.
        arm: elbow and wrist of the reference's body, (2, 2) px.
        before: joints of the driver's hand in its anchor frame, (21, 3) px; None takes the driver's as they are.
        forearm: rotation of the driver's forearm in that frame since the body's anchor, (3, 3).
        mine: of the reference's since the picture, (3, 3).
        arrived: how far its arm has come to the driver's pose there, 0..1.
    """

    def __init__(self, joints: Array, arm: Array, before: Array | None, forearm: Array, mine: Array, arrived: float) -> None:
        self._bones = finger_bones(joints[None])[0]
        self._palm = palms(joints[None])[0]
        self._root = joints[0] - np.append(arm[1], 0.0)
        off = np.linalg.norm(self._root[:2]) / max(float(np.linalg.norm(arm[1] - arm[0])), 1e-6)
        self._parts = smoothstep(np.asarray(off), *OFF)
        before = joints if before is None else before
        palm = palms(before[None])[0]
        self._before = rotations.unit(finger_bones(before[None])[0] @ palm, UP)
        self._within = forearm.T @ palm  # the palm in the frame of its forearm
        lead = rotations.swing(self._palm[:, 1], mine.T @ palm[:, 1])
        self._lead = rotations.partly(lead, np.asarray(arrived))
        # From axes of the picture's forearm to those of the driver's; how an arm came to the driver's pose is no part of a bend.
        self._came = rotations.partly(forearm.T @ mine, np.asarray(arrived))

    def pose(self, joints: Array, weight: Array, theirs: Array, mine: Array, knuckles: Array, zoom: Array) -> Array:
        """Joints (T, 21, 3) px from the reference's wrist, by those of the driver (T, 21, 3).

        Args:
            weight: (T,), see `Gesture`.
            theirs, mine: rotations of the driver's and the reference's forearm since the anchor, (T, 3, 3).
            knuckles: of the reference's bones from wrist to knuckles, (T, K, 3, 3).
            zoom: of the body, (T,).
        """
        palm = palms(joints)
        bent = self._came.T @ theirs.swapaxes(1, 2) @ palm @ self._within.T @ self._came
        along = self._palm[:, 1]
        points = rotations.swing(mine @ along, rotations.unit((knuckles @ along).mean(1), UP))
        hand = rotations.partly(points, 1 - weight) @ mine @ rotations.partly(bent, weight)
        hand = hand @ rotations.partly(np.broadcast_to(self._lead, bent.shape), weight)
        now = rotations.unit(finger_bones(joints) @ palm, UP)
        curl = rotations.partly(rotations.swing(self._before, now), np.broadcast_to(weight[:, None], now.shape[:2]))
        bones = ((hand @ self._palm)[:, None] @ curl @ (self._bones @ self._palm)[..., None])[..., 0]
        out = np.zeros((len(joints), 21, 3))
        # Of a forearm that points at the camera, body and hand say nothing of where the wrist is when it lies otherwise.
        stays = 1 - self._parts * smoothstep(rotations.angle(mine), *PARTS)
        out[:, 0] = stays[:, None] * (mine @ self._root)
        for k, (start, stop) in enumerate(BONES):
            out[:, stop] = out[:, start] + bones[:, k]
        return out * zoom[:, None, None]


class DriverHands:
    """The hands of a clip.

    Args:
        driver: the clip.
        smoothing: frames, as in the preset.
        anchor: frame that stands for the picture.
        moves: whether they count; else they are as if they were never seen.

    Attributes:
        before: of each hand the frame that stands for the picture, and its joints there, (21, 3) px; None if it is never seen.
    """

    def __init__(self, driver: ControlStream, smoothing: int, anchor: int, *, moves: bool) -> None:
        self._smoothing = smoothing
        self.before: list[tuple[int, Array] | None] = [None, None]
        self._correction = np.zeros((2, 21, 3))
        if not moves or driver.window(0, 1).hands is None:
            return
        for side in (0, 1):
            at = _nearest_seen(driver, side, anchor)
            if at is None:
                continue
            low = max(0, at - smoothing)
            hands = driver.window(low, at + smoothing + 1).hands
            assert hands is not None
            raw, soft = (_lifted(hands, window)[at - low, side] for window in (0, smoothing))
            self.before[side] = at, raw
            self._correction[side] = raw - soft

    def stretch(self, controls: Controls, low: int) -> Gesture:
        """Smoothed frames of a window of the driver that begins at frame ``low``."""
        frames, hands = controls.num_frames, controls.hands
        if hands is None:
            return Gesture(joints=np.zeros((frames, 2, 21, 3)), weight=np.zeros((frames, 2)))
        joints, weight = _lifted(hands, self._smoothing), _weights(hands.score >= SHOWN)
        for side, before in enumerate(self.before):
            if before is None:
                weight[:, side] = 0
            else:
                distance = np.arange(low, low + frames) - float(before[0])
                joints[:, side] = ease_from_anchor(joints[:, side], self._correction[side], distance)
        return Gesture(joints=joints, weight=weight)


def _nearest_seen(driver: ControlStream, side: int, anchor: int) -> int | None:
    """The frame nearest to the anchor that shows a hand."""
    best: int | None = None
    for start in range(0, driver.num_frames, SCAN):
        hands = driver.window(start, start + SCAN).hands
        assert hands is not None
        for frame in (start + np.flatnonzero(hands.score[:, side] >= SHOWN)).tolist():
            if best is None or abs(frame - anchor) < abs(best - anchor):
                best = frame
    return best


class HandsRetarget:
    """Poses the hands of one reference by one driver.

    Args:
        reference: controls of the reference, with body and hands.
        driver: its hands.
        px: of the reference a metre.
        absolute: take the driver's hands as they are.
        forearms: gives those of one of the driver's frames.
    """

    def __init__(
        self, reference: Controls, driver: DriverHands, px: float, *, absolute: bool, forearms: Callable[[int], Forearms]
    ) -> None:
        assert reference.body is not None and reference.hands is not None
        self._score, self._px = reference.hands.score[:1], px
        self._hands: list[_Hand | None] = []
        flat, deep = (a.astype(np.float64) for a in (reference.hands.joints_2d, reference.hands.joints_3d))
        for side, wrist in enumerate(WRISTS):
            if self._score[0, side] < SHOWN:
                self._hands.append(None)
                continue
            mine = lifted_hand(flat[:1, side], deep[:1, side])[0]
            found = None if absolute else driver.before[side]
            before = None if found is None else found[1]
            theirs, turned, arrived = np.eye(3), np.eye(3), 0.0
            if found is not None:
                at = forearms(found[0])
                theirs, turned, arrived = at.theirs[side], at.mine[side], float(at.arrived[side])
            arm = reference.body.joints_2d[0, [ELBOWS[side], wrist]].astype(np.float64)
            self._hands.append(_Hand(mine, arm, before, theirs, turned, arrived))

    def pose(self, found: Gesture, body: Body, theirs: Array, turns: Array, zoom: Array) -> Hands:
        """The reference's hands on a body that is posed already.

        Args:
            theirs: rotations of the driver's forearms since the anchor, (T, 2, 3, 3).
            turns: of the reference's bones since the picture, (T, 21, 3, 3).
            zoom: of the body, (T,).
        """
        frames = len(zoom)
        joints = np.zeros((frames, 2, 21, 3))
        for side, hand in enumerate(self._hands):
            if hand is not None:
                mine, knuckles = turns[:, FOREARMS[side]], turns[:, list(KNUCKLES[side])]
                moved = hand.pose(found.joints[:, side], found.weight[:, side], theirs[:, side], mine, knuckles, zoom)
                moved[..., :2] += body.joints_2d[:, None, WRISTS[side]]
                joints[:, side] = moved
        middle = joints.mean(2, keepdims=True)
        return Hands(
            joints_2d=joints[..., :2].astype(np.float32), joints_3d=((joints - middle) / self._px).astype(np.float32),
            score=np.repeat(self._score, frames, 0),
        )  # fmt: skip
