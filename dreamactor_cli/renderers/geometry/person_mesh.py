"""The person layer: an elastic mesh over the whole picture that carries hair, ears, neck and torso.

It moves as `person_space.PersonModel` says. Under the face layer it shows neck where the jaw was.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.person_space import PersonModel
from dreamactor_cli.renderers.geometry.raster import EMPTY, MapGrid, rasterize

Array = NDArray[np.float64]
F32 = NDArray[np.float32]

CELLS = 32  # grid cells over the longer side of the picture
PAD = 0.25  # of the longer side: how far the mesh continues beyond the picture
MAP_FLOOR = -4096.0  # px; source positions below it are mixed with `raster.EMPTY`
MAP_STEP = 3  # px of the frame per sample of the map


class PersonMesh:
    """Geometry of the person layer of one reference.

    Args:
        landmarks: of the reference, (478, 3) px, z relative to the pose's origin.
        pose: of the reference's head, T = 1.
        alpha: (H, W), 0 where nobody is.
        factor: px of the picture that is sampled per px of the reference (`sampling.Sampler.factor`).
    """

    def __init__(self, landmarks: Array, pose: HeadPose, alpha: NDArray[np.uint8], factor: int = 1) -> None:
        self.height, self.width = alpha.shape
        grid, triangles, step = _grid(self.width, self.height)
        used = _near_person(grid, alpha, step)
        keep = used[triangles].any(1)
        self.triangles = np.ascontiguousarray(triangles[keep])
        self.model = PersonModel(grid, landmarks, pose)
        self._used = np.unique(self.triangles)
        self._attributes = np.ascontiguousarray(grid * factor, np.float32)

    def draw(self, vertices: Array) -> tuple[slice, slice, F32, F32, NDArray[np.bool_]] | None:
        """Rasterise the layer.

        Args:
            vertices: (N, 3) px, of `model`.

        Returns:
            Rows, columns, and over them the source positions x, y in px of the sampled picture and where no mesh lies; None if
            off the frame.
        """
        low = np.floor(vertices[self._used, :2].min(0)).astype(int) // MAP_STEP * MAP_STEP
        high = np.ceil(vertices[self._used, :2].max(0)).astype(int) + 1
        x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
        width, height = min(int(high[0]), self.width) - x0, min(int(high[1]), self.height) - y0
        if width < 2 or height < 2:
            return None
        grid = MapGrid(x0, y0, width, height, MAP_STEP)
        out = np.full((2, *grid.shape), EMPTY, np.float32)
        depth = np.full(grid.shape, np.inf, np.float32)
        z = np.ascontiguousarray(vertices[:, 2], np.float32)
        rasterize(grid.points(vertices), z, self._attributes, self.triangles, True, depth, out)
        x, y = (grid.enlarge(values) for values in out)
        # Where the enlarged map passes from mesh to nothing, its values are a mixture of both, and nothing lies there either.
        nothing = x < MAP_FLOOR
        for positions in (x, y):
            np.copyto(positions, 0, where=nothing)  # sampling inside the picture is fast, outside it is not
        return slice(y0, y0 + height), slice(x0, x0 + width), x, y, nothing


def _near_person(grid: Array, alpha: NDArray[np.uint8], step: float) -> NDArray[np.bool_]:
    """Which grid vertices have the person within two cells, (N,); beyond the picture, its edge counts."""
    size = 2 * round(2 * step) + 1
    near = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((size, size), np.uint8))
    height, width = alpha.shape
    x = np.clip(np.rint(grid[:, 0]).astype(int), 0, width - 1)
    y = np.clip(np.rint(grid[:, 1]).astype(int), 0, height - 1)
    return near[y, x] > 0


def _grid(width: int, height: int) -> tuple[Array, NDArray[np.int32], float]:
    """Vertices (N, 2) px, triangles (M, 3) and cell size in px of a regular grid that continues beyond the picture."""
    step = max(4.0, max(width, height) / CELLS)
    pad = PAD * max(width, height)
    xs = np.arange(-pad, width + pad + step, step)
    ys = np.arange(-pad, height + pad + step, step)
    grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    index = np.arange(len(grid)).reshape(len(ys), len(xs))
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    return grid, triangles.astype(np.int32), step
