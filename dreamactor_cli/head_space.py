"""The canonical space of a head: landmark topology, template, similarity fits, and the head sphere.

Canonical axes are the image's: x right, y down, z away from the camera; the origin lies between the eyes and the unit is
the inter-ocular distance of the template (eye centre to eye centre). A head pose is (scale, rotation, translation) with
``landmarks = scale * canonical @ rotation.T + translation``; ``scale`` is px per inter-ocular distance.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

NUM_LANDMARKS = 478  # 468 of the face mesh, then 5 of each iris (centre first)
NUM_MESH = 468

# The head sphere in canonical units: its centre lies behind the eyes.
SPHERE_CENTER = np.array([0.0, 0.15, 0.85])
SPHERE_RADIUS = 1.45

# Contours in order. "LEFT" is the left of the picture, hence the person's right side.
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136,
    172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
EYE_LEFT = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
EYE_RIGHT = (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382)
BROW_LEFT = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
BROW_RIGHT = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
IRIS_LEFT = (468, 469, 470, 471, 472)
IRIS_RIGHT = (473, 474, 475, 476, 477)
CHIN = 152
NOSE_TIP = 1

# Landmarks that barely move with expression: forehead, temples, nose bridge, eye corners, sides of the cheeks.
RIGID = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 109, 67, 103, 54, 21, 162, 127, 234, 151, 9, 8, 168, 6, 197, 195, 5, 33,
    133, 362, 263, 108, 337, 104, 333, 71, 301, 139, 368, 34, 264, 227, 447,
)  # fmt: skip


ATLAS_MARGIN = 3 / 176  # of the side, around the face in its atlas
ATLAS_BEND = 1.3  # distance of the axis of the unrolled cylinder behind the eyes, inter-ocular units


class HeadPose(NamedTuple):
    """Poses of a head over T frames.

    Attributes:
        scale: px per inter-ocular distance, (T,).
        rotation: (T, 3, 3).
        translation: image position of the canonical origin, px, (T, 3).
    """

    scale: Array
    rotation: Array
    translation: Array


@cache
def _data() -> dict[str, NDArray[np.generic]]:
    from safetensors.numpy import load_file

    return load_file(str(Path(__file__).with_name("head_space.safetensors")))


def template() -> Array:
    """The canonical head, symmetric, (478, 3), made by ``tools/build_head_space.py``."""
    return _data()["template"].astype(np.float64)


def triangles() -> NDArray[np.int32]:
    """Triangles of the face mesh with holes at the eyes and the mouth, (852, 3)."""
    return _data()["triangles"].astype(np.int32)


def mirror() -> NDArray[np.int32]:
    """The landmark on the other side of the face for each landmark, (478,)."""
    return _data()["mirror"].astype(np.int32)


def atlas_layout(size: int) -> Array:
    """The face mesh in its atlas of ``size`` px: the template unrolled from a cylinder, (468, 2) px."""
    shape = template()[:NUM_MESH]
    unrolled = np.stack([np.arctan2(shape[:, 0], ATLAS_BEND - shape[:, 2]) * ATLAS_BEND, shape[:, 1]], 1)
    low, high = unrolled.min(0), unrolled.max(0)
    scale = (size - 1 - 2 * ATLAS_MARGIN * size) / (high - low).max()
    return (unrolled - (low + high) / 2) * scale + (size - 1) / 2


def fit_similarity(source: Array, target: Array) -> HeadPose:
    """Least-squares similarity from points to T sets of points (Umeyama 1991).

    Args:
        source: (N, 3).
        target: (T, N, 3), in px.

    Returns:
        The pose with ``target ~ scale * source @ rotation.T + translation``.
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    source_mean = source.mean(0)
    target_mean = target.mean(1, keepdims=True)
    centred = source - source_mean
    covariance = np.einsum("tni,nj->tij", target - target_mean, centred) / len(source)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.ones_like(singular)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None, :]) @ vt
    scale = (singular * sign).sum(1) / ((centred**2).sum() / len(source))
    translation = target_mean[:, 0] - scale[:, None] * (rotation @ source_mean)
    return HeadPose(scale, rotation, translation)


def head_pose(landmarks: Array) -> HeadPose:
    """Pose of the template that fits the rigid landmarks, from (T, 478, 3) px."""
    rigid = list(RIGID)
    return fit_similarity(template()[rigid], np.asarray(landmarks)[:, rigid])


def to_canonical(points: Array, pose: HeadPose) -> Array:
    """Points (T, N, 3) px, brought into canonical space."""
    local = np.asarray(points, np.float64) - pose.translation[:, None]
    return (local @ pose.rotation) / pose.scale[:, None, None]


def to_image(canonical: Array, pose: HeadPose) -> Array:
    """Canonical points (T, N, 3) or (N, 3), brought into the image, (T, N, 3) px."""
    turn = pose.rotation.swapaxes(1, 2) * pose.scale[:, None, None]
    return np.asarray(canonical) @ turn + pose.translation[:, None]


def sphere_of(pose: HeadPose) -> tuple[Array, Array]:
    """Head sphere of a pose: centre (T, 2) px and radius (T,) px."""
    center = to_image(SPHERE_CENTER[None], pose)[:, 0, :2]
    return center, pose.scale * SPHERE_RADIUS


def pose_of_sphere(center: Array, radius: Array, rotation: Array) -> HeadPose:
    """Pose of a head sphere; the depth of the origin, which no picture shows, is 0."""
    scale = np.asarray(radius, np.float64) / SPHERE_RADIUS
    rotation = np.asarray(rotation, np.float64)
    offset = scale[:, None] * (rotation @ SPHERE_CENTER)
    translation = np.zeros((len(scale), 3))
    translation[:, :2] = np.asarray(center, np.float64) - offset[:, :2]
    return HeadPose(scale, rotation, translation)


def euler_degrees(rotation: Array) -> Array:
    """Yaw, pitch and roll of rotations (..., 3, 3), in degrees, (..., 3). Positive yaw turns the nose to the picture's left."""
    r = np.asarray(rotation, np.float64)
    yaw = np.arctan2(-r[..., 2, 0], np.hypot(r[..., 0, 0], r[..., 1, 0]))
    pitch = np.arctan2(r[..., 2, 1], r[..., 2, 2])
    roll = np.arctan2(r[..., 1, 0], r[..., 0, 0])
    return np.degrees(np.stack([yaw, pitch, roll], -1))


def rotation_from_euler(degrees: Array) -> Array:
    """Rotations (..., 3, 3) from yaw, pitch and roll in degrees, (..., 3); the inverse of `euler_degrees`."""
    yaw, pitch, roll = np.moveaxis(np.radians(np.asarray(degrees, np.float64)), -1, 0)
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def matrix(*rows: list[Array]) -> Array:
        return np.stack([np.stack(row, -1) for row in rows], -2)

    about_x = matrix([one, zero, zero], [zero, np.cos(pitch), -np.sin(pitch)], [zero, np.sin(pitch), np.cos(pitch)])
    about_y = matrix([np.cos(yaw), zero, np.sin(yaw)], [zero, one, zero], [-np.sin(yaw), zero, np.cos(yaw)])
    about_z = matrix([np.cos(roll), -np.sin(roll), zero], [np.sin(roll), np.cos(roll), zero], [zero, zero, one])
    return about_z @ about_y @ about_x
