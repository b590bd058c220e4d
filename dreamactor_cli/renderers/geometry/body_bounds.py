"""Bounds on what skinning does to a part: where its triangles fold or stretch too far, its nodes move rigidly with their bone.

The mean of two maps that differ much, as at an elbow that is bent by more than a right angle, folds the mesh beside the joint or
draws it out. There the part is laid as a paper puppet's: each side with its own bone, and the overlap of both covers the joint.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
I32 = NDArray[np.int32]

STRETCH = (1.5, 1.9)  # of a triangle against its bone's map, between which it passes to that map
SHRINK = (0.45, 0.2)  # of its area likewise
ROUNDS = 5  # what has passed to the bone may stretch what lies beside it


class Bounds:
    """The triangles of one part at rest.

    Args:
        nodes: of the part, (N, 2) px of the picture.
        triangles: among them, (M, 3).
        bones: the bone that each node goes with if it must, (N,).
    """

    def __init__(self, nodes: Array, triangles: I32, bones: NDArray[np.int64]) -> None:
        of = bones[triangles]
        whole = (of == of[:, :1]).all(1)  # what spans two bones has no map of its own
        self._triangles, self._bone = triangles[whole], of[whole, 0]
        self._inverse = _inverse(_edges(nodes, self._triangles))

    def held(self, places: Array, rigid: Array, matrices: Array) -> Array:
        """Places (N, 2) px of the nodes, within bounds.

        Args:
            places: by skinning, (N, 2) px.
            rigid: by each node's own bone, (N, 2) px.
            matrices: affine maps of the bones, (B, 2, 3).
        """
        largest = np.linalg.norm(matrices[:, :, :2], 2, (1, 2))
        area = np.linalg.det(matrices[:, :, :2])
        out, share = places.copy(), np.zeros(len(places))
        for _ in range(ROUNDS):
            if not _shares(out, self._triangles, self._inverse, largest[self._bone], area[self._bone], share):
                break
            out = places + share[:, None] * (rigid - places)
        return out


def _edges(points: Array, triangles: I32) -> Array:
    """Two edges of each triangle as columns, (M, 2, 2)."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    return np.stack([b - a, c - a], 2)


def _inverse(matrices: Array) -> Array:
    """Inverse matrices (M, 2, 2): `numpy.linalg.inv` of thousands takes seconds where its threads get no core."""
    a, b, c, d = matrices.reshape(-1, 4).T
    return np.stack([d, -b, -c, a], 1).reshape(-1, 2, 2) / (a * d - b * c)[:, None, None]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _shares(places: Array, triangles: I32, inverse: Array, largest: Array, area: Array, share: Array) -> bool:
    """Raise the shares (N,) with which nodes go with their bone, in place, by how far triangles are out of bounds.

    Args:
        places: of the nodes, (N, 2).
        triangles: (M, 3).
        inverse: of their edges at rest, (M, 2, 2).
        largest, area: stretch and signed change of area by the triangles' bones, (M,).

    Returns:
        Whether any was raised.
    """
    raised = False
    for m in range(len(triangles)):
        i, j, k = triangles[m, 0], triangles[m, 1], triangles[m, 2]
        ux, uy = places[j, 0] - places[i, 0], places[j, 1] - places[i, 1]
        vx, vy = places[k, 0] - places[i, 0], places[k, 1] - places[i, 1]
        a, b = ux * inverse[m, 0, 0] + vx * inverse[m, 1, 0], ux * inverse[m, 0, 1] + vx * inverse[m, 1, 1]
        c, d = uy * inverse[m, 0, 0] + vy * inverse[m, 1, 0], uy * inverse[m, 0, 1] + vy * inverse[m, 1, 1]
        total, now = a * a + b * b + c * c + d * d, a * d - b * c
        longest = math.sqrt(0.5 * (total + math.sqrt(max(total * total - 4 * now * now, 0.0))))
        long = (longest / max(largest[m], 1e-6) - STRETCH[0]) / (STRETCH[1] - STRETCH[0])
        small = 1.0 if abs(area[m]) < 1e-9 else (now / area[m] - SHRINK[0]) / (SHRINK[1] - SHRINK[0])
        bad = min(max(long, small), 1.0)
        for n in triangles[m]:
            if bad > share[n]:
                share[n] = bad
                raised = True
    return raised
