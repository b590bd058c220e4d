"""Where the bones of a picture lie in a frame, and where its nodes do: linear blend skinning in the picture's plane.

A limb is turned and made longer or shorter along its bone, as it points towards the camera or away; across, it keeps the size
of the body. The torso follows shoulders and hips, and what bulges towards the camera slides across as it turns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import ANKLES, EARS, HIPS, KNEES, SHOULDERS, SHOWN
from dreamactor_cli.body_space import FEET as FOOT_JOINTS
from dreamactor_cli.renderers.geometry.body_feet import foot_map
from dreamactor_cli.renderers.geometry.body_mesh import BodyMesh
from dreamactor_cli.renderers.geometry.body_skeleton import (
    BONE_INDEX,
    BONES,
    BOWED,
    HEAD,
    NECK,
    SIDES,
    SKULL,
    TORSO,
    Skeleton,
    torso_outline,
    with_points,
)

Array = NDArray[np.float64]

LENGTHS = (0.22, 2.0)  # of a limb in the frame against the picture, beside the body's own change of size
# Bones that tell how large a body is.
MEASURED = ((11, 12), (23, 24), (11, 23), (12, 24), (11, 13), (12, 14), (23, 25), (24, 26))
RIGID = ("left_hand", "right_hand", "left_foot", "right_foot")  # bones that keep their length
FEET = ("left_foot", "right_foot")
FOOT_TURN, FOOT_LIMIT = 0.9, 1.2  # share of its turn that a foot follows whose sides are not told, and the most of it, rad
HAND_LIMIT = 1.3  # rad that a hand turns against its forearm
SIZES = (0.4, 2.5)  # of a body in a frame against the picture
WIDTHS = (float(np.cos(np.radians(35.0))), 1.2)  # of the torso likewise, beside the change of size: of one that turns so far
TILT = 0.4  # of the line between the shoulders against the spine, as a share of it
TURN_SLACK = np.radians(5.0)  # beyond the limit that nobody sees
TORSO_SHEAR = 0.6  # how far the torso follows its four corners, against their similarity
TURN_LIMIT = np.radians(35.0)
# Metres from neck to ears in the picture, between which their line begins to tell how a head is turned.
NECK_TELLS = (0.09, BOWED)
EARS_TELL = 0.07  # metres between the ears in picture and frame, from which their line tells how a head rolls
FACE = slice(0, 11)  # joints of nose, eyes, ears and mouth
BULGE = 0.10  # metres that the middle of the torso stands out before the line between the shoulders
UNSEEN = 0.15  # weight of a hip or shoulder that the picture does not show
FATTER = 2.0  # up to how much the inside of a bent joint is widened again


class Placement(NamedTuple):
    """The skeleton of a frame.

    Attributes:
        points: (37, 2), px.
        depth: (37,), px, larger is farther.
        size: of the body against the picture.
        turn: of the torso against the picture, rad; positive takes the person's left side away from the camera.
    """

    points: Array
    depth: Array
    size: float
    turn: float

    @property
    def too_far(self) -> bool:
        """Whether the torso turns further than a picture can follow."""
        return abs(self.turn) > TURN_LIMIT + TURN_SLACK


class BodyPose:
    """Moves the nodes of one picture.

    Args:
        skeleton: of the picture.
        space: its joints, (33, 3) metres.
        mesh: its nodes.
    """

    def __init__(self, skeleton: Skeleton, space: Array, mesh: BodyMesh) -> None:
        self._rest = skeleton
        self._length = _total_length(space)
        self._turn = torso_turn(space)
        self._mesh = mesh
        self._used = np.flatnonzero(skeleton.bones)
        self._weights = np.ascontiguousarray(mesh.weights[:, self._used])
        self._pivots = skeleton.points[mesh.pivots]
        self._along, self._beyond = _beyond_ends(mesh.nodes, skeleton)
        self._beyond_all = mesh.weights * self._beyond
        corners = torso_outline(skeleton)
        self._center = corners.mean(0)
        across = corners[[0, 3]].mean(0) - corners[[1, 2]].mean(0)  # from the person's right to the left
        self._half = max(0.5 * float(np.linalg.norm(across)), 0.1 * skeleton.scale)
        self._across = across / max(float(np.linalg.norm(across)), 1e-6)
        self._flip = np.eye(2) - 2 * np.outer(self._across, self._across)  # to the other side of the body
        offset = (mesh.nodes - self._center) @ self._across / (1.25 * self._half)
        # In front of the line between the shoulders, like a cylinder; nothing at its sides.
        self._bulge = BULGE * skeleton.scale * np.sqrt(np.clip(1 - offset**2, 0, 1)) * mesh.weights[:, TORSO]

    def place(self, joints: Array, space: Array, scale: float) -> Placement:
        """The skeleton of a frame, from its joints (33, 2) px and (33, 3) metres, ``scale`` px each."""
        grown = _total_length(space) / max(self._length, 1e-6)
        size = float(np.clip(grown * scale / self._rest.scale, *SIZES))
        depth = with_points(space)[:, 2] * scale
        return Placement(with_points(joints), depth, size, _wrapped(torso_turn(space) - self._turn))

    def ends(self, matrices: Array, size: float) -> Array:
        """What nodes beyond the ends of bones move besides, (B, 2) px per px: a limb stretches between its joints only.

        Args:
            matrices: from `matrices` or `mirrored`.
            size: of the body in the frame.
        """
        along = (matrices[:, :, :2] @ self._along[:, :, None])[..., 0]
        return along * (size / np.maximum(np.linalg.norm(along, axis=1), 1e-6) - 1)[:, None]

    def move(self, matrices: Array, slide: Array, ends: Array) -> Array:
        """Places (N, 2) px of the nodes in a frame, by the maps of the bones, and what `slide` and `ends` add."""
        slide = slide + self._beyond_all @ ends
        matrices = matrices[self._used]
        blended = (self._weights @ matrices.reshape(-1, 6)).reshape(-1, 2, 3)
        linear, offset = blended[:, :, :2], blended[:, :, 2]
        pivots = np.einsum("nij,nj->ni", linear, self._pivots) + offset
        # The mean of two turns is smaller than either: a bent joint would get thin.
        area = np.abs(np.linalg.det(matrices[:, :, :2]))
        have = np.abs(linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0])
        swell = np.clip(np.sqrt(self._weights @ area / np.maximum(have, 1e-6)), 1, FATTER)
        out = pivots + swell[:, None] * np.einsum("nij,nj->ni", linear, self._mesh.nodes - self._pivots)
        return np.asarray(out + slide, np.float64)

    def rigid(self, matrices: Array, slide: Array, ends: Array, part: int, nodes: NDArray[np.int64]) -> Array:
        """Places (N, 2) px of some nodes, as `move` has them, if each goes with the nearest bone of a part alone."""
        own = self._mesh.own[part][nodes]
        maps = matrices[own]
        out = (
            self._beyond[nodes, own, None] * ends[own]
            + (maps[:, :, :2] @ self._mesh.nodes[nodes][:, :, None])[:, :, 0]
            + maps[:, :, 2]
        )
        return np.asarray(out + slide[nodes], np.float64)

    def slide(self, place: Placement) -> Array:
        """How far nodes slide across as the torso turns, (N, 2) px."""
        across = np.sin(np.clip(place.turn, -TURN_LIMIT, TURN_LIMIT)) * self._bulge
        return np.asarray(across[:, None] * (self._upright(place.points) @ self._across))

    def matrices(self, place: Placement) -> Array:
        """Affine maps (B, 2, 3) of the bones from the picture to a frame."""
        out = np.zeros((len(BONES), 2, 3))
        out[TORSO], similarity = self._torso(place)
        out[HEAD] = self._head(place.points, similarity, place.size)
        for index in self._used:
            if index not in (TORSO, HEAD):
                out[index] = self._limb(int(index), place)
        return out

    def mirrored(self, place: Placement, matrices: Array) -> Array:
        """Maps (B, 2, 3) of the bones onto those of the other side, for a limb that is drawn in its place."""
        out = matrices.copy()
        moved = matrices[TORSO][:, :2] @ self._flip
        out[TORSO] = np.column_stack([moved, matrices[TORSO] @ [*self._center, 1.0] - moved @ self._center])
        for index in self._used:
            name = BONES[index].name
            for mine, theirs in (SIDES, SIDES[::-1]):
                if name.startswith(mine):
                    out[index] = self._limb(int(index), place, BONE_INDEX[name.replace(mine, theirs)])
        return out

    def _upright(self, points: Array) -> Array:
        """Rotation (2, 2) of the spine in the picture's plane."""
        rest = self._rest.points
        spine = [p[list(SHOULDERS)].mean(0) - p[list(HIPS)].mean(0) for p in (rest, points)]
        return _rotation(_angle(*spine))

    def _corners(self, place: Placement) -> Array:
        """Shoulders and hips of a frame, (4, 2) px, as wide as a torso that has turned no further than it may."""
        out = []
        upright = self._upright(place.points)
        for pair in (SHOULDERS, HIPS):
            middle = place.points[list(pair)].mean(0)
            rest = upright @ (self._rest.points[pair[0]] - self._rest.points[pair[1]]) * place.size
            line = place.points[pair[0]] - place.points[pair[1]]
            length = max(float(np.linalg.norm(rest)), 1e-6)
            along = rest / length
            share = float(np.clip(line @ along / length, *WIDTHS))
            across = np.array([-along[1], along[0]])
            tilt = float(np.clip(line @ across, -TILT * length, TILT * length))
            half = 0.5 * (share * length * along + tilt * across)
            out += [middle + half, middle - half]
        return np.array(out)

    def _torso(self, place: Placement) -> tuple[Array, Array]:
        """Affine map of the torso, (2, 3), and the similarity nearest to it."""
        corners = [*SHOULDERS, *HIPS]
        weights = np.maximum(np.clip(self._rest.score[corners], 0, 1) ** 2, UNSEEN)
        source, target = self._rest.points[corners], self._corners(place)
        similarity = fit_similarity(source, target, weights)
        design = np.column_stack([source, np.ones(4)])
        # What four corners do not tell, as where all lie on a line, stays with the similarity.
        residual = target - design @ similarity.T
        spread = design[:, :2] - source.mean(0)
        ridge = np.diag([1e-3 * float((spread**2).sum())] * 2 + [1e-3])
        weighted = np.sqrt(weights)[:, None] * design
        right = weighted.T @ (np.sqrt(weights)[:, None] * residual)
        affine = similarity + np.linalg.solve(weighted.T @ weighted + ridge, right).T
        return TORSO_SHEAR * affine + (1 - TORSO_SHEAR) * similarity, similarity

    def _head(self, points: Array, similarity: Array, size: float) -> Array:
        """Similarity of a head without a face mesh: turned about the neck, as the line from neck to ears.

        Of a bowed head, whose neck points to the camera, that line tells no turn: it rolls as the line between its ears.
        """
        a, b = self._rest.points[SKULL] - self._rest.points[NECK], points[SKULL] - points[NECK]
        shorter = min(float(np.linalg.norm(a)), float(np.linalg.norm(b)) / size) / self._rest.scale
        tells = float(np.clip((shorter - NECK_TELLS[0]) / (NECK_TELLS[1] - NECK_TELLS[0]), 0, 1))
        turn = float(np.arctan2(similarity[1, 0], similarity[0, 0]))
        turn += tells * float(np.clip(_wrapped(_angle(a, b) - turn), -0.7, 0.7))
        ears = [marks[EARS[0]] - marks[EARS[1]] for marks in (self._rest.points, points)]
        if min(float(np.linalg.norm(line)) for line in ears) > EARS_TELL * self._rest.scale * size:
            turn += (1 - tells) * float(np.clip(_wrapped(_angle(*ears) - turn), -0.7, 0.7))
        linear = size * _rotation(turn)
        # A bowed head shows its crown where a raised one shows its face: neither ears nor nose alone tell where it is.
        marks = [where[FACE].mean(0) - where[NECK] for where in (self._rest.points, points)]
        off = tells * 0.5 * (b - linear @ a) + (1 - tells) * (marks[1] - linear @ marks[0])
        return np.column_stack([linear, points[NECK] + off - linear @ self._rest.points[NECK]])

    def _limb(self, index: int, place: Placement, onto: int | None = None) -> Array:
        """Affine map of a limb's bone, (2, 3): onto itself in the frame, or mirrored onto that of the other side."""
        points, size = place.points, place.size
        flip = np.eye(2) if onto is None else self._flip
        target = index if onto is None else onto
        start, bone = self._rest.points[BONES[index].start], BONES[target]
        u = flip @ (self._rest.points[BONES[index].end] - start)
        v = points[bone.end] - points[bone.start]
        length, wanted = max(float(np.linalg.norm(u)), 1e-6), max(float(np.linalg.norm(v)), 1e-6)
        along = float(np.clip(wanted / length / size, *LENGTHS)) * size
        turn = _angle(u, v)
        if bone.name in RIGID:
            along = size
            if bone.name in FEET:
                foot = self._foot(index, target, place, flip)
                if foot is not None:
                    return np.column_stack([foot, points[bone.start] - foot @ start])
                turn = float(np.clip(FOOT_TURN * turn, -FOOT_LIMIT, FOOT_LIMIT))
            else:
                mine, theirs = BONES[index - 1], BONES[target - 1]
                rest = flip @ (self._rest.points[mine.end] - self._rest.points[mine.start])
                carried = _angle(rest, points[theirs.end] - points[theirs.start])
                turn = carried + float(np.clip(_wrapped(turn - carried), -HAND_LIMIT, HAND_LIMIT))
        e = u / length
        normal = np.array([-e[1], e[0]])
        linear = _rotation(turn) @ (along * np.outer(e, e) + size * np.outer(normal, normal)) @ flip
        return np.column_stack([linear, points[bone.start] - linear @ start])

    def _foot(self, index: int, target: int, place: Placement, flip: Array) -> Array | None:
        """Linear map (2, 2) of a foot that picture and frame tell the direction of, onto itself or that of the other side."""
        mine, theirs = (
            [KNEES[side], ANKLES[side], *FOOT_JOINTS[side]]
            for side in (SIDES.index(BONES[b].name.split("_")[0]) for b in (index, target))
        )
        if self._rest.score[mine].min() < SHOWN:
            return None
        rest = np.column_stack([self._rest.points[mine] @ flip.T, self._rest.depth[mine] * self._rest.scale])
        now = np.column_stack([place.points[theirs], place.depth[theirs]])
        foot = foot_map(rest, now / place.size, self._rest.scale)
        return None if foot is None else place.size * foot @ flip


def _beyond_ends(nodes: Array, skeleton: Skeleton) -> tuple[Array, Array]:
    """Directions (B, 2) of the bones of arms and legs, and how far nodes (N, 2) lie beyond their ends along them, (N, B) px.

    Before a bone's start it is below 0; of other bones all is 0.
    """
    along, beyond = np.zeros((len(BONES), 2)), np.zeros((len(nodes), len(BONES)))
    for index, (bone, there) in enumerate(zip(BONES, skeleton.bones, strict=True)):
        if there and index not in (TORSO, HEAD) and bone.name not in RIGID:
            line = skeleton.points[bone.end] - skeleton.points[bone.start]
            length = max(float(np.linalg.norm(line)), 1e-6)
            along[index] = line / length
            place = (nodes - skeleton.points[bone.start]) @ along[index]
            beyond[:, index] = place - np.clip(place, 0, length)
    return along, beyond


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


def _total_length(space: Array) -> float:
    """Sum of the lengths of the bones of joints (33, 3) metres: how large a body is, wherever its limbs point."""
    ends = np.array([(a, b) for a, b in MEASURED])
    return float(np.linalg.norm(space[ends[:, 0]] - space[ends[:, 1]], axis=1).sum())


def torso_turn(joints: Array) -> float:
    """Turn of a torso about the vertical, rad, from joints (33, 3) metres: 0 faces the camera."""
    across = joints[SHOULDERS[0]] - joints[SHOULDERS[1]] + 0.7 * (joints[HIPS[0]] - joints[HIPS[1]])
    return float(np.arctan2(across[2], across[0]))
