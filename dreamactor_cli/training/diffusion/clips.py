"""What the transformer learns from: frames, their poses and faces as the renderer will draw them, references, and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8, Controls, Face, Head
from dreamactor_cli.models.conditions import FACE_CHANNELS, face_values
from dreamactor_cli.models.draw import View, draw_pose
from dreamactor_cli.models.draw_face import CHANNELS, DRAWN, draw_faces, outlines_of

REGION = 255  # of `weights`: what a face says with
FACE = 30  # of `weights`: the rest of the face


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingClip:
    """One clip; all sides are multiples of 16 px.

    Attributes:
        frames: (T, H, W, 3), RGB, T = 4F - 3.
        poses: (T, H, W, 6), of `models.draw.draw_pose`.
        face: (T, 56), of `models.conditions.face_values`; zeros without a face.
        weights: (T, H, W), 0..255, how much a pixel matters beyond the others: mouth, eyes and brows most.
        yaw: (T,), rad, of the head; 0 where none was seen.
        outlines: (T, 102, 2), px, of `models.draw_face.outlines_of`; NaN where no face was seen.
        expression: (T, 102, 3), of the same landmarks, canonical head space.
        axes: (T, 2, 3), px: how a step in canonical head space shows in the picture.
        references: (N, H, W, 3), RGB, other pictures of the same person.
        reference_poses: (N, H, W, 3), as ``poses``.
        reference_yaw: (N,), rad.
    """

    frames: U8
    poses: U8
    face: F32
    weights: U8
    yaw: F32
    outlines: F32
    expression: F32
    axes: F32
    references: U8
    reference_poses: U8
    reference_yaw: F32


def make_clip(frames: U8, controls: Controls, references: U8, reference_controls: Controls, size: tuple[int, int],
              view: View | None = None) -> TrainingClip:  # fmt: skip
    """A clip of pictures and what is known of them.

    Within one person the driver's and the reference's head are of one size, so poses are drawn as they are.

    Args:
        frames: (T, h, w, 3).
        controls: of the frames, in their pixels.
        references: (N, h, w, 3).
        reference_controls: of the references.
        size: height and width of the clip, px.
        view: what is shown of the pictures, whole pixels inside of them; None is all.
    """
    height, width = size
    view = view or View(0, 0, frames.shape[2], frames.shape[1])

    def drawn(source: Controls) -> U8:
        return draw_pose(source, width, height, view)

    face = face_values(controls)

    return TrainingClip(
        frames=show(frames, size, view), poses=drawn(controls),
        face=np.zeros((len(frames), FACE_CHANNELS), np.float32) if face is None else face,
        weights=draw_weights(controls, size, view), yaw=yaw_of(controls.head, len(frames)), **_geometry(controls, size, view),
        references=show(references, size, view), reference_poses=drawn(reference_controls),
        reference_yaw=yaw_of(reference_controls.head, len(references)),
    )  # fmt: skip


def with_expression(clip: TrainingClip, other: TrainingClip) -> U8:
    """Poses of a clip whose face does what another's does, (T, H, W, 6): same head, same pose, another expression."""
    change = (other.expression - clip.expression) @ clip.axes.transpose(0, 2, 1)
    faces = draw_faces(clip.outlines + change, *clip.poses.shape[2:0:-1])
    return np.concatenate([clip.poses[..., :-CHANNELS], faces], -1)


def _geometry(controls: Controls, size: tuple[int, int], view: View) -> dict[str, F32]:
    """The last of `TrainingClip` by name, from which faces can be drawn with other expressions."""
    frames, face, head = controls.num_frames, controls.face, controls.head
    origin, scale = np.array([view.left, view.top]), np.array([size[1] / view.width, size[0] / view.height])
    nothing = np.full((frames, len(DRAWN), 2), np.nan, np.float32)
    axes = np.zeros((frames, 2, 3), np.float32)
    if head is not None:
        unit = (head.radius / head_space.SPHERE_RADIUS)[:, None, None]
        axes = (unit * scale[:, None] * head.rotation[:, :2]).astype(np.float32)
    return {
        "outlines": nothing if face is None else outlines_of(face, origin, scale),
        "expression": np.zeros((frames, len(DRAWN), 3), np.float32) if face is None else face.expression[:, list(DRAWN)],
        "axes": axes,
    }


def show(pictures: U8, size: tuple[int, int], view: View) -> U8:
    """A view of pictures (N, h, w, 3) at a size, (N, height, width, 3)."""
    left, top, wide, high = (round(side) for side in view)
    cut = pictures[:, top : top + high, left : left + wide]
    method = cv2.INTER_AREA if high > size[0] else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.ascontiguousarray(picture), size[::-1], interpolation=method) for picture in cut])


def yaw_of(head: Head | None, frames: int) -> F32:
    """Turn of the head to the picture's right, rad, (frames,)."""
    if head is None:
        return np.zeros(frames, np.float32)
    return np.arctan2(head.rotation[:, 0, 2], head.rotation[:, 2, 2]).astype(np.float32) * (head.score > 0)


def draw_weights(controls: Controls, size: tuple[int, int], view: View) -> U8:
    """Where a view of pictures matters, (T, height, width): see `TrainingClip.weights`."""
    out = np.zeros((controls.num_frames, *size), np.uint8)
    if controls.face is not None:
        for picture, points, seen in zip(out, _outlines(controls.face, size, view), controls.face.score, strict=True):
            if seen > 0:
                _fill_face(picture, points)
    return out


def _outlines(face: Face, size: tuple[int, int], view: View) -> np.ndarray:
    """Landmarks in px of the drawn picture, (T, 478, 2)."""
    scale = np.array([size[1] / view.width, size[0] / view.height])
    points = (face.landmarks[..., :2] + 0.5 - np.array([view.left, view.top])) * scale - 0.5
    return cast(np.ndarray, np.clip(np.nan_to_num(points), -(1 << 14), 1 << 14))


def _fill_face(picture: U8, points: np.ndarray) -> None:
    """Draw the weights of one face, in place."""

    def fill(rows: Sequence[int], value: int, grow: float = 0.0) -> None:
        shape = np.rint(points[list(rows)]).astype(np.int32)
        hull = cv2.convexHull(shape)
        cv2.fillConvexPoly(picture, hull, value)
        if grow >= 1:
            cv2.polylines(picture, [hull], True, value, max(1, round(2 * grow)))

    eyes = points[[*head_space.EYE_LEFT, *head_space.EYE_RIGHT]]
    size = float(np.linalg.norm(eyes[: len(eyes) // 2].mean(0) - eyes[len(eyes) // 2 :].mean(0)))
    fill(head_space.FACE_OVAL, FACE)
    for rows in (head_space.OUTER_LIPS, head_space.EYE_LEFT, head_space.EYE_RIGHT, head_space.BROW_LEFT, head_space.BROW_RIGHT):
        fill(rows, REGION, 0.08 * size)
