"""Pictures of a posed person, and what each pixel shows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.training.synthetic import kernels, materials, shading
from dreamactor_cli.training.synthetic.person import Person
from dreamactor_cli.training.synthetic.rig import BONE, Performance, carry, unit
from dreamactor_cli.training.synthetic.scene import Camera, Light

F64 = NDArray[np.float64]

SAMPLES = 2  # a side of a pixel
_SHADOW_BIAS = 0.06  # decimetres


class Shot(NamedTuple):
    """Rendered frames.

    Attributes:
        frames: (T, H, W, 3).
        matte: (T, H, W), 0..255.
        label: of `materials`, -1 for nobody, (T, H, W).
        depth: metres, infinity for nobody, (T, H, W).
        landmarks: of the face mesh, world, (T, 468, 3), decimetres.
    """

    frames: U8
    matte: U8
    label: NDArray[np.int8]
    depth: F32
    landmarks: F64


def gaze_directions(matrices: F64, gaze: F64) -> F64:
    """World directions (T, 3) of a gaze (T, 2) relative to the head."""
    yaw, pitch = gaze[:, 0], gaze[:, 1]
    ahead = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], 1)
    out: F64 = np.einsum("tij,tj->ti", matrices[:, BONE["head"], :, :3], ahead)
    return out


def landmarks_of(person: Person, corners: F32) -> F64:
    """The 468 landmarks (..., 468, 3) on the corners of their triangles (..., 468, 3, 3)."""
    out: F64 = (corners * person.landmark_weights[:, :, None]).sum(-2)
    return out


def _light_row(light: Light, camera: Camera, shadow_side: int) -> F64:
    """The light as `shading` takes it, with an orthographic map to the shadow's picture."""
    to = unit(camera.rotation.T @ light.to)
    across = unit(np.cross([0, 1, 0.02], to))
    up = np.cross(to, across)
    scale = shadow_side / 2 / camera.shadow_radius
    center = camera.shadow_center
    ways = np.stack([across * scale, -up * scale, to])
    rows = np.concatenate([ways, (np.array([shadow_side / 2, shadow_side / 2, 50]) - ways @ center)[:, None]], 1)
    strengths = [light.key, light.ambient, light.rim]
    return np.concatenate([to, rows.ravel(), strengths, light.key_rgb, light.ambient_rgb, [_SHADOW_BIAS]])


class Renderer:
    """Draws square pictures of ``size`` px; keeps its buffers."""

    def __init__(self, size: int) -> None:
        self._size = size
        side = size * SAMPLES
        self._z = np.empty((side, side), np.float32)
        self._seen = np.empty((side, side), np.int32)
        self._bary = np.empty((side, side, 2), np.float32)
        shadow = max(128, size * 3 // 2)
        self._shadow = np.empty((shadow, shadow), np.float32)

    def shoot(self, person: Person, act: Performance, bones: F64, camera: Camera, light: Light, back: F32) -> Shot:
        """Draw every frame of a performance.

        Args:
            bones: of `rig.pose`, (T, B, 3, 4).
            back: (H, W, 3), 0..1.
        """
        count, n = len(bones), self._size
        shot = Shot(
            np.empty((count, n, n, 3), np.uint8), np.empty((count, n, n), np.uint8), np.empty((count, n, n), np.int8),
            np.empty((count, n, n), np.float32), np.empty((count, len(person.landmark_vertices), 3)),
        )  # fmt: skip
        corners = np.empty((count, *person.landmark_vertices.shape, 3), np.float32)
        moved = (act.weights.astype(np.float32) @ person.shapes).reshape(count, -1, 3)
        head = bones[:, BONE["head"]]
        eyes = carry(head, person.eye_centers)
        gaze = gaze_directions(bones, act.gaze)
        row = _light_row(light, camera, len(self._shadow))
        rest = person.vertices.copy()
        posed, normals, flat = (np.empty_like(rest) for _ in range(3))
        for t in range(count):
            rest[person.face_vertices] = person.vertices[person.face_vertices] + moved[t]
            kernels.skin(rest, np.ascontiguousarray(bones[t], np.float32), person.bone_index, person.bone_weight, posed)
            kernels.normals(posed, person.triangles, normals)
            look = (eyes[t], gaze[t], person.iris)
            out = (shot.frames[t], shot.matte[t], shot.label[t], shot.depth[t])
            self._draw(person, posed, normals, flat, camera, row, look, back, out)
            corners[t] = posed[person.landmark_vertices]
        shot.landmarks[:] = landmarks_of(person, corners)
        return shot

    def _draw(
        self, person: Person, posed: F32, normals: F32, flat: F32, camera: Camera, light: F64, eyes: tuple[F64, F64, F64],
        back: F32, out: tuple[U8, U8, NDArray[np.int8], F32],
    ) -> None:  # fmt: skip
        side = self._size * SAMPLES
        intrinsics = [camera.focal * side, side / 2, side / 2]
        kernels.project(posed, np.concatenate([intrinsics, camera.rotation.ravel(), camera.translation]), flat)
        self._z[:] = 0
        self._seen[:] = -1
        kernels.rasterise(flat, person.triangles, person.two_sided, self._z, self._seen, self._bary)
        kernels.affine(posed, light[shading.LIGHT_MAP : shading.LIGHT_KEY].reshape(3, 4), flat)
        self._shadow[:] = 0
        kernels.rasterise_depth(flat, person.triangles, self._shadow)
        t = person.textures
        shading.resolve(
            self._z, self._seen, self._bary, person.triangles, person.uv, person.material, posed, normals, person.openness,
            t.texels, t.offset, t.side, person.look, camera.position(), light, self._shadow, *eyes, back, *out,
        )  # fmt: skip


def is_flesh(label: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Whether pixels show skin, eyes, teeth, tongue or lashes."""
    out: NDArray[np.bool_] = (label >= materials.SKIN) & (label <= materials.LASH)
    return out
