"""The person layer: an elastic mesh over the whole picture that carries hair, ears, neck and torso.

It moves as `person_space.PersonModel` says. Under the face layer it shows neck where the jaw was.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.person_space import PersonModel
from dreamactor_cli.renderers.geometry.raster import rasterize

Array = NDArray[np.float64]
F32 = NDArray[np.float32]

CELLS = 44  # grid cells over the longer side of the picture
PAD = 0.35  # of the longer side: how far the mesh continues beyond the picture
MAP_STEP = 2  # the layer is smooth: its map is rasterised at half size and enlarged


class PersonMesh:
    """Geometry of the person layer of one reference.

    Args:
        landmarks: of the reference, (478, 3) px, z relative to the pose's origin.
        pose: of the reference's head, T = 1.
        width, height: of the reference, px.
    """

    def __init__(self, landmarks: Array, pose: HeadPose, width: int, height: int) -> None:
        self.width, self.height = width, height
        grid, self.triangles = _grid(width, height)
        self.model = PersonModel(grid, landmarks, pose)
        self._attributes = np.ascontiguousarray(grid, np.float32)

    def draw(self, vertices: Array) -> tuple[F32, F32]:
        """Source positions x, y in px for every pixel of the frame, (H, W) each, from vertices (N, 3) px."""
        # One cell more on each side, so that enlarging never has to guess beyond the last sample.
        columns, rows = -(-self.width // MAP_STEP) + 2, -(-self.height // MAP_STEP) + 2
        out = np.zeros((2, rows, columns), np.float32)
        depth = np.full((rows, columns), np.inf, np.float32)
        center = (MAP_STEP - 1) / 2
        points = np.ascontiguousarray((vertices[:, :2] - center) / MAP_STEP + 1, np.float32)
        z = np.ascontiguousarray(vertices[:, 2], np.float32)
        rasterize(points, z, self._attributes, self.triangles, True, depth, out)
        size = (columns * MAP_STEP, rows * MAP_STEP)
        inner = (slice(MAP_STEP, MAP_STEP + self.height), slice(MAP_STEP, MAP_STEP + self.width))
        x, y = (cv2.resize(m, size, interpolation=cv2.INTER_LINEAR)[inner] for m in out)
        return np.ascontiguousarray(x), np.ascontiguousarray(y)


def _grid(width: int, height: int) -> tuple[Array, NDArray[np.int32]]:
    """Vertices (N, 2) px and triangles (M, 3) of a regular grid that continues beyond the picture."""
    step = max(4.0, max(width, height) / CELLS)
    pad = PAD * max(width, height)
    xs = np.arange(-pad, width + pad + step, step)
    ys = np.arange(-pad, height + pad + step, step)
    grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    index = np.arange(len(grid)).reshape(len(ys), len(xs))
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    return grid, triangles.astype(np.int32)
