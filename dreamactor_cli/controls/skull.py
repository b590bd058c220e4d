"""Depth of hair and skull: points of a picture placed on an ellipsoid behind the face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.head_space import HeadPose

Array = NDArray[np.float64]

RADII = np.array([1.4, 1.9, 1.2])  # canonical units
_BLEND = 0.45  # canonical units over which the depth of the face's border fades into the ellipsoid's


def _ellipsoid_depth(points: Array, pose: HeadPose) -> Array:
    """Depth (N,) px of the ellipsoid's front under points (N, 2) px; beside it, of its widest section."""
    scale, rotation, translation = pose.scale[0], pose.rotation[0], pose.translation[0]

    def local(depth: float) -> Array:
        xyz = np.c_[points, np.full(len(points), depth)]
        return ((xyz - translation) @ rotation / scale - head_space.SPHERE_CENTER) / RADII

    origin = local(0.0)
    direction = local(1.0) - origin
    a, b, c = (direction**2).sum(1), (origin * direction).sum(1), (origin**2).sum(1) - 1
    under_root = np.maximum(b * b - a * c, 0)
    return -b / a - np.sqrt(under_root) / a


def to_skull(points: Array, mesh: Array, pose: HeadPose) -> Array:
    """Canonical position of picture points on the head.

    Args:
        points: (N, 2) px.
        mesh: (478, 3) px, the face in the same picture.
        pose: of that face, one frame.

    Returns:
        (N, 3), canonical head space.
    """
    border = mesh[list(head_space.FACE_OVAL)]
    gap = border[:, 2] - _ellipsoid_depth(border[:, :2], pose)
    distance = np.linalg.norm(points[:, None] - border[None, :, :2], axis=2) / pose.scale[0]
    weight = 1 / (distance**3 + 1e-3)
    weight /= weight.sum(1, keepdims=True)
    depth = _ellipsoid_depth(points, pose) + (weight @ gap) * np.exp(-((distance.min(1) / _BLEND) ** 2))
    return head_space.to_canonical(np.c_[points, depth][None], pose)[0]
