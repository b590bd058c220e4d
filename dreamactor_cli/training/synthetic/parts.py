"""Pieces of mesh, joined to one: for people made of nothing but code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import BLENDSHAPES, F32
from dreamactor_cli.training.synthetic.rig import BONE

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Part(NamedTuple):
    """A piece of mesh.

    Attributes:
        vertices: (V, 3), decimetres.
        triangles: (N, 3).
        material: of `materials`, (N,).
        bones: names of those the vertices follow, and ...
        weights: ... how much, (V, K).
        uv: of the vertices, (V, 2).
        shapes: of ARKit blendshapes, (52, V, 3), or None for what no face moves.
        two_sided: whether it is seen from behind too.
    """

    vertices: F64
    triangles: I64
    material: I64
    bones: tuple[str, ...]
    weights: F64
    uv: F64
    shapes: F64 | None = None
    two_sided: bool = False


def grid(rows: int, columns: int, *, closed: bool) -> I64:
    """Triangles of a grid of vertices, row by row; a closed one joins the last column to the first."""
    row, column = np.mgrid[: rows - 1, : columns if closed else columns - 1]
    first, second = row * columns + column, row * columns + (column + 1) % columns
    a, b, c, d = (v.ravel() for v in (first, second, second + columns, first + columns))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def outward(vertices: F64, triangles: I64, inside: F64) -> I64:
    """Triangles turned so that they face away from points inside, one (3,) or one a vertex (V, 3)."""
    corners = vertices[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    away = (corners - np.broadcast_to(inside, vertices.shape)[triangles]).mean(1)
    flip = (normal * away).sum(1) < 0
    out = triangles.copy()
    out[flip] = out[flip][:, ::-1]
    return out


def tube(
    centers: F64, radii: F64, across: F64, bones: tuple[str, ...], weights: F64, material: int | I64, sides: int = 12
) -> Part:
    """A tube around a line, with closed ends.

    Args:
        centers: (K, 3).
        radii: along ``across`` and along what is square to it and to the line, (K, 2).
        across: (3,) or (K, 3).
        bones, weights: which bones the rings follow, (K, B).
        material: one, or one a ring, (K,).
    """
    centers = np.concatenate([centers[:1], centers, centers[-1:]])
    radii = np.concatenate([radii[:1] * 0, radii, radii[-1:] * 0])
    weights = np.concatenate([weights[:1], weights, weights[-1:]])
    count = len(centers)
    line = np.gradient(centers[1:-1], axis=0)
    line = np.concatenate([line[:1], line, line[-1:]])
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    first = np.broadcast_to(across, line.shape)
    first = first - line * (first * line).sum(1, keepdims=True)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(line, first)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    near, far = (
        radius[:, None, None] * wave[:, None] for radius, wave in zip(radii.T, (np.cos(angle), np.sin(angle)), strict=True)
    )
    ring = first[:, None] * near + second[:, None] * far
    vertices = (centers[:, None] + ring).reshape(-1, 3)
    triangles = outward(vertices, grid(count, sides, closed=True), np.repeat(centers, sides, 0))
    of_ring = np.broadcast_to(material, count - 2)
    of_ring = np.concatenate([of_ring[:1], of_ring, of_ring[-1:]])
    down = np.linspace(0, 1, count)
    uv = np.stack([np.tile(np.abs(np.linspace(-1, 1, sides)), count), np.repeat(down, sides)], 1)
    return Part(vertices, triangles, of_ring[triangles.min(1) // sides], bones, np.repeat(weights, sides, 0), uv)


class Mesh(NamedTuple):
    """Parts joined, as `person.Person` has them; faces are the vertices that blendshapes move."""

    vertices: F32
    triangles: NDArray[np.int32]
    material: NDArray[np.int32]
    two_sided: NDArray[np.int8]
    uv: F32
    bone_index: NDArray[np.int32]
    bone_weight: F32
    face_vertices: I64
    shapes: F32
    starts: tuple[int, ...]


def join(parts: Sequence[Part]) -> Mesh:
    """One mesh of many parts; ``starts`` says where the vertices of each begin."""
    starts = np.cumsum([0, *(len(p.vertices) for p in parts)])
    total = int(starts[-1])
    index, weight = np.zeros((total, 4), np.int32), np.zeros((total, 4), np.float32)
    faces, shapes = [], []
    for start, p in zip(starts[:-1], parts, strict=True):
        rows = slice(start, start + len(p.vertices))
        best = np.argsort(-p.weights, 1, kind="stable")[:, :4]
        share = np.take_along_axis(p.weights, best, 1)
        index[rows, : best.shape[1]] = np.array([BONE[b] for b in p.bones])[best]
        weight[rows, : best.shape[1]] = share / share.sum(1, keepdims=True)
        if p.shapes is not None:
            faces.append(np.arange(start, start + len(p.vertices)))
            shapes.append(p.shapes)
    return Mesh(
        np.concatenate([p.vertices for p in parts]).astype(np.float32),
        np.concatenate([p.triangles + s for s, p in zip(starts[:-1], parts, strict=True)]).astype(np.int32),
        np.concatenate([p.material for p in parts]).astype(np.int32),
        np.concatenate([np.full(len(p.triangles), p.two_sided) for p in parts]).astype(np.int8),
        np.concatenate([p.uv[p.triangles] for p in parts]).astype(np.float32),
        index, weight, np.concatenate(faces), np.concatenate(shapes, 1).astype(np.float32).reshape(len(BLENDSHAPES), -1),
        tuple(int(s) for s in starts[:-1]),
    )  # fmt: skip
