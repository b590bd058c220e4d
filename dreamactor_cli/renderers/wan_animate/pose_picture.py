"""The pose pictures that Wan-Animate was trained on: OpenPose's 18 points, two toes and 2 x 21 points of hands, on black.

The format is that of its public preprocessing: limbs are filled ellipses at 0.6 of their colour, joints full-coloured discs over
them, fingers lines of one hue each. The face has no points but nose, eyes and ears: it is told by pictures, see `face_video`.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import ANKLES, ELBOWS, FEET, HIPS, KNEES, SHOULDERS, SHOWN, WRISTS
from dreamactor_cli.contracts import U8, Body, Controls

Points = NDArray[np.float64]

# In its order: nose, neck, right shoulder, elbow, wrist, left shoulder, elbow, wrist, right hip, knee, ankle, left hip, knee,
# ankle, right eye, left eye, right ear, left ear, left toe, right toe. Left and right are the person's, (left, right) below.
_NOSE, _NECK = 0, 1
_PLACES = ((5, 2), (6, 3), (7, 4), (11, 8), (12, 9), (13, 10), (18, 19))
_JOINTS = (SHOULDERS, ELBOWS, WRISTS, HIPS, KNEES, ANKLES, (FEET[0][1], FEET[1][1]))
_BODY = {
    place: joint for places, joints in zip(_PLACES, _JOINTS, strict=True) for place, joint in zip(places, joints, strict=True)
}
_HEAD = {_NOSE: 0, 14: 5, 15: 2, 16: 8, 17: 7}  # of BlazePose
_FACE = {_NOSE: 1, 14: 468, 15: 473, 16: 234, 17: 454}  # of the face mesh: its ears are the edges of the face before them
_EARS = ((16, -1.0), (17, 1.0))  # with the side to which the head turns away from them
_HIDDEN = 0.5  # sine of the turn from which an ear is behind the head
NUM_POINTS = 20

LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0), (0, 14),
    (14, 16), (0, 15), (15, 17), (13, 18), (10, 19),
)  # fmt: skip
COLORS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85), (200, 200, 0), (100, 100, 0),
)  # fmt: skip
_DIMMED = 0.6
FINGERS = tuple((0 if k == 0 else 4 * f + k, 4 * f + k + 1) for f in range(5) for k in range(4))
_HAND_JOINT = (0, 0, 255)


def draw_poses(controls: Controls, reference: Controls, width: int, height: int) -> U8:
    """Pose pictures of all frames, (T, height, width, 3).

    Args:
        controls: in the reference's space. Without a body, that of the reference follows the motion of the torso.
        reference: controls of the reference; frame 0 counts.
        width, height: of the pictures, px; the controls are scaled to them.
    """
    scale = np.array([width / controls.width, height / controls.height])
    frames = np.zeros((controls.num_frames, height, width, 3), np.uint8)
    points, seen = skeleton(controls, reference)
    points = (points + 0.5) * scale - 0.5
    for frame, where, shown in zip(frames, points, seen, strict=True):
        _draw_body(frame, where, shown)
    if controls.hands is not None:
        hands = (controls.hands.joints_2d.astype(np.float64) + 0.5) * scale - 0.5
        for frame, pair, score in zip(frames, hands, controls.hands.score, strict=True):
            for hand in pair[score >= SHOWN]:
                _draw_hand(frame, hand)
    return frames


def skeleton(controls: Controls, reference: Controls) -> tuple[Points, NDArray[np.bool_]]:
    """The points (T, 20, 2) in px of the controls, and which of them are seen (T, 20)."""
    frames = controls.num_frames
    points, seen = np.zeros((frames, NUM_POINTS, 2)), np.zeros((frames, NUM_POINTS), bool)
    body = controls.body or _carried(controls, reference)
    if body is not None:
        for place, joint in {**_BODY, **_HEAD}.items():
            points[:, place], seen[:, place] = body.joints_2d[:, joint], body.score[:, joint] >= SHOWN
        shoulders = list(SHOULDERS)
        points[:, _NECK] = body.joints_2d[:, shoulders].mean(1)
        seen[:, _NECK] = (body.score[:, shoulders] >= SHOWN).all(1)
    face, head = controls.face, controls.head
    if face is not None:
        for place, landmark in _FACE.items():
            points[:, place], seen[:, place] = face.landmarks[:, landmark, :2], True
    if face is not None and head is not None:
        for place, side in _EARS:
            seen[:, place] &= -head.rotation[:, 0, 2] * side < _HIDDEN  # the face looks along -z of the head
    return points, seen & np.isfinite(points).all(2)


def _carried(controls: Controls, reference: Controls) -> Body | None:
    """The reference's body, moved with the torso of the controls; None if the reference shows none."""
    if reference.body is None:
        return None
    still, frames = reference.body.window(0, 1), controls.num_frames
    joints = np.repeat(still.joints_2d, frames, 0)
    if controls.head is not None:
        moves = controls.head.torso_2d
        joints = np.einsum("tij,tkj->tki", moves[:, :, :2], joints) + moves[:, None, :, 2]
    return Body(
        joints_2d=joints.astype(np.float32),
        joints_3d=np.repeat(still.joints_3d, frames, 0),
        score=np.repeat(still.score, frames, 0),
    )


def _draw_body(frame: U8, points: Points, seen: NDArray[np.bool_]) -> None:
    """Limbs, and joints over them, in place."""
    thick = max(min(frame.shape[:2]) // 200 - 1, 1)
    for (a, b), color in zip(LIMBS, COLORS, strict=False):
        if not (seen[a] and seen[b]):
            continue
        middle, along = points[[a, b]].mean(0), points[b] - points[a]
        center, half = (int(middle[0]), int(middle[1])), int(np.hypot(*along) / 2)
        if half > 2 * max(frame.shape[:2]):
            continue  # so far outside that its middle says nothing
        angle = int(np.degrees(np.arctan2(along[1], along[0])))
        outline = cv2.ellipse2Poly(center, (half, thick), angle, 0, 360, 1)
        cv2.fillConvexPoly(frame, outline, [int(c * _DIMMED) for c in color])
    for point, color, shown in zip(points, COLORS, seen, strict=True):
        if shown and np.abs(point).max() < 1e5:
            cv2.circle(frame, (int(point[0]), int(point[1])), thick, color, thickness=-1)


def _draw_hand(frame: U8, points: Points) -> None:
    """Fingers as lines of one hue each, with blue joints, in place."""
    if not np.isfinite(points).all() or np.abs(points).max() > 1e5:
        return
    thick = max(max(min(frame.shape[:2]) // 200 - 1, 1) // 2, 1)
    places = [(int(x), int(y)) for x, y in points]
    inside = [x > 0 and y > 0 for x, y in places]
    for index, (a, b) in enumerate(FINGERS):
        if inside[a] and inside[b]:
            color = [255 * c for c in colorsys.hsv_to_rgb(index / len(FINGERS), 1, 1)]
            cv2.line(frame, places[a], places[b], color, thickness=thick)
    for place, shown in zip(places, inside, strict=True):
        if shown:
            cv2.circle(frame, place, thick, _HAND_JOINT, thickness=-1)
