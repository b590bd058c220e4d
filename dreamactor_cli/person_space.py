"""How hair, ears, neck and torso follow the head: the elastic model that the flow is measured with and the renderer draws.

Above the chin a point turns with the head, on the surface of an ellipsoid behind the face (the 3D head sphere with the
radii of a head); below, the head's motion fades over the neck into the torso's. What is left is a smooth field on a grid
about the head (`contracts.Head.field`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.head_space import HeadPose

Array = NDArray[np.float64]

ELLIPSOID = np.array([1.4, 1.9, 1.2])  # radii around head_space.SPHERE_CENTER, inter-ocular units
JOIN_DECAY = 0.45  # inter-ocular units over which the depth of the face oval fades into the ellipsoid
RESIDUAL_DECAY = 0.25  # the same for what the oval moves beyond the pose: the jaw must not drag the hair
NECK = (-0.25, 1.1)  # inter-ocular units below the chin between which the head's motion fades into the torso's
SHOULDER = (2.2, 3.6)  # inter-ocular units to the side, likewise
TORSO_DEPTH = 0.8  # inter-ocular units behind the eyes

# The field's grid, in inter-ocular units from the centre of the head sphere.
FIELD_LEFT, FIELD_TOP, FIELD_STEP = -4.0, -2.5, 0.5
FIELD_COLUMNS, FIELD_ROWS = 17, 15


def smoothstep(x: Array, low: float, high: float) -> Array:
    """0 below low, 1 above high, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def still_field(frames: int) -> NDArray[np.float32]:
    """The field of a motion that head and torso explain, (frames, FIELD_ROWS, FIELD_COLUMNS, 2)."""
    return np.zeros((frames, FIELD_ROWS, FIELD_COLUMNS, 2), np.float32)


def field_weights(points: Array, center: Array, scale: float) -> tuple[NDArray[np.int64], Array]:
    """Where points lie in the field's grid.

    Args:
        points: (N, 2) px.
        center: of the head sphere, (2,) px.
        scale: px per inter-ocular distance.

    Returns:
        Indices of the four nodes around each point in the flattened grid, and their bilinear weights, (N, 4) each; a point
        outside takes the value at the border.
    """
    x = np.clip(((points[:, 0] - center[0]) / scale - FIELD_LEFT) / FIELD_STEP, 0, FIELD_COLUMNS - 1.001)
    y = np.clip(((points[:, 1] - center[1]) / scale - FIELD_TOP) / FIELD_STEP, 0, FIELD_ROWS - 1.001)
    column, row = x.astype(np.int64), y.astype(np.int64)
    fx, fy = x - column, y - row
    first = row * FIELD_COLUMNS + column
    index = np.stack([first, first + 1, first + FIELD_COLUMNS, first + FIELD_COLUMNS + 1], 1)
    weights = np.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], 1)
    return index, weights


def interpolate(field: Array, index: NDArray[np.int64], weights: Array) -> Array:
    """A field (FIELD_ROWS, FIELD_COLUMNS, 2) at the points of `field_weights`, (N, 2)."""
    nodes = field.reshape(-1, 2)
    out = weights[:, :1] * nodes[index[:, 0]]
    for k in range(1, 4):
        out += weights[:, k : k + 1] * nodes[index[:, k]]
    return out


def _to_oval(points: Array, oval: Array, scale: float) -> tuple[Array, Array]:
    """Weights (N, 36) of the face oval's points (36, 3) px by inverse distance, and the least distance (N,), inter-ocular."""
    distance = np.linalg.norm(points[:, None] - oval[None, :, :2], axis=2) / scale
    near = 1 / (distance**3 + 1e-3)
    near /= near.sum(1, keepdims=True)
    return near, distance.min(1)


class PersonModel:
    """Points of a picture that follow the head and the torso of the person in it.

    Args:
        points: (N, 2) px.
        landmarks: of the face in the picture, (478, 3) px, z relative to the pose's origin.
        pose: of the head, T = 1.
    """

    def __init__(self, points: Array, landmarks: Array, pose: HeadPose) -> None:
        self.points = points
        self._scale = float(pose.scale[0])
        self._oval = list(head_space.FACE_OVAL)
        oval = landmarks[self._oval]
        near, nearest = _to_oval(points, oval, self._scale)
        self._residual = near * np.exp(-((nearest / RESIDUAL_DECAY) ** 2))[:, None]
        self._depth = _depth(points, landmarks, pose, near, nearest)
        at = np.concatenate([points, self._depth[:, None]], 1)[None]
        self._canonical = head_space.to_canonical(at, pose)[0]
        self._oval_canonical = head_space.to_canonical(oval[None], pose)[0]
        chin = head_space.to_canonical(landmarks[None, [head_space.CHIN]], pose)[0, 0, 1]
        below = 1 - smoothstep(self._canonical[:, 1], chin + NECK[0], chin + NECK[1])
        aside = 1 - smoothstep(np.abs(self._canonical[:, 0]), *SHOULDER)
        self._weight = (below * aside)[:, None]
        self._nodes = field_weights(points, head_space.sphere_of(pose)[0][0], self._scale)

    def move(self, pose: HeadPose, landmarks: Array, head_2d: Array, torso_2d: Array, field: Array | None = None) -> Array:
        """Positions (N, 3) px in a frame.

        Args:
            pose: of the target head, T = 1.
            landmarks: of the target face, (478, 3) px.
            head_2d, torso_2d: (2, 3) px, see `contracts.Head`.
            field: (FIELD_ROWS, FIELD_COLUMNS, 2), inter-ocular units, see `contracts.Head`.
        """
        torso = self.points @ torso_2d[:, :2].T + torso_2d[:, 2]
        out = self._joined(pose, landmarks, head_2d, torso)
        if field is not None:
            out[:, :2] += float(pose.scale[0]) * interpolate(field, *self._nodes)
        return out

    def move_on(self, pose: HeadPose, landmarks: Array, head_2d: Array, torso: Array, field: Array) -> Array:
        """`move`, on a torso whose points (N, 2) px are known; of the field, the head's part is taken."""
        out = self._joined(pose, landmarks, head_2d, torso)
        out[:, :2] += float(pose.scale[0]) * self._weight * interpolate(field, *self._nodes)
        return out

    def _joined(self, pose: HeadPose, landmarks: Array, head_2d: Array, torso: Array) -> Array:
        """Positions (N, 3) px by the head's motion, faded over the neck into the torso's, (N, 2) px."""
        head = head_space.to_image(self._canonical, pose)[0]
        oval = head_space.to_image(self._oval_canonical, pose)[0]
        for points in (head, oval):
            points[:, :2] = points[:, :2] @ head_2d[:, :2].T + head_2d[:, 2]
        head += self._residual @ (landmarks[self._oval] - oval)
        behind = np.maximum(self._depth, TORSO_DEPTH * self._scale)
        out: Array = self._weight * head + (1 - self._weight) * np.concatenate([torso, behind[:, None]], 1)
        return out


def _depth(points: Array, landmarks: Array, pose: HeadPose, near: Array, nearest: Array) -> Array:
    """Depth of each point in px, relative to the pose's origin, (N,)."""
    oval = landmarks[list(head_space.FACE_OVAL)]
    gap = oval[:, 2] - _ellipsoid_depth(oval[:, :2], pose)
    depth = _ellipsoid_depth(points, pose) + (near @ gap) * np.exp(-((nearest / JOIN_DECAY) ** 2))
    # Hair and ears beside the oval never stand in front of it: they would cut into the cheek when the head turns.
    depth = np.maximum(depth, near @ oval[:, 2])
    inside = _inside(points, oval[:, :2])
    depth[inside] = _face_depth(points[inside], landmarks)
    return depth


def _inside(points: Array, contour: Array) -> NDArray[np.bool_]:
    """Which points (N, 2) lie inside a closed contour (K, 2), by the even-odd rule."""
    x, y = points[:, :1], points[:, 1:]
    x0, y0 = contour.T
    x1, y1 = np.roll(contour, -1, 0).T
    crosses = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = x < (x1 - x0) * (y - y0) / (y1 - y0) + x0
    inside: NDArray[np.bool_] = (crosses & left).sum(1) % 2 == 1
    return inside


def _face_depth(points: Array, landmarks: Array) -> Array:
    """Depth of the face's surface under points (N, 2): inverse-distance mean of the landmarks, (N,)."""
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
