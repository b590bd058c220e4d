"""A fixed layout of the face's skin: every atlas pixel lies in one triangle of the face mesh."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8

Index = NDArray[np.int32]
Points = NDArray[np.float64]

ATLAS_SIZE = 176  # px
TILES = 8  # squares a side that it is worked on in
FAR = -1e4  # px, where pixels outside the mesh are sent
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


class _Tile(NamedTuple):
    """A square of the layout, and what the landmarks of the triangles in it count at its pixels.

    Attributes:
        row, column: its number from the top and from the left.
        landmarks: (L,) their numbers.
        weights: (L, pixels) barycentric, 0 outside the triangles of the landmark.
        shares: (L + 1, pixels) the same, and a last row that puts pixels outside the mesh far away.
    """

    row: int
    column: int
    landmarks: NDArray[np.int64]
    weights: F32
    shares: F32


class Atlas:
    """Sampling of faces in the layout.

    Values go from landmarks to pixels and back tile by tile, as small matrix products: a sparse product of the whole is no
    faster, and the package for it takes longer to import than a short clip takes to measure.

    Args:
        size: px, a multiple of `TILES`.

    Attributes:
        inside: (size, size) bool, atlas pixels that lie in the mesh.
        trust: (size, size) 0..1, how far a pixel shows skin that is always there: lids and inner lips come and go.
        laplacian: (468, 468), of the mesh.
    """

    def __init__(self, size: int = ATLAS_SIZE) -> None:
        self.size = size
        self.points = head_space.atlas_layout(size)
        triangles = head_space.triangles()
        triangles = triangles[(triangles < 468).all(1)]
        owner, weights = cover(self.points, triangles, size)
        self.inside = owner >= 0
        self._pixels = np.flatnonzero(self.inside)
        self._corners = triangles[owner[self.inside]]  # (K, 3) landmarks of each pixel inside
        self._weights = weights[self.inside]  # (K, 3) barycentric
        self.trust = self._trust()
        self._tiles = self._make_tiles()
        self.laplacian, self._slopes = self._mesh_operators(triangles)

    def _make_tiles(self) -> list[_Tile]:
        side = self.size // TILES
        rows, columns = np.divmod(self._pixels, self.size)
        tile, place = rows // side * TILES + columns // side, rows % side * side + columns % side
        made = []
        for number in range(TILES * TILES):
            mine = tile == number
            if mine.any():
                landmarks, local = np.unique(self._corners[mine], return_inverse=True)
                spread = np.zeros((len(landmarks), side * side), np.float32)
                spread[local.reshape(-1, 3), place[mine][:, None]] = self._weights[mine]
                far = np.where(spread.any(0), 0, FAR).astype(np.float32)
                made.append(_Tile(*divmod(number, TILES), landmarks, spread, np.concatenate([spread, far[None]])))
        return made

    def _trust(self) -> F32:
        mask = self.inside.astype(np.uint8)
        for ring, reach in ((head_space.EYE_LEFT, 5), (head_space.EYE_RIGHT, 5), (head_space.INNER_LIPS, 3)):
            hole = np.zeros_like(mask)
            cv2.fillPoly(hole, [np.rint(self.points[list(ring)]).astype(np.int32)], 1)
            mask[cv2.dilate(hole, np.ones((2 * reach + 1,) * 2, np.uint8)) > 0] = 0
        edge = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)[1:-1, 1:-1]
        return np.where(self.inside, np.clip(edge / 4, 0, 1), 0).astype(np.float32)

    def _mesh_operators(self, triangles: NDArray[np.int32]) -> tuple[Points, F32]:
        """Graph Laplacian, and the operators (2 x 468, 468) that give the derivatives of a field at each landmark."""
        linked = np.zeros((468, 468))
        for a, b in ((0, 1), (1, 2), (2, 0)):
            linked[triangles[:, a], triangles[:, b]] = linked[triangles[:, b], triangles[:, a]] = 1
        laplacian = np.diag(linked.sum(1)) - linked
        # Least squares over the neighbours, (offsets' offsets)^-1 offsets', for all landmarks at once.
        i, j = np.nonzero(linked)
        offset = self.points[j] - self.points[i]
        normal = np.zeros((468, 2, 2))
        np.add.at(normal, i, offset[:, :, None] * offset[:, None, :])
        solvable = linked.sum(1) >= 2
        normal[solvable] = np.linalg.inv(normal[solvable])
        slopes = np.zeros((2, 468, 468))
        slopes[:, i, j] = np.einsum("epq,eq->pe", normal[i] * solvable[i, None, None], offset)
        slopes[:, range(468), range(468)] = -slopes.sum(2)
        return laplacian, slopes.reshape(2 * 468, 468).astype(np.float32)

    def maps(self, points: F32) -> F32:
        """Where pixels lie in pictures with landmarks (B, 468, 2) px, (B, 2, size, size); far away what lies outside the mesh."""
        count, side = len(points), self.size // TILES
        flat = np.ones((2 * count, 469), np.float32)  # the last column belongs to the last row of the shares
        flat[:, :468] = points.transpose(0, 2, 1).reshape(-1, 468)
        out = np.full((2 * count, self.size, self.size), FAR, np.float32)
        blocks = out.reshape(-1, TILES, side, TILES, side)
        for tile in self._tiles:
            known = flat.take([*tile.landmarks, 468], axis=1)
            blocks[:, tile.row, :, tile.column] = (known @ tile.shares).reshape(-1, side, side)
        return out.reshape(count, 2, self.size, self.size)

    def sample(self, picture: U8, points: NDArray[np.floating]) -> U8:
        """The face with landmarks (468, 2) px in a picture, brought into the layout; zeros outside."""
        x, y = self.maps(points[None].astype(np.float32))[0]
        return cv2.remap(picture, x, y, cv2.INTER_LINEAR)

    def gather(self, values: F32) -> F32:
        """Sum at the landmarks of values at the pixels (B, C, size, size), by their weights, (B, 468, C)."""
        side = self.size // TILES
        blocks = values.reshape(-1, TILES, side, TILES, side).transpose(1, 3, 0, 2, 4).reshape(TILES, TILES, -1, side * side)
        out = np.zeros((468, blocks.shape[2]), np.float32)
        for tile in self._tiles:
            out[tile.landmarks] += tile.weights @ blocks[tile.row, tile.column].T
        return np.ascontiguousarray(out.reshape(468, *values.shape[:2]).transpose(1, 0, 2))

    def normal_matrix(self, gradient: Points) -> Points:
        """Sum over pixels of trust x gradient x gradient', (2, size, size), spread to the landmarks, (936, 936)."""
        gx, gy = gradient.reshape(2, -1)[:, self._pixels]
        trust = self.trust.ravel()[self._pixels]
        pair = (self._corners[:, :, None] * 468 + self._corners[:, None, :]).ravel()
        shares = self._weights[:, :, None] * self._weights[:, None, :]
        out = np.empty((468, 2, 468, 2))
        for p, q, product in ((0, 0, gx * gx), (0, 1, gx * gy), (1, 1, gy * gy)):
            total = np.bincount(pair, (shares * (trust * product)[:, None, None]).ravel(), 468 * 468).reshape(468, 468)
            out[:, p, :, q] = out[:, q, :, p] = total
        return out.reshape(936, 936)

    def jacobians(self, points: F32) -> F32:
        """Derivatives of landmarks (B, 468, 2) px of pictures by the layout: [..., p, i] is d picture_i / d layout_p."""
        flat = points.transpose(1, 0, 2).reshape(468, -1)
        out: F32 = (self._slopes @ flat).reshape(2, 468, len(points), 2).transpose(2, 1, 0, 3)
        return out


@cache
def face_atlas() -> Atlas:
    """The atlas, made once a process."""
    return Atlas()
