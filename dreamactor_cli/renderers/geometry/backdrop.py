"""What is seen behind a body: the picture itself beside whoever stands as there, and what lies around beside whoever has left.

The rim of pixels along an outline belongs to the person: contact shadows, the halo of a sharpened photograph, light through hair,
what the matte missed. Left behind by a body that walks away it would be seen as the ghost of its outline.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.person_space import smoothstep

U8 = NDArray[np.uint8]
Array = NDArray[np.float64]

CELL = 6  # px of the frame per cell in which the person's leaving is told
LEAVES = (0.002, 0.012)  # of the frame's height, that a node has moved while the rim beside it goes from the picture to the plate


class Backdrop:
    """The background of each frame of a body.

    Args:
        still: (H, W, 3), background that gives the picture while the person is at rest.
        empty: (H, W, 3), background as if nobody had ever stood there.
        places: nodes of each part at rest, (N, 2 or 3) px.
    """

    def __init__(self, still: U8, empty: U8, places: Mapping[int, Array]) -> None:
        height, width = still.shape[:2]
        self._canvas = np.dstack([still, np.zeros((height, width), np.uint8)])
        self._rest = {part: nodes[:, :2].copy() for part, nodes in places.items()}
        rows, columns = np.nonzero((still != empty).any(2))
        self._rim = rows * width + columns
        self._empty = empty[rows, columns].astype(np.float32)
        self._gap = still[rows, columns].astype(np.float32) - self._empty
        self._leaves = (LEAVES[0] * height, LEAVES[1] * height)
        self._cells = -(-height // CELL), -(-width // CELL)
        self._nearest = _nearest(np.concatenate(list(self._rest.values())), self._cells)

    def canvas(self, places: Mapping[int, Array]) -> NDArray[np.uint32]:
        """A canvas (H, W) of the background, with nobody on it, for nodes of the parts that are drawn, (N, 2 or 3) px."""
        out = self._canvas.copy()
        moved = np.concatenate([_moved(nodes, places.get(part)) for part, nodes in self._rest.items()])
        left = smoothstep(moved, *self._leaves)
        if left.any() and len(self._rim):
            height, width = out.shape[:2]
            grid = cv2.blur(left[self._nearest].astype(np.float32), (3, 3))
            stays = 1 - cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR).ravel()[self._rim]
            out.reshape(-1, 4)[self._rim, :3] = np.rint(self._empty + stays[:, None] * self._gap)
        return out.view(np.uint32)[..., 0]


def _moved(rest: Array, now: Array | None) -> Array:
    """How far nodes (N, 2) have gone, (N,) px; those of a part that is not drawn any more are away."""
    if now is None:
        return np.full(len(rest), np.inf)
    return np.asarray(np.hypot(*(now[:, :2] - rest).T))


def _nearest(nodes: Array, cells: tuple[int, int]) -> NDArray[np.int64]:
    """Number of the node (N, 2) px nearest to the middle of each cell, (rows, columns)."""
    from scipy.spatial import cKDTree

    rows, columns = np.mgrid[: cells[0], : cells[1]]
    middles = (np.stack([columns, rows], -1) + 0.5) * CELL
    return np.asarray(cKDTree(nodes).query(middles)[1], np.int64)
