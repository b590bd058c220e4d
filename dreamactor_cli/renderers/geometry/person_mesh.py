"""The person layer: an elastic mesh over the whole picture that carries hair, ears, neck and torso.

It moves as `person_space.PersonModel` says. Under the face layer it shows neck where the jaw was.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.person_space import PersonModel
from dreamactor_cli.renderers.geometry.compositing import COVERAGE, X, Y
from dreamactor_cli.renderers.geometry.raster import DrawnLayer, MapGrid, rasterize
from dreamactor_cli.renderers.geometry.texture import Texture

Array = NDArray[np.float64]

CELLS = 32  # grid cells over the longer side of the picture
PAD = 0.25  # of the longer side: how far the mesh continues beyond the picture
MAP_STEP = 3  # px of the frame per sample of the map
SOLID = 127  # alpha from which somebody is there, and no background between strands of hair
ENLARGED = 2  # the most that the texture is enlarged: hair and cloth are seen less closely than a face


class PersonMesh:
    """Geometry and texture of the person layer of one reference.

    Args:
        image: (H, W, 4), the person with alpha.
        landmarks: of the reference, (478, 3) px, z relative to the pose's origin.
        pose: of the reference's head, T = 1.
    """

    def __init__(self, image: NDArray[np.uint8], landmarks: Array, pose: HeadPose) -> None:
        alpha = image[..., 3]
        self.height, self.width = alpha.shape
        self.texture = Texture(image, most=ENLARGED)
        self._near = _near(alpha)
        self._to_near = np.float32(len(self._near) / len(self.texture.pixels))
        grid, triangles, step = _grid(self.width, self.height)
        near = _near_person(grid, alpha, step) & _goes_on(grid, alpha, step, float(landmarks[:, 1].min()))
        triangles = triangles[near[triangles].any(1)]
        used, triangles = np.unique(triangles, return_inverse=True)
        grid, self.triangles = grid[used], np.ascontiguousarray(triangles.reshape(-1, 3), np.int32)
        self.model = PersonModel(grid, landmarks, pose)
        self._attributes = np.column_stack([self.texture.positions(grid), np.ones(len(grid), np.float32)])

    def draw(self, vertices: Array) -> DrawnLayer | None:
        """Rasterise the layer.

        Args:
            vertices: (N, 3) px, of `model`.

        Returns:
            None if it is off the frame.
        """
        low = np.floor(vertices[:, :2].min(0)).astype(int) // MAP_STEP * MAP_STEP
        high = np.ceil(vertices[:, :2].max(0)).astype(int) + 1
        x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
        width, height = min(int(high[0]), self.width) - x0, min(int(high[1]), self.height) - y0
        if width < 2 or height < 2:
            return None
        grid = MapGrid(x0, y0, width, height, MAP_STEP)
        maps = np.zeros((3, *grid.shape), np.float32)
        depth = np.full(grid.shape, np.inf, np.float32)
        z = np.ascontiguousarray(vertices[:, 2], np.float32)
        rasterize(grid.points(vertices), z, self._attributes, self.triangles, True, depth, maps)
        # The mesh ends where nobody is; its last sample must not be mixed with the nothing beside it.
        near = cv2.remap(
            self._near, maps[X] * self._to_near, maps[Y] * self._to_near, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101
        )
        maps[COVERAGE] = cv2.erode(maps[COVERAGE], np.ones((3, 3), np.uint8)) * near
        return DrawnLayer(rows=slice(y0, y0 + height), columns=slice(x0, x0 + width), grid=grid, maps=maps)


def _near(alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A small copy of the picture that is 1 where somebody is within reach of a sample of the map, else 0."""
    height, width = alpha.shape
    size = (-(-width // MAP_STEP), -(-height // MAP_STEP))
    some = cv2.resize((alpha > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    return np.asarray(cv2.dilate(some.astype(np.float32), np.ones((7, 7), np.uint8)), np.float32)


def _near_person(grid: Array, alpha: NDArray[np.uint8], step: float) -> NDArray[np.bool_]:
    """Which grid vertices have the person within two cells, (N,); beyond the picture, its edge counts."""
    size = 2 * round(2 * step) + 1
    near = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((size, size), np.uint8))
    height, width = alpha.shape
    x = np.clip(np.rint(grid[:, 0]).astype(int), 0, width - 1)
    y = np.clip(np.rint(grid[:, 1]).astype(int), 0, height - 1)
    return near[y, x] > 0


def _goes_on(grid: Array, alpha: NDArray[np.uint8], step: float, crown: float) -> NDArray[np.bool_]:
    """Which grid vertices may show the picture mirrored above its upper border, (N,); below the border all.

    Only hair that the border cuts goes on above it: as far as a round head does that is so wide there, and no further than
    there is hair, for a face is not mirrored.

    Args:
        crown: row of the topmost landmark of the face, px.
    """
    height = np.zeros(alpha.shape[1])
    some = alpha > SOLID
    edges = np.flatnonzero(np.diff(np.concatenate([[0], some[0], [0]]).astype(np.int8)))
    radius = 0.5 * float(some[int(np.clip(crown, 0, len(alpha) - 1))].sum())
    for start, stop in edges.reshape(-1, 2):
        half = 0.5 * (stop - start)
        square = max(radius, half) ** 2
        off = np.arange(start, stop) + 0.5 - start - half
        height[start:stop] = np.sqrt(square - off**2) - np.sqrt(square - half**2)
    height = cv2.dilate(height[None], np.ones((1, 2 * round(step) + 1), np.uint8))[0]
    x = np.clip(np.rint(grid[:, 0]).astype(int), 0, alpha.shape[1] - 1)
    return np.asarray(grid[:, 1] >= -np.minimum(height[x], 0.4 * crown))


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
