"""The mesh of a body: a grid over each part, whose nodes follow the bones by bone-heat weights.

Every part has a mesh of its own, so that an arm does not drag the torso that it hangs beside. Around the joint that two parts
share, their nodes are the same, so that both move alike where they overlap and no crack opens.

Bone heat (Baran and Popovic 2007): each node takes the heat of its nearest bone, which then spreads over the mesh; the share
of each bone's heat at a node is its weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_beyond import ENDS, nearness
from dreamactor_cli.renderers.geometry.body_skeleton import (
    BONES,
    CORE,
    TORSO,
    Joint,
    Skeleton,
    distances,
    torso_distance,
)

Array = NDArray[np.float64]
I32 = NDArray[np.int32]

CELLS = 84  # grid cells over the longer side of the picture
PAD = 0.2  # of the longer side: how far a part that leaves the picture goes on beyond it
BEYOND = 0.35  # limbs' radii that the mesh of a limb goes on beyond its end, see `body_beyond`
THIN = 0.01  # of the longer side: what is thinner only touches the border
HEAT = 1.5  # how much of its bone's heat a node takes at a distance of one cell
NEAREST = 0.7  # cells: nodes nearer to their bone are as warm
REACH = 2.4  # how much faster heat falls with the distance than the grid's own measure


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyMesh:
    """Nodes of all parts.

    Attributes:
        nodes: (N, 2), px of the picture.
        weights: (N, B), share of each of `BONES`, rows add up to 1.
        triangles: of each part that is there, (M, 3).
        pivots: (N,), the point of the skeleton nearest to a node where two of its bones meet.
        own: of each part the bone of its own nearest to each node, {part: (N,)}.
        step: px between nodes.
    """

    nodes: Array
    weights: Array
    triangles: dict[int, I32]
    pivots: NDArray[np.int64]
    own: dict[int, NDArray[np.int64]]
    step: float


def build_mesh(covers: dict[int, NDArray[np.bool_]], skeleton: Skeleton, carried: tuple[int, ...]) -> BodyMesh:
    """Mesh of the parts of a picture.

    Args:
        covers: of each part, where it must be drawn, (H, W).
        skeleton: of the picture.
        carried: see `body_split.Split`.
    """
    height, width = next(iter(covers.values())).shape
    step = max(4.0, max(height, width) / CELLS)
    pad = np.ceil(PAD * max(width, height) / step) * step
    grid, cells = regular_grid(-pad, -pad, width + pad, height + pad, step)
    joints = [joint for joint in skeleton.joints if all(carried[p] in covers for p in joint.parts)]
    bands = {joint: _band(grid, joint, skeleton) for joint in joints}
    owner: dict[tuple[int, int], int] = {}  # (part, grid vertex) -> node
    places: list[int] = []
    allowed: list[set[int]] = []
    triangles: dict[int, I32] = {}
    outside = ((grid < -step) | (grid > np.array([width - 1, height - 1]) + step)).any(1)
    for part, cover in covers.items():
        there = near(grid, cover, step)
        if part != CORE:
            there &= ~outside | (nearness(grid, part, skeleton, carried) < ENDS + BEYOND)
        kept = cells[there[cells].any(1)]
        used = np.unique(kept)
        shared = [(joint, bands[joint]) for joint in joints if part in (carried[joint.parts[0]], carried[joint.parts[1]])]
        index = np.full(len(grid), -1)
        for vertex in used.tolist():
            friends = {carried[p] for joint, band in shared if band[vertex] for p in joint.parts} | {part}
            node = next((owner[friend, vertex] for friend in sorted(friends) if (friend, vertex) in owner), None)
            if node is None:
                node = len(places)
                places.append(vertex)
                allowed.append(set())
            owner[part, vertex] = index[vertex] = node
            allowed[node] |= friends
        triangles[part] = index[kept].astype(np.int32)
    nodes = grid[places]
    weights = heat(nodes, np.concatenate(list(triangles.values())), _distances(nodes, allowed, skeleton, carried), step)
    own = {part: _distances(nodes, [{part}] * len(nodes), skeleton, carried).argmin(1) for part in covers}
    return BodyMesh(nodes=nodes, weights=weights, triangles=triangles, pivots=_pivots(nodes, skeleton), own=own, step=step)


def regular_grid(x0: float, y0: float, x1: float, y1: float, step: float) -> tuple[Array, NDArray[np.int64]]:
    """Vertices (N, 2) px of a grid over a rectangle, and triangles (M, 3)."""
    xs, ys = np.arange(x0, x1 + step, step), np.arange(y0, y1 + step, step)
    grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    index = np.arange(len(grid)).reshape(len(ys), len(xs))
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    return grid, np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])


def near(grid: Array, cover: NDArray[np.bool_], step: float) -> NDArray[np.bool_]:
    """Which vertices lie in a mask, or within a cell of it; beyond the picture, where the border cuts it, (N,)."""
    size = 2 * round(0.75 * step) + 1
    wide = cv2.dilate(cover.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    height, width = cover.shape
    x, y = np.rint(grid).astype(int).T
    inside = (x > -step) & (y > -step) & (x < width + step) & (y < height + step)
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    return np.asarray(np.where(inside, wide[y, x], cut_by_border(cover)[y, x]))


def cut_by_border(cover: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask (H, W) without what is thin: at the border, what touches it without being cut by it."""
    size = 2 * round(THIN * max(cover.shape)) + 1
    return np.asarray(cv2.erode(cover.astype(np.uint8), np.ones((size, size), np.uint8)) > 0)


def _band(grid: Array, joint: Joint, skeleton: Skeleton) -> NDArray[np.bool_]:
    """Which points lie in the overlap of two parts, (N,)."""
    near = np.linalg.norm(grid - skeleton.points[joint.point], axis=1)
    return np.asarray(near <= joint.radius * skeleton.scale)


def _distances(nodes: Array, allowed: list[set[int]], skeleton: Skeleton, carried: tuple[int, ...]) -> Array:
    """Distance of each node to each bone that it may follow, px, (N, B); infinite to the others."""
    out = np.full((len(nodes), len(BONES)), np.inf)
    for index, bone in enumerate(BONES):
        if not skeleton.bones[index]:
            continue
        mine = np.array([carried[bone.part] in parts for parts in allowed])
        if index == TORSO:
            distance = torso_distance(nodes[mine], skeleton)
        else:
            distance, radius = distances(nodes[mine], skeleton, bone)
            distance = np.maximum(distance - 0.3 * radius, 0)
        out[mine, index] = distance
    return out


def heat(nodes: Array, triangles: I32, distance: Array, step: float) -> Array:
    """Weights (N, B) from distances (N, B) px."""
    import scipy.sparse as sparse
    from scipy.sparse.linalg import splu

    count = len(nodes)
    nearest = distance.argmin(1)
    least = np.minimum(distance[np.arange(count), nearest], 1e4)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    links = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count))
    links = ((links + links.T) > 0).astype(np.float64)
    laplacian = sparse.diags(np.asarray(links.sum(1)).ravel()) - links
    heat = HEAT / np.maximum(REACH * least / step, NEAREST) ** 2 + 1e-6
    source = np.zeros((count, distance.shape[1]))
    source[np.arange(count), nearest] = heat
    weights = splu((laplacian + sparse.diags(heat)).tocsc()).solve(source)
    weights = np.where(weights > 1e-3, weights, 0)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)


def _pivots(nodes: Array, skeleton: Skeleton) -> NDArray[np.int64]:
    """Nearest joint of each node at which two bones meet, (N,)."""
    points = sorted({bone.start for bone, there in zip(BONES, skeleton.bones, strict=True) if there})
    distance = np.linalg.norm(nodes[:, None] - skeleton.points[None, points], axis=2)
    return np.asarray(points, np.int64)[distance.argmin(1)]
