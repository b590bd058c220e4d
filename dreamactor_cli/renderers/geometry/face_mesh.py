"""The face layer: the mesh of the face with a soft rim, drawn over the person layer.

Vertices follow the target landmarks exactly. Around the face oval stand two rims: the alpha falls from 1 on the oval to 0
on the outer rim, so that the layer blends into hair, ears and neck.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.renderers.geometry.compositing import COVERAGE
from dreamactor_cli.renderers.geometry.raster import DrawnLayer, MapGrid, rasterize, soften
from dreamactor_cli.renderers.geometry.texture import Box, Texture

F32 = NDArray[np.float32]

RIM_WIDTHS = (0.04, 0.10)  # inter-ocular units outwards from the oval
RIM_DEPTHS = (0.05, 0.15)  # inter-ocular units away from the camera
RIM_ALPHAS = (0.8, 0.0)
SHADING_SIZE = 64  # px, see contracts.Appearance
HIDDEN = (0.1, 0.45)  # cosine between the skin's normal and the camera: below the first the photo shows nothing of it
TURNED = (0.08, 0.35)  # by how much that cosine must have grown for the mirrored side to be shown instead
MARGIN = 3  # px around the layer, for the soft edge
FINE_UP_TO = 160  # px, size of a face up to which every pixel is rasterised


def strip(contour: tuple[int, ...]) -> NDArray[np.int32]:
    """Triangles (M, 3) that fill a closed contour of an even number of landmarks, from its first to its middle point."""
    half = len(contour) // 2
    upper = list(contour[: half + 1])
    lower = [contour[0], *reversed(contour[half:])]
    faces = []
    for k in range(half):
        faces += [(upper[k], upper[k + 1], lower[k]), (upper[k + 1], lower[k + 1], lower[k])]
    return np.array([f for f in faces if len(set(f)) == 3], np.int32)


def oriented(triangles: NDArray[np.int32], points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Triangles whose corners turn clockwise on screen, for the points (N, 2) given."""
    a, b, c = (points[triangles[:, k], :2] for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    out = triangles.copy()
    out[area < 0] = out[area < 0][:, [0, 2, 1]]
    return out


class FaceMesh:
    """Geometry and texture of the face layer of one reference.

    Args:
        image: (H, W, 3).
        landmarks: of the reference, (478, 3) px.
        scale: px per inter-ocular distance.
        rotation: of the reference's head, (3, 3).
    """

    def __init__(
        self, image: NDArray[np.uint8], landmarks: NDArray[np.float64], scale: float, rotation: NDArray[np.float64]
    ) -> None:
        oval = list(head_space.FACE_OVAL)
        shape = head_space.template()
        outward = shape[oval, :2] - shape[oval, :2].mean(0)
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        rims = [
            np.concatenate([outward * width, np.full((len(oval), 1), depth)], 1)
            for width, depth in zip(RIM_WIDTHS, RIM_DEPTHS, strict=True)
        ]
        self._rims = np.concatenate(rims)  # (2 * 36, 3), canonical offsets from the oval
        self._oval = np.array(oval * len(rims))
        self.triangles = self._all_triangles(len(oval))
        source = self.vertices(landmarks, scale, rotation)
        alphas = np.concatenate([np.ones(head_space.NUM_MESH), np.repeat(RIM_ALPHAS, len(oval))])
        self.texture = Texture(image, box=_box(source, image.shape[1], image.shape[0]))
        self._attributes = np.column_stack([self.texture.positions(source[:, :2]), alphas])
        whole = np.concatenate([np.arange(head_space.NUM_MESH), self._oval])  # the landmark that each vertex stands for
        canonical = (np.asarray(landmarks)[: head_space.NUM_MESH] - landmarks[168]) @ rotation / scale
        self._normals = _normals(canonical)[whole]
        self._facing = -(self._normals @ rotation.T)[:, 2]
        self._hidden = 1 - smoothstep(self._facing, *HIDDEN)
        self._atlas = head_space.atlas_layout(SHADING_SIZE)[whole]
        self._mirrored = self.texture.positions(source[self._mirror(len(oval)), :2])

    @staticmethod
    def _mirror(count: int) -> NDArray[np.int64]:
        """The vertex on the other side of the face, (540,)."""
        across = head_space.mirror()[: head_space.NUM_MESH].astype(np.int64)
        place = {landmark: k for k, landmark in enumerate(head_space.FACE_OVAL)}
        rim = np.array([place.get(int(across[landmark]), k) for k, landmark in enumerate(head_space.FACE_OVAL)])
        first = head_space.NUM_MESH
        return np.concatenate([across, first + rim, first + count + rim])

    def _revealed(self, rotation: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much each vertex needs the texture of the other side: what the photo hides and the pose shows, (540,)."""
        gained = -(self._normals @ rotation.T)[:, 2] - self._facing
        return self._hidden * smoothstep(gained, *TURNED)

    @staticmethod
    def _all_triangles(count: int) -> NDArray[np.int32]:
        """Face, fillings of eyes and mouth, and two rims; (M, 3), clockwise on the template."""
        oval = np.array(head_space.FACE_OVAL)
        rings = [oval, head_space.NUM_MESH + np.arange(count), head_space.NUM_MESH + count + np.arange(count)]
        rim = []
        for inner, outer in zip(rings, rings[1:], strict=False):
            for k in range(count):
                n = (k + 1) % count
                rim += [(inner[k], outer[k], inner[n]), (outer[k], outer[n], inner[n])]
        parts = [head_space.triangles(), np.array(rim, np.int32)]
        parts += [strip(c) for c in (head_space.INNER_LIPS, head_space.EYE_LEFT, head_space.EYE_RIGHT)]
        shape = head_space.template()
        outward = shape[oval] - shape[oval].mean(0)
        points = np.concatenate([shape[: head_space.NUM_MESH], shape[oval] + 0.1 * outward, shape[oval] + 0.2 * outward])
        return oriented(np.concatenate(parts).astype(np.int32), points)

    def vertices(self, landmarks: NDArray[np.floating], scale: float, rotation: NDArray[np.floating]) -> NDArray[np.float64]:
        """Vertices (540, 3) px of a face with landmarks (478, 3) px and a head pose."""
        mesh = np.asarray(landmarks, np.float64)[: head_space.NUM_MESH]
        return np.concatenate([mesh, mesh[self._oval] + scale * (self._rims @ np.asarray(rotation).T)])

    def draw(
        self, vertices: NDArray[np.float64], rotation: NDArray[np.float64], width: int, height: int, with_atlas: bool = False
    ) -> DrawnLayer | None:
        """Rasterise the layer.

        Args:
            vertices: (540, 3) px.
            rotation: of the head in the frame, (3, 3).
            width, height: of the frame, px.
            with_atlas: also tell the positions in the shading atlas.

        Returns:
            None if the face is off the frame.
        """
        x0, y0, x1, y1 = _box(vertices, width, height)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return None
        columns = [self._attributes]
        revealed = self._revealed(rotation)
        turned = bool(revealed.max() > 0.05)
        if turned:
            columns.append(np.column_stack([self._mirrored, revealed]))
        if with_atlas:
            columns.append(self._atlas)
        attributes = np.ascontiguousarray(np.column_stack(columns), np.float32)
        step = 2 if max(x1 - x0, y1 - y0) > FINE_UP_TO else 1
        grid = MapGrid(x0, y0, x1 - x0, y1 - y0, step)
        maps = np.zeros((attributes.shape[1], *grid.shape), np.float32)
        depth = np.full(grid.shape, np.inf, np.float32)
        z = np.ascontiguousarray(vertices[:, 2], np.float32)
        rasterize(grid.points(vertices), z, attributes, self.triangles, False, depth, maps)
        soften(depth, maps, COVERAGE)
        return DrawnLayer(
            rows=slice(y0, y1), columns=slice(x0, x1), grid=grid, maps=maps[:6] if turned else maps[:3],
            atlas=maps[-2:] if with_atlas else None,
        )  # fmt: skip


def _box(vertices: NDArray[np.float64], width: int, height: int) -> Box:
    """The part of a picture that holds all vertices (N, 2 or 3) px, with a margin."""
    low = np.floor(vertices[:, :2].min(0)).astype(int) - MARGIN
    high = np.ceil(vertices[:, :2].max(0)).astype(int) + MARGIN + 1
    return max(int(low[0]), 0), max(int(low[1]), 0), min(int(high[0]), width), min(int(high[1]), height)


def _normals(mesh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outward unit normals of the face mesh, (468, 3) from points (468, 3)."""
    faces = head_space.triangles()
    a, b, c = (mesh[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    out = np.zeros_like(mesh)
    for k in range(3):
        np.add.at(out, faces[:, k], across)
    # Clockwise triangles with y down and z away: their cross product points away from the camera.
    return -out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
