"""The person layer: an elastic mesh over the whole picture that carries hair, ears, neck and torso.

Above the chin it turns with the head, as the surface of an ellipsoid behind the face (the 3D head sphere, with the radii of
a head); below it fades over the neck into the motion of the torso. Under the face layer it shows neck where the jaw was.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.renderers.geometry.raster import rasterize

Array = NDArray[np.float64]
F32 = NDArray[np.float32]

CELLS = 44  # grid cells over the longer side of the picture
PAD = 0.35  # of the longer side: how far the mesh continues beyond the picture
ELLIPSOID = np.array([1.4, 1.9, 1.2])  # radii of the head around head_space.SPHERE_CENTER, inter-ocular units
JOIN_DECAY = 0.45  # inter-ocular units over which the depth of the face oval fades into the ellipsoid
RESIDUAL_DECAY = 0.25  # the same for what the oval moves beyond the pose: the jaw must not drag the hair
NECK = (-0.25, 1.1)  # inter-ocular units below the chin between which the head's motion fades into the torso's
SHOULDER = (2.2, 3.6)  # inter-ocular units to the side, likewise
TORSO_DEPTH = 0.8  # inter-ocular units behind the eyes
MAP_STEP = 2  # the layer is smooth: its map is rasterised at half size and enlarged


def smoothstep(x: Array, low: float, high: float) -> Array:
    """0 below low, 1 above high, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


class PersonMesh:
    """Geometry of the person layer of one reference.

    Args:
        landmarks: of the reference, (478, 3) px, z relative to the pose's origin.
        pose: of the reference's head, T = 1.
        width, height: of the reference, px.
    """

    def __init__(self, landmarks: Array, pose: HeadPose, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.grid, self.triangles = _grid(width, height)
        self._scale = float(pose.scale[0])
        self._oval = list(head_space.FACE_OVAL)
        oval = landmarks[self._oval]
        distance = np.linalg.norm(self.grid[:, None] - oval[None, :, :2], axis=2) / self._scale  # (N, 36)
        near = 1 / (distance**3 + 1e-3)
        near /= near.sum(1, keepdims=True)
        nearest = distance.min(1)
        self._residual = near * np.exp(-((nearest / RESIDUAL_DECAY) ** 2))[:, None]
        depth = self._depth(landmarks, pose, near, nearest)
        self._depth_px = depth
        points = np.concatenate([self.grid, depth[:, None]], 1)[None]
        self._canonical = head_space.to_canonical(points, pose)[0]
        self._oval_canonical = head_space.to_canonical(oval[None], pose)[0]
        chin = head_space.to_canonical(landmarks[None, [head_space.CHIN]], pose)[0, 0, 1]
        below = 1 - smoothstep(self._canonical[:, 1], chin + NECK[0], chin + NECK[1])
        aside = 1 - smoothstep(np.abs(self._canonical[:, 0]), *SHOULDER)
        self._weight = (below * aside)[:, None]
        self._attributes = np.ascontiguousarray(self.grid, np.float32)

    def _depth(self, landmarks: Array, pose: HeadPose, near: Array, nearest: Array) -> Array:
        """Depth of each grid vertex in px, relative to the pose's origin, (N,)."""
        oval = landmarks[self._oval]
        on_ellipsoid = _ellipsoid_depth(self.grid, pose)
        gap = oval[:, 2] - _ellipsoid_depth(oval[:, :2], pose)
        depth = on_ellipsoid + (near @ gap) * np.exp(-((nearest / JOIN_DECAY) ** 2))
        # Hair and ears beside the oval never stand in front of it: they would cut into the cheek when the head turns.
        depth = np.maximum(depth, near @ oval[:, 2])
        inside = _inside(self.grid, oval[:, :2])
        on_face = _face_depth(self.grid[inside], landmarks)
        depth[inside] = on_face
        return depth

    def vertices(self, pose: HeadPose, landmarks: Array, head_2d: Array, torso_2d: Array) -> Array:
        """Vertices (N, 3) px in a frame.

        Args:
            pose: of the target head, T = 1.
            landmarks: of the target, (478, 3) px.
            head_2d, torso_2d: (2, 3), see `contracts.Head`.
        """
        head = head_space.to_image(self._canonical, pose)[0]
        oval = head_space.to_image(self._oval_canonical, pose)[0]
        for points in (head, oval):
            points[:, :2] = points[:, :2] @ head_2d[:, :2].T + head_2d[:, 2]
        head += self._residual @ (landmarks[self._oval] - oval)
        behind = np.maximum(self._depth_px, TORSO_DEPTH * self._scale)
        torso = np.concatenate([self.grid @ torso_2d[:, :2].T + torso_2d[:, 2], behind[:, None]], 1)
        return self._weight * head + (1 - self._weight) * torso

    def draw(self, vertices: Array) -> tuple[F32, F32]:
        """Source positions x, y in px for every pixel of the frame, (H, W) each."""
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


def _inside(points: Array, contour: Array) -> NDArray[np.bool_]:
    """Which points (N, 2) lie inside a closed contour (K, 2)."""
    polygon = contour.astype(np.float32).reshape(-1, 1, 2)
    return np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), False) > 0 for x, y in points], bool)


def _face_depth(points: Array, landmarks: Array) -> Array:
    """Depth of the face's surface under points (N, 2): inverse-distance mean of the nearest landmarks, (N,)."""
    mesh = landmarks[: head_space.NUM_MESH]
    distance = np.linalg.norm(points[:, None] - mesh[None, :, :2], axis=2)
    weights = 1 / (distance**3 + 1e-3)
    return (weights @ mesh[:, 2]) / weights.sum(1)


def _ellipsoid_depth(points: Array, pose: HeadPose) -> Array:
    """Depth (N,) px at which rays through points (N, 2) px meet the head's ellipsoid, or pass it nearest."""
    def unit(z: float) -> Array:
        xyz = np.concatenate([points, np.full((len(points), 1), z)], 1)[None]
        return (head_space.to_canonical(xyz, pose)[0] - head_space.SPHERE_CENTER) / ELLIPSOID

    origin = unit(0.0)
    along = unit(1.0) - origin
    a, b, c = (along**2).sum(1), (origin * along).sum(1), (origin**2).sum(1) - 1
    root = np.sqrt(np.maximum(b * b - a * c, 0))
    return (-b - root) / a
