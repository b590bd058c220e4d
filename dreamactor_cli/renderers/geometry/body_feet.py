"""How a foot looks when it turns: a body of which the camera sees another side, not a flat picture that turns about the ankle.

A foot is taken for an ellipsoid along the line from heel to toes. Seen from afar its outline is an ellipse, and the affine map
that carries one outline to the other, and as nearly as that allows the points of its middle to where they have turned, keeps
a standing foot flat on the ground, and draws one that points the other way mirrored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import rotations

Array = NDArray[np.float64]

AXES = np.array([0.125, 0.055, 0.055])  # half lengths of the ellipsoid along, upwards and across, metres
SHORT = 0.03  # metres between heel and toes, below which nobody knows where a foot points


def foot_map(rest: Array, now: Array, scale: float) -> Array | None:
    """Linear part (2, 2) of the map of a foot from the picture to a frame, of the same size; None if it has no direction.

    Args:
        rest, now: knee, ankle, heel and toes, (4, 3) px with depth.
        scale: px per metre.
    """
    before, after = _frame(rest, scale), _frame(now, scale)
    if before is None or after is None:
        return None
    spread = np.diag(AXES**2)
    was, there = before @ spread @ before.T, after @ spread @ after.T
    # Depth of the ellipsoid's middle, behind what is seen of it, is linear in what is seen.
    middle = np.vstack([np.eye(2), was[2, :2] @ np.linalg.inv(was[:2, :2])])
    carried = (after @ before.T @ middle)[:2]
    root, target = _root(was[:2, :2]), _root(there[:2, :2])
    u, _, v = np.linalg.svd(np.linalg.solve(target, carried @ root))
    return np.asarray(target @ u @ v @ np.linalg.inv(root), np.float64)


def _frame(points: Array, scale: float) -> Array | None:
    """Axes (3, 3) of a foot in its columns: along, upwards, across."""
    knee, ankle, heel, toes = points
    along, up = toes - heel, knee - ankle
    length = float(np.linalg.norm(along))
    if length < SHORT * scale:
        return None
    along = along / length
    up = up - (up @ along) * along
    high = float(np.linalg.norm(up))
    if high < SHORT * scale:
        return None
    up = up / high
    return np.column_stack([along, up, rotations.cross(along, up)])


def _root(matrix: Array) -> Array:
    """Square root of a symmetric positive matrix (2, 2)."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 1e-12))) @ vectors.T)
