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


def cross(first: Array, second: Array) -> Array:
    """Cross products (..., 3); `numpy.cross` takes three times as long for few vectors."""
    a, b, c = first[..., 0], first[..., 1], first[..., 2]
    x, y, z = second[..., 0], second[..., 1], second[..., 2]
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], -1)


def swing(start: Array, stop: Array) -> Array:
    """The smallest rotations (..., 3, 3) that turn unit vectors (..., 3) into others."""
    start, stop = np.broadcast_arrays(start, stop)
    cosine = (start * stop).sum(-1)
    skew = cross_matrix(cross(start, stop))
    turned = np.eye(3) + skew + skew @ skew / np.maximum(1 + cosine, 1e-9)[..., None, None]
    opposite = cosine < -1 + 1e-7
    if opposite.any():  # half a turn about any axis across them
        one = start[opposite]
        across = unit(cross(one, np.eye(3)[np.abs(one).argmin(-1)]), one)
        turned[opposite] = 2 * across[..., :, None] * across[..., None, :] - np.eye(3)
    return np.asarray(turned)


def cross_matrix(vectors: Array) -> Array:
    """Matrices (..., 3, 3) whose product with a vector is the cross product with vectors (..., 3)."""
    out = np.zeros((*vectors.shape, 3))
    out[..., 2, 1], out[..., 0, 2], out[..., 1, 0] = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return out - out.swapaxes(-1, -2)


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
    target = np.stack([direction, across, cross(direction, across)], 2)
    return target @ np.stack([axis, second_axis, cross(axis, second_axis)])


def euler_zxy(rotation: Array) -> Array:
    """Z, x and y angles of ``Rz @ Rx @ Ry``, degrees, (T, 3)."""
    x = np.arcsin(np.clip(rotation[:, 2, 1], -1, 1))
    z = np.arctan2(-rotation[:, 0, 1], rotation[:, 1, 1])
    y = np.arctan2(-rotation[:, 2, 0], rotation[:, 2, 2])
    return np.degrees(np.stack([z, x, y], 1))


def about_axis(axis: int, degrees: Array) -> Array:
    """Rotations (T, 3, 3) about x (0), y (1) or z (2) by angles (T,); positive turns the next axis towards the one after."""
    turn = np.radians(np.asarray(degrees, np.float64))
    out = np.tile(np.eye(3), (len(turn), 1, 1))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[:, i, i] = out[:, j, j] = np.cos(turn)
    out[:, j, i], out[:, i, j] = np.sin(turn), -np.sin(turn)
    return out


def angle(rotation: Array) -> Array:
    """Angles (...) of rotations (..., 3, 3), degrees."""
    return np.asarray(np.degrees(np.arccos(np.clip((np.trace(rotation, axis1=-2, axis2=-1) - 1) / 2, -1, 1))))


def partly(rotation: Array, share: Array) -> Array:
    """Rotations (..., 3, 3) by a share (...), 0..1, of their angle, about the same axes."""
    if (share == 1).all():
        return rotation
    skew = (rotation - rotation.swapaxes(-1, -2)) / 2
    axis = np.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1)
    axis = cross_matrix(unit(axis, np.broadcast_to([0.0, 0.0, 1.0], axis.shape)))
    turn = (np.radians(angle(rotation)) * share)[..., None, None]
    return np.asarray(np.eye(3) + np.sin(turn) * axis + (1 - np.cos(turn)) * (axis @ axis))


def best_rotation(start: Array, stop: Array) -> Array:
    """Rotations (T, 3, 3) that turn points (N, 3) most nearly into points (T, N, 3), all about their origin (Kabsch 1976)."""
    u, _, vt = np.linalg.svd(np.einsum("tni,nj->tij", stop, start))
    u[..., :, 2] *= np.linalg.det(u @ vt)[..., None]
    return u @ vt
