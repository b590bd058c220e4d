"""Rotations of directions and frames, for many frames at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SHORT = 1e-6  # below this a vector has no direction


def unit(vectors: Array, otherwise: Array) -> Array:
    """Vectors (..., 3) of length 1; ``otherwise`` where they are too short to have a direction."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > _SHORT, vectors / np.maximum(length, _SHORT), otherwise)


def swing(start: Array, stop: Array) -> Array:
    """The smallest rotations (T, 3, 3) that turn unit vectors (T, 3) into others."""
    cosine = (start * stop).sum(1)
    cross = cross_matrix(np.cross(start, stop))
    turned = np.eye(3) + cross + cross @ cross / np.maximum(1 + cosine, 1e-9)[:, None, None]
    # Opposite vectors: half a turn about any axis across them.
    across = unit(np.cross(start, np.eye(3)[np.abs(start).argmin(1)]), start)
    half = 2 * across[:, :, None] * across[:, None, :] - np.eye(3)
    return np.where((cosine < -1 + 1e-7)[:, None, None], half, turned)


def cross_matrix(vectors: Array) -> Array:
    """Matrices (T, 3, 3) whose product with a vector is the cross product with vectors (T, 3)."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)


def frame(axis: Array, direction: Array, second_axis: Array, second: Array, otherwise: Array) -> Array:
    """Rotations (T, 3, 3) that turn ``axis`` into ``direction`` and ``second_axis`` as near to ``second`` as can be.

    Args:
        axis, second_axis: (3,), at a right angle.
        direction: unit vectors (T, 3).
        second: (T, 3).
        otherwise: (T, 3, 3), whose second axis counts where ``second`` is along ``direction``.
    """
    across = second - (second * direction).sum(1, keepdims=True) * direction
    across = np.where(np.linalg.norm(across, axis=1, keepdims=True) > _SHORT, across, otherwise @ second_axis)
    across = unit(across - (across * direction).sum(1, keepdims=True) * direction, otherwise @ second_axis)
    target = np.stack([direction, across, np.cross(direction, across)], 2)
    return target @ np.stack([axis, second_axis, np.cross(axis, second_axis)])


def euler_zxy(rotation: Array) -> Array:
    """Z, x and y angles of ``Rz @ Rx @ Ry``, degrees, (T, 3)."""
    x = np.arcsin(np.clip(rotation[:, 2, 1], -1, 1))
    z = np.arctan2(-rotation[:, 0, 1], rotation[:, 1, 1])
    y = np.arctan2(-rotation[:, 2, 0], rotation[:, 2, 2])
    return np.degrees(np.stack([z, x, y], 1))


def about_axis(axis: int, degrees: Array) -> Array:
    """Rotations (T, 3, 3) about x (0), y (1) or z (2) by angles (T,); positive turns the next axis towards the one after."""
    angle = np.radians(np.asarray(degrees, np.float64))
    out = np.tile(np.eye(3), (len(angle), 1, 1))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[:, i, i] = out[:, j, j] = np.cos(angle)
    out[:, j, i], out[:, i, j] = np.sin(angle), -np.sin(angle)
    return out


def partly(rotation: Array, share: Array) -> Array:
    """Rotations (T, 3, 3) by a share (T,), 0..1, of their angle, about the same axes."""
    cosine = np.clip((np.trace(rotation, axis1=1, axis2=2) - 1) / 2, -1, 1)
    angle = np.arccos(cosine)
    skew = (rotation - rotation.swapaxes(1, 2)) / 2
    axis = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], 1)
    axis = unit(axis, np.broadcast_to([0.0, 0.0, 1.0], axis.shape))
    cross, turn = cross_matrix(axis), (angle * share)[:, None, None]
    return np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * (cross @ cross)


def best_rotation(start: Array, stop: Array) -> Array:
    """Rotations (T, 3, 3) that turn points (N, 3) most nearly into points (T, N, 3), all about their origin (Kabsch 1976)."""
    u, _, vt = np.linalg.svd(np.einsum("tni,nj->tij", stop, start))
    u[..., :, 2] *= np.linalg.det(u @ vt)[..., None]
    return u @ vt
