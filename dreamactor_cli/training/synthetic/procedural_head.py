"""Heads around our own face mesh: the template with traits by chance, a skull, eyes, mouth, hair."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.arkit import BLENDSHAPES
from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.blendshapes import basis, close_eyes
from dreamactor_cli.training.synthetic import materials
from dreamactor_cli.training.synthetic.parts import Part, grid, outward
from dreamactor_cli.training.synthetic.skin import Paint, noise

F64 = NDArray[np.float64]
Rng = np.random.Generator

UNIT = 0.62  # decimetres, the inter-ocular distance
_TO_WORLD = np.array([1.0, -1.0, -1.0]) * UNIT
_SKULL = np.array([1.16, 1.62, 1.3])  # radii about the head's centre, inter-ocular units
_JAW_RADIUS = 1.25  # the same downwards
_CENTER = np.array([0.0, 0.25, 0.75])
_RINGS = 10
_DARK = np.array([0.30, 0.08, 0.08])
_BEARD = (172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 410, 164, 186)  # landmarks around it
_MOUTH_UV = 0.985  # column of the face's texture that is the dark of the mouth
# Centre, spread and a unit displacement of traits of the face (the left half; the right is its mirror), inter-ocular units.
_TRAITS: tuple[tuple[tuple[float, float, float], float, tuple[float, float, float], float], ...] = (
    ((0.0, 0.45, -0.72), 0.25, (0, 0, -1), 0.1), ((0.0, 0.45, -0.6), 0.22, (0, 1, 0), 0.06),
    ((0.2, 0.5, -0.45), 0.13, (1, 0, 0), 0.04), ((0.0, 0.1, -0.45), 0.2, (0, 0, -1), 0.05),
    ((0.5, -0.35, -0.1), 0.25, (0, 1, 0), 0.04), ((0.5, -0.35, -0.1), 0.3, (0, 0, -1), 0.05),
    ((0.75, 0.45, 0.1), 0.3, (1, 0, -0.5), 0.07), ((0.7, 1.3, 0.3), 0.4, (1, 0, 0), 0.1),
    ((0.0, 1.75, -0.2), 0.35, (0, 1, -0.4), 0.1),
    ((0.5, 0.89, -0.05), 0.2, (1, 0, 0), 0.05), ((0.0, 0.84, -0.43), 0.12, (0, -1, -0.6), 0.04),
    ((0.0, 1.2, -0.38), 0.12, (0, 1, -0.6), 0.05), ((0.0, -0.8, -0.2), 0.5, (0, -1, 0), 0.08),
)  # fmt: skip


class Head(NamedTuple):
    """A head's parts; the first is the face, whose first 468 vertices are the landmarks.

    Attributes:
        parts: in world axes, with the origin between the eyes at ``origin``.
        eye_centers: world, the person's left first, (2, 3).
        eye_radius: decimetres.
        center, height: of the head with its jaw, world.
    """

    parts: list[Part]
    eye_centers: F64
    eye_radius: float
    center: F64
    height: float


def draw_shape(rng: Rng) -> F64:
    """A neutral face with its lips shut, canonical, (478, 3)."""
    shape = head_space.template() * [rng.normal(1, 0.04), rng.normal(1, 0.04), rng.normal(1, 0.05)]
    below = shape[:, 1] > 0.985 * shape[[13, 14], 1].mean()
    near = np.exp(-(((shape[:, 1] - shape[14, 1]) / 0.28) ** 2) - (shape[:, 0] / 0.42) ** 2)
    shape[:, 1] -= np.where(below, (shape[14, 1] - shape[13, 1] - 0.012) * near, 0)
    for place, spread, way, amount in _TRAITS:
        strength = float(np.clip(rng.normal(0, amount), -2 * amount, 2 * amount))
        for side in (1, -1):
            mirrored = np.array([side, 1, 1])
            near = np.exp(-(((shape - np.array(place) * mirrored) ** 2).sum(1)) / (2 * spread**2))
            shape = shape + strength * near[:, None] * np.array(way) * mirrored * (0.5 if place[0] == 0 else 1)
    return shape


def shapes_of(shape: F64) -> F64:
    """How ARKit's blendshapes move the 478 landmarks of a face, canonical, (52, 478, 3)."""
    moved = basis().copy()
    for side, closing in zip(("Left", "Right"), close_eyes(shape), strict=True):
        moved[BLENDSHAPES.index(f"eyeBlink{side}")] = closing * 1.05
        moved[BLENDSHAPES.index(f"eyeLookDown{side}")] = closing * 0.3
    return moved


def _face(shape: F64, moved: F64) -> Part:
    mesh = shape[: head_space.NUM_MESH]
    triangles = head_space.triangles().astype(np.int64)[:, ::-1]
    layout = head_space.atlas_layout(1000) / 1000
    uv = np.stack([layout[:, 0] * 0.95, 1 - layout[:, 1] * 0.95], 1)
    return _part(mesh, triangles, materials.SKIN, uv, moved[:, : head_space.NUM_MESH])


def _part(
    canonical: F64, triangles: NDArray[np.int64], material: int, uv: F64, moved: F64 | None = None, *, two_sided: bool = False
) -> Part:
    """A part of the head from canonical vertices, still about the origin between the eyes."""
    shapes = None if moved is None else moved * _TO_WORLD
    stuff = np.full(len(triangles), material, np.int64)
    return Part(canonical * _TO_WORLD, triangles, stuff, ("head",), np.ones((len(canonical), 1)), uv, shapes, two_sided)


def _surface(directions: F64) -> F64:
    """Points of the skull in directions (N, 3) from its centre."""
    radii = np.where(directions[:, 1:2] > 0, [_SKULL[0], _JAW_RADIUS, _SKULL[2]], _SKULL)
    return _CENTER + directions / np.sqrt(((directions / radii) ** 2).sum(1, keepdims=True))


def _shell(oval: F64, grow: float = 1.0, lift: float = 0.0) -> F64:
    """Rings from the face's oval (36, 3) over the skull to its back, (`_RINGS`, 36, 3)."""
    start = oval - _CENTER
    far = np.linalg.norm(start, axis=1, keepdims=True)
    start = start / far
    pole = np.array([0.0, -0.15, 1.0]) / np.hypot(0.15, 1.0)
    angle = np.arccos(np.clip(start @ pole, -1, 1))[:, None]
    rings = []
    for u in np.linspace(0, 1, _RINGS):
        way = (np.sin((1 - u) * angle) * start + np.sin(u * angle) * pole) / np.sin(angle)
        skull = np.linalg.norm(_surface(way) - _CENTER, axis=1, keepdims=True)
        join = min(1.0, 2.5 * u)
        radius = (far * (1 - join) + skull * join) * (1 + (grow - 1) * min(1.0, 4 * u + 0.25)) + lift
        rings.append(_CENTER + way * radius)
    return np.stack(rings)


def _skull(shape: F64, moved: F64) -> Part:
    oval = shape[list(head_space.FACE_OVAL)]
    rings = _shell(oval)
    vertices = rings.reshape(-1, 3)
    triangles = outward(vertices * _TO_WORLD, grid(_RINGS, len(oval), closed=True), _CENTER * _TO_WORLD)
    fade = np.clip(1 - np.linspace(0, 1, _RINGS) * 3, 0, 1)
    follow = (moved[:, list(head_space.FACE_OVAL)][:, None] * fade[:, None, None]).reshape(len(moved), -1, 3)
    uv = np.tile([0.975, 0.3], (len(vertices), 1))
    return _part(vertices, triangles, materials.SKIN, uv, follow)


def _sphere(center: F64, radii: F64, rows: int = 9, columns: int = 14) -> tuple[F64, NDArray[np.int64]]:
    """An ellipsoid, canonical."""
    up = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    up, around = np.broadcast_arrays(up, around)
    unit = np.stack([np.cos(up) * np.cos(around), np.sin(up), np.cos(up) * np.sin(around)], -1).reshape(-1, 3)
    vertices = center + unit * radii
    return vertices, outward(vertices * _TO_WORLD, grid(rows, columns, closed=True), center * _TO_WORLD)


def _eyes(shape: F64) -> tuple[list[Part], F64, float]:
    """Eyeballs behind the lids; centres canonical, the person's left first."""
    parts, centers = [], []
    contours = (head_space.EYE_RIGHT, head_space.EYE_LEFT)
    radius = 0.5 * np.mean([np.ptp(shape[list(c), 0]) for c in contours])
    for contour in contours:
        rim = shape[list(contour)]
        center = rim.mean(0)
        # As far back as lets no part of the lids cut into it.
        center[2] = np.percentile(rim[:, 2] + np.sqrt(np.maximum(radius**2 - ((rim - center)[:, :2] ** 2).sum(1), 0)), 60) + 0.02
        vertices, triangles = _sphere(center, np.full(3, radius))
        parts.append(_part(vertices, triangles, materials.EYE, np.zeros((len(vertices), 2))))
        centers.append(center)
    return parts, np.stack(centers), float(radius)


def _mouth(shape: F64, moved: F64) -> list[Part]:
    """The dark inside, two rows of teeth and a tongue."""
    ring = list(head_space.INNER_LIPS)
    lips, way = shape[ring], moved[:, ring]
    depth = np.array([0.0, 0.12, 0.35, 0.6])
    middle = lips.mean(0) + [0, 0.03, 0.3]
    bag = np.stack([lips + (middle - lips) * d * 0.5 + [0, 0, d * 0.5] for d in depth])
    follow = np.stack([way * (1 - 0.7 * d) for d in depth], 1)
    triangles = grid(len(depth), len(ring), closed=True)
    # It is seen from inside.
    triangles = outward(bag.reshape(-1, 3) * _TO_WORLD, triangles, (middle + [0, 0, -0.1]) * _TO_WORLD)[:, ::-1]
    uv = np.tile([_MOUTH_UV, 0.9], (bag.size // 3, 1))
    parts = [_part(bag.reshape(-1, 3), triangles, materials.SKIN, uv, follow.reshape(len(moved), -1, 3), two_sided=True)]
    jaw = moved[:, 152]
    across = np.linspace(-0.26, 0.26, 11)
    for upper in (True, False):
        edge = shape[13, 1] + (0.035 if upper else 0.075)
        arc = np.stack([across, np.full(11, edge), shape[13, 2] + 0.16 + 1.4 * across**2], 1)
        vertices = np.concatenate([arc, arc + [0, -0.16 if upper else 0.15, 0.02]])
        still = np.zeros((len(moved), len(vertices), 3)) + (0 if upper else jaw[:, None] * [1, 1.1, 0.4])
        parts.append(_part(vertices, grid(2, 11, closed=False), materials.TEETH, np.zeros((22, 2)), still, two_sided=True))
    vertices, triangles = _sphere(np.array([0, edge + 0.2, shape[13, 2] + 0.5]), np.array([0.24, 0.09, 0.34]), 7, 10)
    still = np.repeat((jaw * [1, 1, 0.4])[:, None], len(vertices), 1)
    return [*parts, _part(vertices, triangles, materials.TONGUE, np.zeros((len(vertices), 2)), still)]


def _ears(shape: F64) -> list[Part]:
    parts = []
    for landmark in (454, 234):
        sign = np.sign(shape[landmark, 0])
        place = shape[landmark] + [0.02 * sign, -0.12, 0.18]
        vertices, triangles = _sphere(place, np.array([0.09, 0.3, 0.17]), 7, 10)
        parts.append(_part(vertices, triangles, materials.SKIN, np.tile([0.975, 0.3], (len(vertices), 1))))
    return parts


def _hair(rng: Rng, shape: F64, male: bool) -> list[Part]:
    """A cap, cropped or full, or one that falls to the shoulders; none at times."""
    style = rng.choice(["none", "crop", "cap", "long"], p=[0.14, 0.46, 0.37, 0.03] if male else [0.02, 0.13, 0.3, 0.55])
    if style == "none":
        return []
    oval = shape[list(head_space.FACE_OVAL)].copy()
    grow = {"crop": 1.05, "cap": float(rng.uniform(1.1, 1.22)), "long": float(rng.uniform(1.08, 1.16))}[str(style)]
    rings = _shell(oval + [0, 0, 0.12], grow, 0.02)
    fringe = float(rng.uniform(-0.05, 0.18))
    rings[0, :, 1] += np.where(oval[:, 1] < -0.3, fringe, 0)
    vertices = rings.reshape(-1, 3)
    angle = np.tile(np.arange(len(oval)) / len(oval) * 2 * np.pi, _RINGS)
    lumps = 0.02 * np.sin(angle * rng.integers(5, 14) + rng.uniform(0, 6))[:, None]
    vertices = _CENTER + (vertices - _CENTER) * (1 + lumps * (grow - 1) * 6)
    lowest = {"crop": 0.45, "cap": float(rng.uniform(0.5, 1.1)), "long": 1.25}[str(style)]
    triangles = grid(_RINGS, len(oval), closed=True)
    # Before the ears hair ends at the temples; behind them lower.
    limit = np.where(vertices[:, 2] < 0.75, 0.1 if style == "crop" else 0.25, lowest)
    kept = (vertices[triangles, 1] < limit[triangles]).all(1)
    triangles = outward(vertices * _TO_WORLD, triangles[kept], _CENTER * _TO_WORLD)
    uv = np.stack([np.tile(np.arange(len(oval)) / 12, _RINGS), np.repeat(np.linspace(0, 1, _RINGS), len(oval))], 1)
    parts = [_part(vertices, triangles, materials.HAIR, uv, two_sided=True)]
    return [*parts, _curtain(rng)] if style == "long" else parts


def _curtain(rng: Rng) -> Part:
    """Hair that falls behind and beside the neck."""
    length, columns, rows = float(rng.uniform(1.6, 3.4)), 17, 6
    round_ = np.linspace(-0.62 * np.pi, 0.62 * np.pi, columns)
    down = np.linspace(0, 1, rows)[:, None]
    wave = 0.04 * np.sin(round_ * rng.integers(4, 9))
    x = np.sin(round_) * (1.25 + wave + 0.12 * down)
    z = 0.75 + np.cos(round_) * (1.2 + wave - 0.25 * down)
    y = 0.2 + down * length * (1 - 0.12 * np.cos(round_ * 2) ** 2)
    vertices = np.stack(np.broadcast_arrays(x, y, z), -1).reshape(-1, 3)
    uv = np.stack([np.tile(np.linspace(0, 3, columns), rows), np.repeat(np.linspace(0, 1, rows), columns)], 1)
    part = _part(vertices, grid(rows, columns, closed=False), materials.HAIR, uv, two_sided=True)
    hangs = np.repeat(np.clip(down[:, 0] * 1.3 - 0.3, 0, 0.85), columns)
    return part._replace(bones=("head", "spine_03"), weights=np.stack([1 - hangs, hangs], 1))


def make_head(rng: Rng, male: bool, origin: F64) -> Head:
    """A head whose eyes lie about a place of the world."""
    shape = draw_shape(rng)
    moved = shapes_of(shape)
    eyes, centers, radius = _eyes(shape)
    parts = [_face(shape, moved), _skull(shape, moved), *eyes, *_mouth(shape, moved), *_ears(shape), *_hair(rng, shape, male)]
    parts = [p._replace(vertices=p.vertices + origin) for p in parts]
    top, chin = _CENTER[1] - _SKULL[1], shape[head_space.CHIN, 1]
    center = np.array([0, (top + chin) / 2, 0.55]) * _TO_WORLD + origin
    return Head(parts, centers * _TO_WORLD + origin, radius * UNIT, center, float(chin - top) * UNIT)


def paint_face(rng: Rng, paint: Paint, side: int) -> U8:
    """Texture of the face in its atlas, plain skin and the dark of the mouth in a strip at the right, (side, side, 3)."""
    mottle = noise(rng, side, 5, 6, 0.6)[..., None]
    skin = (paint.skin.astype(np.float32) * (1 + 0.025 * mottle)).astype(np.float32)
    layout = head_space.atlas_layout(1000) / 1000 * 0.95 * (side - 1)

    def lay(contours: tuple[tuple[int, ...], ...], tone: F64, cover: float, soft: float, widen: float = 0.0) -> None:
        share = np.zeros((side, side), np.float32)
        for contour in contours:
            points = np.rint(layout[list(contour)] * 16).astype(np.int32)
            cv2.fillPoly(share, [points], 1.0, cv2.LINE_AA, 4)
            if widen:
                cv2.polylines(share, [points], True, 1.0, max(1, round(widen * side)), cv2.LINE_AA, 4)
        share = cv2.GaussianBlur(share, (0, 0), soft * side)[..., None] * np.float32(cover)
        skin[:] = skin + share * (tone.astype(np.float32) - skin)

    blush: F32 = np.zeros((side, side), np.float32)
    for landmark in (205, 425, 4):
        cv2.circle(blush, tuple(int(v) for v in layout[landmark]), side // 14, 1.0, -1)
    skin *= 1 + cv2.GaussianBlur(blush, (0, 0), side / 20)[..., None] * np.array([0.05, -0.05, -0.03], np.float32)
    if paint.beard:
        lay((_BEARD,), paint.hair, paint.beard * 0.8, 0.012)
    lay((head_space.OUTER_LIPS,), paint.lips, paint.lips_cover, 0.004)
    lay((head_space.EYE_LEFT, head_space.EYE_RIGHT), paint.skin * 0.35, 0.9, 0.002, 0.006)
    if paint.lid_cover:
        lay((head_space.EYE_LEFT, head_space.EYE_RIGHT), paint.lids, paint.lid_cover, 0.008, 0.03)
    brow = np.minimum(paint.hair * 0.8, paint.skin * 0.62)
    lay((head_space.BROW_LEFT, head_space.BROW_RIGHT), brow, 0.9, 0.004, 0.1 * paint.brow_width)
    strip = int(0.96 * side)
    skin[:, strip:] = paint.skin
    skin[: side // 5, strip + side // 60 :] = _DARK
    return np.clip(skin * 255, 0, 255).astype(np.uint8)
