"""Pictures of poses, drawn from geometry: the skeleton with hands and the head sphere of the paper, on black, at any size.

The sphere stands where the driver's head is, has the size of the reference's, and its colour says how the head is turned: the
direction of its surface in the space of the head, as in a normal map. So no shape of the driver's face or body shows.
Beside that, in channels of its own, lies the face (`draw_face`), for models that learned to read it.
"""

from __future__ import annotations

import colorsys
from typing import NamedTuple

import cv2
import numpy as np

from dreamactor_cli.body_space import ANKLES, ELBOWS, FEET, HIPS, KNEES, SHOULDERS, WRISTS
from dreamactor_cli.contracts import F32, U8, Body, Controls, Hands
from dreamactor_cli.models.draw_face import CHANNELS, draw_faces, outlines_of

SEEN = 0.3  # score from which a joint, a hand or a head is drawn
CROP_AREA = 1.3  # of a face's crop against the box of its landmarks
_SHIFT = 4  # fractional bits of OpenCV's coordinates
_FAR = 1 << 14  # px; beyond it nothing is seen, and OpenCV's integers end somewhere

_SIDE = [(SHOULDERS, ELBOWS), (ELBOWS, WRISTS), (SHOULDERS, HIPS), (HIPS, KNEES), (KNEES, ANKLES)]
LIMBS = (
    SHOULDERS, HIPS,
    *((start[side], end[side]) for start, end in _SIDE for side in (0, 1)),
    *((ANKLES[side], FEET[side][1]) for side in (0, 1)),
)  # fmt: skip
FINGERS = tuple((0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, 21))  # from the wrist, four bones each


class View(NamedTuple):
    """The part of a picture that is drawn, px: `left` and `top` may lie outside."""

    left: float
    top: float
    width: float
    height: float


def _colours(count: int, value: float) -> list[tuple[int, int, int]]:
    hues = (colorsys.hsv_to_rgb(k / count, 1.0, value) for k in range(count))
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in hues]


LIMB_COLOURS = _colours(len(LIMBS) + 1, 0.8)  # the last one is the neck's
FINGER_COLOURS = _colours(5, 1.0)


def draw_pose(controls: Controls, width: int, height: int, view: View | None = None) -> U8:
    """Draw what moves in every frame.

    Args:
        controls: head, body, hands and face are drawn, as far as they are there.
        width, height: of the pictures, px.
        view: the part of the controls' picture to show; None is all of it.

    Returns:
        (T, height, width, 6): RGB as in the paper, and the three channels of `draw_face`.
    """
    view = view or View(0, 0, controls.width, controls.height)
    scale = np.array([width / view.width, height / view.height])
    origin = np.array([view.left, view.top])
    out = np.zeros((controls.num_frames, height, width, 3), np.uint8)
    body, hands = (_placed(signal, origin, scale) for signal in (controls.body, controls.hands))
    head = controls.head
    centers = None if head is None else _pixels(head.center, origin, scale)
    thick = max(1, round(min(width, height) / 48))
    for index, picture in enumerate(out):
        score = None if controls.body is None else controls.body.score[index]
        if head is not None and centers is not None and head.score[index] >= SEEN:
            if body is not None and score is not None:
                _neck(picture, body[index], score, centers[index], thick)
            _sphere(picture, centers[index], float(head.radius[index] * scale.mean()), head.rotation[index])
        if body is not None and score is not None:
            _skeleton(picture, body[index], score, thick)
        if controls.hands is not None and hands is not None:
            for side in np.flatnonzero(controls.hands.score[index] >= SEEN):
                _hand(picture, hands[index, side], max(1, thick // 2))
    return np.concatenate([out, _faces(controls, width, height, origin, scale)], -1)


def face_crops(frames: U8, landmarks: F32, size: int) -> U8:
    """Square pictures of a face.

    Args:
        frames: (T, H, W, 3).
        landmarks: (T, N, 2 or 3), px of the frames.
        size: of the crops, px.

    Returns:
        (T, size, size, 3); what lies outside of the picture repeats its border.
    """
    points = landmarks[..., :2].astype(np.float64)
    low, high = points.min(1), points.max(1)
    centers, sides = (low + high) / 2, np.maximum((high - low).max(1) * np.sqrt(CROP_AREA), 2.0)
    out = np.empty((len(frames), size, size, 3), np.uint8)
    for frame, center, side, crop in zip(frames, centers, sides, out, strict=True):
        whole = max(2, round(side))
        corner = np.rint(center - (whole - 1) / 2).astype(int)
        rows, columns = (
            np.clip(np.arange(start, start + whole), 0, limit - 1)
            for start, limit in ((corner[1], frame.shape[0]), (corner[0], frame.shape[1]))
        )
        method = cv2.INTER_AREA if whole > size else cv2.INTER_LINEAR
        crop[:] = cv2.resize(frame[np.ix_(rows, columns)], (size, size), interpolation=method)
    return out


def _faces(controls: Controls, width: int, height: int, origin: np.ndarray, scale: np.ndarray) -> U8:
    if controls.face is None:
        return np.zeros((controls.num_frames, height, width, CHANNELS), np.uint8)
    return draw_faces(outlines_of(controls.face, origin, scale), width, height)


def _pixels(points: F32, origin: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Points (..., 2) of the controls' picture in the drawn one; pixel centres are at integers in both."""
    return (points + 0.5 - origin) * scale - 0.5


def _placed(signal: Body | Hands | None, origin: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
    """Joints in fixed-point numbers of OpenCV, int."""
    if signal is None:
        return None
    return _fixed(_pixels(signal.joints_2d, origin, scale))


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.rint(np.nan_to_num(np.clip(points, -_FAR, _FAR)) * (1 << _SHIFT)).astype(int)


def _line(picture: U8, start: np.ndarray, end: np.ndarray, colour: tuple[int, int, int], thick: int) -> None:
    first, last = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
    cv2.line(picture, first, last, colour, thick, cv2.LINE_AA, _SHIFT)


def _neck(picture: U8, joints: np.ndarray, score: F32, head: np.ndarray, thick: int) -> None:
    """From between the shoulders to the head, which will hide its upper half, in place."""
    left, right = SHOULDERS
    if min(score[left], score[right]) >= SEEN:
        _line(picture, (joints[left] + joints[right]) // 2, _fixed(head), LIMB_COLOURS[-1], thick)


def _skeleton(picture: U8, joints: np.ndarray, score: F32, thick: int) -> None:
    """Bones between joints (33, 2) in fixed-point numbers that are seen, in place."""
    for (start, end), colour in zip(LIMBS, LIMB_COLOURS, strict=False):
        if min(score[start], score[end]) >= SEEN:
            _line(picture, joints[start], joints[end], colour, thick)


def _hand(picture: U8, joints: np.ndarray, thick: int) -> None:
    """Fingers between joints (21, 2) in fixed-point numbers, in place."""
    for start, end in FINGERS:
        _line(picture, joints[start], joints[end], FINGER_COLOURS[(end - 1) // 4], thick)


def _sphere(picture: U8, center: np.ndarray, radius: float, rotation: F32) -> None:
    """A sphere whose colour is the direction of its surface in the space of the head, in place."""
    height, width = picture.shape[:2]
    if not np.isfinite([*center, radius]).all() or radius <= 0:
        return
    left, right = max(int(np.ceil(center[0] - radius)), 0), min(int(center[0] + radius) + 1, width)
    top, bottom = max(int(np.ceil(center[1] - radius)), 0), min(int(center[1] + radius) + 1, height)
    if left >= right or top >= bottom:
        return
    x = (np.arange(left, right, dtype=np.float32) - np.float32(center[0])) / np.float32(radius)
    y = (np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(center[1])) / np.float32(radius)
    depth = 1 - x * x - y * y
    inside = depth > 0
    surface = np.stack(np.broadcast_arrays(x, y, -np.sqrt(np.maximum(depth, 0))), -1)
    turned = surface @ rotation.astype(np.float32)  # rows times R: the inverse rotation, into the space of the head
    colour = np.rint(127.5 + 127.5 * turned * np.array([1, 1, -1], np.float32)).astype(np.uint8)
    np.copyto(picture[top:bottom, left:right], colour, where=inside[..., None])
