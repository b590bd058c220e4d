"""A hand whose fingers move one by one: a mesh of its own, finer than the body's, on the 21 joints of the hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import ELBOWS
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.renderers.geometry.body_mesh import heat, near, regular_grid
from dreamactor_cli.renderers.geometry.body_skeleton import Skeleton

Array = NDArray[np.float64]
I32 = NDArray[np.int32]

CELLS = 16  # grid cells over the longer side of a hand
PALM = (0, 5, 9, 13, 17)  # joints that a palm moves by
FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
SEGMENTS = tuple((a, b, finger) for finger, joints in enumerate(FINGERS) for a, b in zip(joints, joints[1:], strict=False))
PALM_RADIUS, FINGER_RADIUS = 0.035, 0.009  # metres
WRIST_BAND = 0.05  # metres about the wrist within which a hand follows the forearm too
SQUEEZE = (0.35, 1.5)  # of the palm, against the body's own change of size
NARROW = (3.0, 4.5)  # times as long as wide that a palm becomes, between which it ceases to follow: it would be smeared
LENGTHS = (0.25, 1.4)  # likewise of a finger's segments
TORN = 2.2  # times its rest length, beyond which what spans two fingers is left out


class HandMesh:
    """Geometry of one hand of a picture.

    Args:
        cover: where it must be drawn, (H, W).
        skeleton: of the picture, with this hand.
        side: 0 left, 1 right.

    Attributes:
        nodes: (N, 2), px of the picture.
        triangles: (M, 3).
    """

    def __init__(self, cover: NDArray[np.bool_], skeleton: Skeleton, side: int) -> None:
        hand = skeleton.hands[side]
        assert hand is not None  # Skeleton.fine
        self._hand, self._side, self._scale = hand, side, skeleton.scale
        self._elbow = skeleton.points[ELBOWS[side]]
        rows, columns = np.nonzero(cover)
        step = max(3.0, max(float(np.ptp(rows)), float(np.ptp(columns))) / CELLS)
        grid, cells = regular_grid(
            columns.min() - step, rows.min() - step, columns.max() + step, rows.max() + step, step
        )  # fmt: skip
        used, triangles = np.unique(cells[near(grid, cover, step)[cells].any(1)], return_inverse=True)
        self.nodes = grid[used]
        self.triangles = np.ascontiguousarray(triangles.reshape(-1, 3), np.int32)
        self._weights = heat(self.nodes, self.triangles, self._distances(), step)
        self._across = self._spans_fingers()
        edges = self.nodes[self.triangles[:, [1, 2, 0]]] - self.nodes[self.triangles]
        self._edges = np.linalg.norm(edges, axis=2)

    def _distances(self) -> Array:
        """Distance of each node to the palm, the forearm and each of `SEGMENTS`, px, (N, 17)."""
        hand, scale = self._hand, self._scale
        palm = [_to_segment(self.nodes, hand[0], hand[k]) for k in PALM[1:]]
        out = [np.maximum(np.min(palm, axis=0) - PALM_RADIUS * scale, 0)]
        forearm = _to_segment(self.nodes, self._elbow, hand[0])
        out.append(np.where(np.linalg.norm(self.nodes - hand[0], axis=1) < WRIST_BAND * scale, forearm, np.inf))
        for a, b, _ in SEGMENTS:
            out.append(np.maximum(_to_segment(self.nodes, hand[a], hand[b]) - FINGER_RADIUS * scale, 0))
        return np.stack(out, 1)

    def _spans_fingers(self) -> NDArray[np.bool_]:
        """Which triangles lie on more than one finger, (M,)."""
        of_bone = np.array([-1, -1, *(finger for _, _, finger in SEGMENTS)])
        finger = of_bone[self._weights.argmax(1)][self.triangles]
        on_any = finger >= 0
        differ = (finger != finger[:, [1, 2, 0]]) & on_any & on_any[:, [1, 2, 0]]
        return np.asarray(differ.any(1))

    def move(self, hand: Array, forearm: Array, rigid: Array, size: float) -> tuple[Array, I32, Array]:
        """A frame.

        Args:
            hand: its joints, (21, 2) px.
            forearm: affine map of the forearm, (2, 3).
            rigid: likewise of the hand as a whole.
            size: growth of the body since the picture.

        Returns:
            Places (N, 2) px of the nodes, the triangles to draw, and the affine map of the palm, (2, 3).
        """
        hand = self._unsmeared(hand, rigid)
        palm = self.palm(hand, size)
        matrices = np.concatenate([[palm, forearm], self._segments(hand, palm, size)])
        blended = (self._weights @ matrices.reshape(-1, 6)).reshape(-1, 2, 3)
        nodes = np.einsum("nij,nj->ni", blended[:, :, :2], self.nodes) + blended[:, :, 2]
        edges = np.linalg.norm(nodes[self.triangles[:, [1, 2, 0]]] - nodes[self.triangles], axis=2)
        torn = self._across & (edges > TORN * size * self._edges).any(1)
        return nodes, self.triangles[~torn] if torn.any() else self.triangles, palm

    def _unsmeared(self, hand: Array, rigid: Array) -> Array:
        """Joints (21, 2) px of a hand that goes by a rigid map (2, 3) where it is seen much more from the side than at rest."""
        long, wide = np.linalg.svd(self._palm(hand), compute_uv=False)
        share = smoothstep(long / max(wide, 1e-6), *NARROW)
        return np.asarray(hand + share * (self.ridden(rigid) - hand))

    def ridden(self, matrix: Array) -> Array:
        """Joints (21, 2) px of a hand that is moved as it is, by an affine map (2, 3)."""
        return np.asarray(self._hand @ matrix[:, :2].T + matrix[:, 2], np.float64)

    def palm(self, hand: Array, size: float) -> Array:
        """Affine map of the palm, (2, 3): squeezed no further than a palm that is seen from the side."""
        u, s, vt = np.linalg.svd(self._palm(hand))
        linear = (u * np.clip(s, SQUEEZE[0] * size, SQUEEZE[1] * size)) @ vt
        return np.column_stack([linear, hand[0] - linear @ self._hand[0]])

    def _palm(self, hand: Array) -> Array:
        """Linear map (2, 2) of the palm that fits its joints best."""
        source, target = self._hand[list(PALM)], hand[list(PALM)]
        a, b = source - source.mean(0), target - target.mean(0)
        gram = a.T @ a
        return np.asarray(np.linalg.solve(gram + 1e-3 * np.trace(gram) * np.eye(2), a.T @ b).T)

    def _segments(self, hand: Array, palm: Array, size: float) -> Array:
        """Affine maps of the fingers' segments, (15, 2, 3)."""
        side = np.sign(np.linalg.det(palm[:, :2])) or 1.0
        out = np.empty((len(SEGMENTS), 2, 3))
        for index, (a, b, _) in enumerate(SEGMENTS):
            u, v = self._hand[b] - self._hand[a], hand[b] - hand[a]
            length, wanted = max(float(np.linalg.norm(u)), 1e-6), max(float(np.linalg.norm(v)), 1e-6)
            along = float(np.clip(wanted / length / size, *LENGTHS)) * size
            e, f = u / length, v / wanted
            linear = along * np.outer(f, e) + side * size * np.outer([-f[1], f[0]], [-e[1], e[0]])
            out[index] = np.column_stack([linear, hand[a] - linear @ self._hand[a]])
        return out


def _to_segment(points: Array, a: Array, b: Array) -> Array:
    """Distance of points (N, 2) to a segment, (N,)."""
    along = b - a
    t = np.clip((points - a) @ along / max(float(along @ along), 1e-9), 0, 1)
    return np.asarray(np.linalg.norm(points - a - t[:, None] * along, axis=1))
