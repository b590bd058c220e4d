"""A fixed layout of the face's skin: every atlas pixel lies in one triangle of the face mesh."""

from __future__ import annotations

from functools import cache

import cv2
import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8

Index = NDArray[np.int32]
Points = NDArray[np.float64]

ATLAS_SIZE = 176  # px


def cover(points: NDArray[np.float64], triangles: NDArray[np.int32], size: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Triangle of each atlas pixel, (size, size), -1 outside, and barycentric weights, (size, size, 3)."""
    owner = np.full((size, size), -1, np.int32)
    weights = np.zeros((size, size, 3))
    for t, corner in enumerate(triangles):
        p = points[corner]
        x0, y0 = np.maximum(np.floor(p.min(0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(p.max(0)).astype(int), size - 1)
        matrix = np.vstack([p.T, np.ones(3)])
        if abs(np.linalg.det(matrix)) < 1e-9:
            continue
        gx, gy = np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1))
        w = np.linalg.solve(matrix, np.stack([gx.ravel(), gy.ravel(), np.ones(gx.size)])).T
        ok = (w >= -1e-6).all(1)
        owner[gy.ravel()[ok], gx.ravel()[ok]] = t
        weights[gy.ravel()[ok], gx.ravel()[ok]] = w[ok]
    return owner, weights


@numba.njit(cache=True, fastmath=True)
def _fill_maps(pixels: Index, corners: Index, weights: F32, points: F32, xs: F32, ys: F32) -> None:
    for k in range(len(pixels)):
        x = 0.0
        y = 0.0
        for c in range(3):
            w = weights[k, c]
            x += w * points[corners[k, c], 0]
            y += w * points[corners[k, c], 1]
        xs[pixels[k]] = x
        ys[pixels[k]] = y


@numba.njit(cache=True, fastmath=True)
def _normal_matrix(corners: Index, weights: F32, gradient: Points, trust: Points, out: Points) -> None:
    for k in range(len(corners)):
        for a in range(3):
            for b in range(3):
                w = trust[k] * weights[k, a] * weights[k, b]
                i, j = 2 * corners[k, a], 2 * corners[k, b]
                for p in range(2):
                    for q in range(2):
                        out[i + p, j + q] += w * gradient[k, p] * gradient[k, q]


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
        _fill_maps(self.pixels, self.corners, self.weights, points.astype(np.float32), self._xs, self._ys)
        shape = (self.size, self.size)
        return cv2.remap(picture, self._xs.reshape(shape), self._ys.reshape(shape), cv2.INTER_LINEAR)

    def coverage(self, reach: int) -> F32:
        """Share of the box around each pixel that lies inside the mesh, (size, size)."""
        if reach not in self._coverage:
            self._coverage[reach] = np.maximum(cv2.boxFilter(self.inside_float, -1, (2 * reach + 1,) * 2), 1e-3)
        return self._coverage[reach]

    def normal_matrix(self, gradient: NDArray[np.float64], trust: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over pixels of trust x gradient x gradient', spread to the landmarks, (936, 936)."""
        out = np.zeros((936, 936))
        _normal_matrix(self.corners, self.weights, gradient, trust, out)
        return out

    def push(self, points: Points, shift: Points) -> Points:
        """A displacement in the layout (468, 2) px, as displacement of landmarks ``points`` in their picture, px."""
        along_x, along_y = self._slope[0] @ points, self._slope[1] @ points
        return along_x * shift[:, :1] + along_y * shift[:, 1:]


@cache
def face_atlas() -> Atlas:
    """The atlas, made once a process."""
    return Atlas()
