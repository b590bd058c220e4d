"""Where the bones of a picture lie in a frame, and where its nodes do: linear blend skinning in the picture's plane.

A limb is turned and made longer or shorter along its bone, as it points towards the camera or away; across, it keeps the size
of the body. The torso follows shoulders and hips, and what bulges towards the camera slides across as it turns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import HIPS, SHOULDERS
from dreamactor_cli.renderers.geometry.body_mesh import BodyMesh
from dreamactor_cli.renderers.geometry.body_skeleton import (
    BONES,
    HEAD,
    NECK,
    SKULL,
    TORSO,
    Skeleton,
    torso_outline,
)

Array = NDArray[np.float64]

LENGTHS = (0.22, 1.4)  # of a limb in the frame against the picture, beside the body's own change of size
RIGID = ("left_hand", "right_hand", "left_foot", "right_foot")  # bones that keep their length
FEET = ("left_foot", "right_foot")
FOOT_TURN, FOOT_LIMIT = 0.6, 0.8  # share of the turn that a foot follows, and the most of it, rad
HAND_LIMIT = 1.3  # rad that a hand turns against its forearm
TORSO_SHEAR = 0.6  # how far the torso follows its four corners, against their similarity
TURN_LIMIT = np.radians(35.0)
BULGE = 0.10  # metres that the middle of the torso stands out before the line between the shoulders
UNSEEN = 0.15  # weight of a hip or shoulder that the picture does not show
FATTER = 2.0  # up to how much the inside of a bent joint is widened again


class BodyPose:
    """Moves the nodes of one picture.

    Args:
        skeleton: of the picture.
        mesh: its nodes.
    """

    def __init__(self, skeleton: Skeleton, mesh: BodyMesh) -> None:
        self._rest = skeleton
        self._mesh = mesh
        self._used = np.flatnonzero(skeleton.bones)
        self._weights = np.ascontiguousarray(mesh.weights[:, self._used])
        self._pivots = skeleton.points[mesh.pivots]
        corners = torso_outline(skeleton)
        self._center = corners.mean(0)
        across = corners[[0, 3]].mean(0) - corners[[1, 2]].mean(0)  # from the person's right to the left
        self._half = max(0.5 * float(np.linalg.norm(across)), 0.1 * skeleton.scale)
        self._across = across / max(float(np.linalg.norm(across)), 1e-6)
        offset = (mesh.nodes - self._center) @ self._across / (1.25 * self._half)
        # In front of the line between the shoulders, like a cylinder; nothing at its sides.
        self._bulge = BULGE * skeleton.scale * np.sqrt(np.clip(1 - offset**2, 0, 1)) * mesh.weights[:, TORSO]

    def move(self, matrices: Array, points: Array, turn: float) -> Array:
        """Places (N, 2) px of the nodes in a frame.

        Args:
            matrices: of the bones, see `matrices`.
            points: of the frame's skeleton, (37, 2) px.
            turn: of the torso against the picture, rad; positive takes the person's left side away from the camera.
        """
        matrices = matrices[self._used]
        blended = (self._weights @ matrices.reshape(-1, 6)).reshape(-1, 2, 3)
        linear, offset = blended[:, :, :2], blended[:, :, 2]
        pivots = np.einsum("nij,nj->ni", linear, self._pivots) + offset
        # The mean of two turns is smaller than either: a bent joint would get thin.
        area = np.abs(np.linalg.det(matrices[:, :, :2]))
        have = np.abs(linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0])
        swell = np.clip(np.sqrt(self._weights @ area / np.maximum(have, 1e-6)), 1, FATTER)
        out = pivots + swell[:, None] * np.einsum("nij,nj->ni", linear, self._mesh.nodes - self._pivots)
        slide = np.sin(np.clip(turn, -TURN_LIMIT, TURN_LIMIT)) * self._bulge
        axis = points[SHOULDERS[0]] - points[SHOULDERS[1]]
        axis = axis / max(float(np.linalg.norm(axis)), 1e-6)
        if axis @ self._across < 0:
            axis = -axis
        return np.asarray(out + slide[:, None] * axis, np.float64)

    def size(self, points: Array) -> float:
        """Growth of the body since the picture, in a frame with points (37, 2) px."""
        return grown(self._torso(points)[1])

    def matrices(self, points: Array) -> Array:
        """Affine maps (B, 2, 3) of the bones from the picture to a frame with points (37, 2) px."""
        out = np.zeros((len(BONES), 2, 3))
        torso, similarity = self._torso(points)
        out[TORSO] = torso
        size = grown(similarity)
        out[HEAD] = self._head(points, similarity, size)
        for index in self._used:
            if index not in (TORSO, HEAD):
                out[index] = self._limb(int(index), points, size)
        return out

    def _torso(self, points: Array) -> tuple[Array, Array]:
        """Affine map of the torso, (2, 3), and the similarity nearest to it."""
        corners = [*SHOULDERS, *HIPS]
        weights = np.maximum(np.clip(self._rest.score[corners], 0, 1) ** 2, UNSEEN)
        source, target = self._rest.points[corners], points[corners]
        similarity = fit_similarity(source, target, weights)
        root = np.sqrt(weights)[:, None]
        design = np.column_stack([source, np.ones(4)])
        # What four corners do not tell, as where all lie on a line, stays with the similarity.
        residual = target - design @ similarity.T
        ridge = 1e-3 * np.trace((design[:, :2] - source.mean(0)).T @ (design[:, :2] - source.mean(0))) * np.eye(3)
        ridge[2, 2] = 1e-3
        weighted = root * design
        affine = similarity + np.linalg.solve(weighted.T @ weighted + ridge, weighted.T @ (root * residual)).T
        return TORSO_SHEAR * affine + (1 - TORSO_SHEAR) * similarity, similarity

    def _head(self, points: Array, similarity: Array, size: float) -> Array:
        """Similarity of a head without a face mesh: turned about the neck, as the line from neck to ears."""
        a, b = self._rest.points[SKULL] - self._rest.points[NECK], points[SKULL] - points[NECK]
        turn = _angle(a, b)
        carried = np.arctan2(similarity[1, 0], similarity[0, 0])
        turn = carried + np.clip(_wrapped(turn - carried), -0.7, 0.7)
        linear = size * _rotation(turn)
        where = points[NECK] + 0.5 * (b - linear @ a)
        return np.column_stack([linear, where - linear @ self._rest.points[NECK]])

    def _limb(self, index: int, points: Array, size: float) -> Array:
        """Affine map of a limb's bone, (2, 3)."""
        bone = BONES[index]
        u = self._rest.points[bone.end] - self._rest.points[bone.start]
        v = points[bone.end] - points[bone.start]
        length, wanted = max(float(np.linalg.norm(u)), 1e-6), max(float(np.linalg.norm(v)), 1e-6)
        along = float(np.clip(wanted / length / size, *LENGTHS)) * size
        turn = _angle(u, v)
        if bone.name in RIGID:
            along = size
            before = BONES[index - 1]
            carried = _angle(
                self._rest.points[before.end] - self._rest.points[before.start], points[before.end] - points[before.start]
            )
            if bone.name in FEET:
                turn = float(np.clip(FOOT_TURN * turn, -FOOT_LIMIT, FOOT_LIMIT))
            else:
                turn = carried + float(np.clip(_wrapped(turn - carried), -HAND_LIMIT, HAND_LIMIT))
        e = u / length
        normal = np.array([-e[1], e[0]])
        linear = _rotation(turn) @ (along * np.outer(e, e) + size * np.outer(normal, normal))
        return np.column_stack([linear, points[bone.start] - linear @ self._rest.points[bone.start]])


def grown(matrix: Array) -> float:
    """By how much an affine map (2, 3) makes things larger."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def fit_similarity(source: Array, target: Array, weights: Array) -> Array:
    """Least-squares similarity (2, 3) from points (N, 2) to points (N, 2)."""
    share = weights / weights.sum()
    a, b = source - share @ source, target - share @ target
    spread = max(float(share @ (a**2).sum(1)), 1e-9)
    cos = float(share @ (a * b).sum(1)) / spread
    sin = float(share @ (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])) / spread
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([linear, share @ target - linear @ (share @ source)])


def _rotation(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def _angle(a: Array, b: Array) -> float:
    """Angle from one direction to another, rad."""
    return float(np.arctan2(a[0] * b[1] - a[1] * b[0], a @ b))


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def torso_turn(joints: Array) -> float:
    """Turn of a torso about the vertical, rad, from joints (33, 3) metres: 0 faces the camera."""
    across = joints[SHOULDERS[0]] - joints[SHOULDERS[1]] + 0.7 * (joints[HIPS[0]] - joints[HIPS[1]])
    return float(np.arctan2(across[2], across[0]))
