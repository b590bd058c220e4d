"""A fixed layout of the face's skin: every atlas pixel lies in one triangle of the face mesh."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8

Index = NDArray[np.int32]
Points = NDArray[np.float64]

ATLAS_SIZE = 176  # px
_SUBPIXEL = 6  # bits


def cover(points: Points, triangles: Index, size: int) -> tuple[Index, Points]:
    """Triangle of each atlas pixel, (size, size), -1 outside, and barycentric weights, (size, size, 3)."""
    owner = np.full((size, size), -1, np.int32)
    fine = 1 << _SUBPIXEL
    for number, corners in enumerate(np.rint(points[triangles] * fine).astype(np.int32)):
        cv2.fillConvexPoly(owner, corners, number, shift=_SUBPIXEL)
    corner = points[triangles[owner]]  # (size, size, 3, 2); of any triangle outside
    a, b, c = corner[..., 0, :], corner[..., 1, :], corner[..., 2, :]
    at = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).astype(np.float64)

    def area(p: Points, q: Points, r: Points) -> Points:
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    whole = area(a, b, c)
    owner[np.abs(whole) < 1e-3] = -1
    weights = np.stack([area(at, b, c), area(a, at, c), area(a, b, at)], -1) / np.where(owner < 0, 1.0, whole)[..., None]
    return owner, weights


class Atlas:
    """Sampling of faces in the layout.

    Attributes:
        inside: (size, size) bool, atlas pixels that lie in the mesh.
        pixels: (K,) flat index of each of them.
        corners: (K, 3) its landmarks; weights: (K, 3) barycentric.
        trust: (K,) 0..1, how far a pixel shows skin that is always there: lids and inner lips come and go.
        laplacian: (468, 468), of the mesh.
    """

    def __init__(self, size: int = ATLAS_SIZE) -> None:
        self.size = size
        self.points = head_space.atlas_layout(size)
        triangles = head_space.triangles()
        triangles = triangles[(triangles < 468).all(1)]
        owner, weights = cover(self.points, triangles, size)
        self.inside = owner >= 0
        self.inside_float = self.inside.astype(np.float32)
        self.pixels = np.flatnonzero(self.inside).astype(np.int32)
        self.corners = np.ascontiguousarray(triangles[owner[self.inside]], np.int32)
        self.weights = np.ascontiguousarray(weights[self.inside], np.float32)
        self.trust = self._trust()
        self.laplacian, self._slope = self._mesh_operators(triangles)
        self._xs = np.full(size * size, -1e4, np.float32)
        self._ys = self._xs.copy()
        self._coverage: dict[int, F32] = {}
        count = len(self.pixels)
        rows = np.arange(0, 3 * count + 1, 3)
        # Values at the landmarks to values at the pixels, and back.
        self._spread = csr_matrix((self.weights.ravel(), self.corners.ravel(), rows), shape=(count, 468))
        self._gather = self._spread.T.tocsr()

    def _trust(self) -> F32:
        mask = self.inside.astype(np.uint8)
        for ring, reach in ((head_space.EYE_LEFT, 5), (head_space.EYE_RIGHT, 5), (head_space.INNER_LIPS, 3)):
            hole = np.zeros_like(mask)
            cv2.fillPoly(hole, [np.rint(self.points[list(ring)]).astype(np.int32)], 1)
            mask[cv2.dilate(hole, np.ones((2 * reach + 1,) * 2, np.uint8)) > 0] = 0
        edge = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)[1:-1, 1:-1]
        return np.ascontiguousarray(np.clip(edge / 4, 0, 1)[self.inside], np.float32)

    def _mesh_operators(self, triangles: NDArray[np.int32]) -> tuple[Points, tuple[csr_matrix, csr_matrix]]:
        """Graph Laplacian, and operators (468, 468) that give the derivative of a field at each landmark."""
        linked = np.zeros((468, 468))
        for a, b in ((0, 1), (1, 2), (2, 0)):
            linked[triangles[:, a], triangles[:, b]] = linked[triangles[:, b], triangles[:, a]] = 1
        laplacian = np.diag(linked.sum(1)) - linked
        slope = np.zeros((2, 468, 468))
        for i in range(468):
            near = np.flatnonzero(linked[i])
            if len(near) < 2:
                continue
            offset = self.points[near] - self.points[i]
            solve = np.linalg.pinv(offset)
            slope[:, i, near] = solve
            slope[:, i, i] = -solve.sum(1)
        return laplacian, (csr_matrix(slope[0]), csr_matrix(slope[1]))

    def sample(self, picture: U8, points: NDArray[np.float64]) -> U8:
        """The face with landmarks (468, 2) px in a picture, brought into the layout; zeros outside."""
        places = self._spread @ points.astype(np.float32)
        self._xs[self.pixels], self._ys[self.pixels] = places.T
        shape = (self.size, self.size)
        return cv2.remap(picture, self._xs.reshape(shape), self._ys.reshape(shape), cv2.INTER_LINEAR)

    def coverage(self, reach: int) -> F32:
        """Share of the box around each pixel that lies inside the mesh, (size, size)."""
        if reach not in self._coverage:
            self._coverage[reach] = np.maximum(cv2.boxFilter(self.inside_float, -1, (2 * reach + 1,) * 2), 1e-3)
        return self._coverage[reach]

    def normal_matrix(self, gradient: Points, trust: Points) -> Points:
        """Sum over pixels of trust x gradient x gradient', (K, 2) and (K,), spread to the landmarks, (936, 936)."""
        out = np.empty((936, 936))
        for p in range(2):
            for q in range(2):
                weighted = self._spread.multiply((trust * gradient[:, p] * gradient[:, q])[:, None]).tocsr()
                out[p::2, q::2] = (self._gather @ weighted).toarray()
        return out

    def gather(self, values: F32) -> F32:
        """Sum at the landmarks of values at the pixels (K, C), by their weights, (468, C)."""
        return self._gather @ values

    def push(self, points: Points, shift: Points) -> Points:
        """A displacement in the layout (468, 2) px, as displacement of landmarks ``points`` in their picture, px."""
        along_x, along_y = self._slope[0] @ points, self._slope[1] @ points
        return along_x * shift[:, :1] + along_y * shift[:, 1:]


@cache
def face_atlas() -> Atlas:
    """The atlas, made once a process."""
    return Atlas()
