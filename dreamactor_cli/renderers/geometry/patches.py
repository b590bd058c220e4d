"""A hole of a picture closed with patches of what lies around it, coarse to fine.

Every patch that touches the hole looks for the one outside that resembles it most (PatchMatch, Barnes et al. 2009), and all
that lie over a pixel vote for its colour; the two take turns until they agree (Wexler et al. 2007). Unlike a blur that keeps
walls, floors and leaves what they are, and is right for what a whole body uncovers. Everything follows from the picture.
"""

from __future__ import annotations

from typing import Any

import cv2
import numba as nb
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]

RADIUS = 3  # px: a patch has 7x7
LONGEST = 512  # px of the longer side, up to which patches are compared; beyond that what they found is copied
SHALLOW = 3.0  # px: depth of the hole at the coarsest level, where what lies around it says all
LEAST = 24  # px of the shorter side at the coarsest level
SOURCES = 100  # patches outside the hole, below which there is nothing to choose from at a level
ROUNDS = (12, 8, 6, 4)  # of searching and voting, from the coarsest level on; the last number holds for all others
SWEEPS = 2  # of a search over all patches
TRUST = 0.7  # weight of a pixel of the hole against that of the one before it, from the rim inwards
LEAST_TRUST = 0.02
FARTHER = 8.0  # how much dearer a patch is that comes from the other corner of the picture: what lies beside a hole is likelier
DIFFER = 800.0  # squared levels by which two patches always count as different: smooth ones are alike wherever they are
SHARP = 0.2  # of the mean difference of patches in the hole, by which a worse one counts for less by e when they vote
LAID = 0.01  # how much a colour keeps to its patch, against differences from its four neighbours: it gives way over 10 px
EVENED = 40.0  # levels by which it gives way at most: letters and lamps among the patches would run out into stains
SETTLING = 120  # rounds of successive over-relaxation
OVER = 1.7
NEXT = ((0, 1), (1, 0), (0, -1), (-1, 0))  # row and column of the neighbours


def close_hole(picture: F32, hole: U8) -> F32:
    """The picture (H, W, 3), grey levels, with a hole (H, W), 0 or 1, closed.

    What stands in the hole is where the search begins: a smooth continuation. Where too little lies outside, it stays.
    """
    if not hole.any():
        return picture
    height, width = hole.shape
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    levels = [level for level in _levels(*_resized(picture, hole, size)) if np.count_nonzero(_sources(level[1])) >= SOURCES]
    if not levels:
        return picture
    field: I32 | None = None
    colors = levels[0][0]
    for number, (level, open_) in enumerate(levels):
        start = level if field is None else np.where(open_[..., None] > 0, _enlarged(colors, level), level)
        sources = _sources(open_)
        colors = np.ascontiguousarray(start, np.float32)
        field = _begin(field, sources)
        rounds = ROUNDS[min(number, len(ROUNDS) - 1)]
        weight = _weights(open_)
        wanted = cv2.dilate(open_, np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8))
        if number:  # what was found is taken as it is at this size: the blur of it would find smooth places only
            _vote(colors, field, np.zeros(open_.shape, np.float32), open_, weight)
        for turn in range(rounds):
            cost = _search(colors, field, wanted, sources, weight, turn + 31 * number)
            _vote(colors, field, cost, open_, weight)
    assert field is not None
    voted, open_ = colors.copy(), levels[-1][1]
    _settle(colors, voted, _differences(colors, field, cost, open_, weight), open_)
    colors = np.clip(colors, voted - EVENED, voted + EVENED)
    closed = colors if scale == 1 else _enlarged_by(colors, picture, hole, field)
    return np.where(hole[..., None] > 0, closed, picture)


def _enlarged_by(colors: F32, picture: F32, hole: U8, field: I32) -> F32:
    """What was found in a smaller picture, (h, w, 3), with the detail of the larger one, (H, W, 3)."""
    (rows, columns), (height, width) = field.shape[:2], hole.shape
    copied = picture.copy()
    _copy(picture, copied, hole, field, (rows / height, columns / width))
    off = colors - cv2.resize(copied, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(copied + cv2.resize(off, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _resized(picture: F32, hole: U8, size: tuple[int, int]) -> tuple[F32, U8]:
    """Picture and hole at another size (width, height); a pixel that the hole touches is the hole's."""
    if size == (hole.shape[1], hole.shape[0]):
        return picture, hole
    small = (cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32), small


def _levels(picture: F32, hole: U8) -> list[tuple[F32, U8]]:
    """Picture and hole at halved sizes, the coarsest first."""
    found = [(picture, hole)]
    while True:
        picture, hole = found[-1]
        height, width = hole.shape
        depth = cv2.distanceTransform(np.pad(hole, 1), cv2.DIST_L2, cv2.DIST_MASK_5).max()
        if depth <= SHALLOW or min(height, width) < 2 * LEAST:
            return found[::-1]
        found.append(_resized(picture, hole, (width // 2, height // 2)))


def _sources(hole: U8) -> U8:
    """Middles of patches that lie outside the hole and inside the picture, (H, W)."""
    side = 2 * RADIUS + 1
    closed = np.pad(1 - hole, RADIUS)[RADIUS:-RADIUS, RADIUS:-RADIUS]
    out = np.asarray(cv2.erode(closed, np.ones((side, side), np.uint8)), np.uint8)
    out[:RADIUS] = out[-RADIUS:] = 0
    out[:, :RADIUS] = out[:, -RADIUS:] = 0
    return out


def _begin(field: I32 | None, sources: U8) -> I32:
    """Where each patch looks first, (H, W, 2) row and column: where the level before found it, or anywhere."""
    height, width = sources.shape
    places = np.argwhere(sources)
    chance = np.random.default_rng(0)
    out = places[chance.integers(len(places), size=(height, width))].astype(np.int32)
    if field is None:
        return out
    rows = np.minimum(np.arange(height) // 2, field.shape[0] - 1)
    columns = np.minimum(np.arange(width) // 2, field.shape[1] - 1)
    before = 2 * field[rows][:, columns]
    before[..., 0] += (np.arange(height) - 2 * rows)[:, None].astype(np.int32)
    before[..., 1] += (np.arange(width) - 2 * columns)[None].astype(np.int32)
    before = np.clip(before, 0, [height - 1, width - 1])
    usable = sources[before[..., 0], before[..., 1]] > 0
    return np.ascontiguousarray(np.where(usable[..., None], before, out), np.int32)


def _enlarged(colors: F32, level: F32) -> F32:
    return np.asarray(cv2.resize(colors, (level.shape[1], level.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _weights(hole: U8) -> F32:
    """How much the colour of each pixel counts when patches are compared, (H, W): what is not made up counts most."""
    depth = cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(np.maximum(TRUST ** np.minimum(depth, 60), LEAST_TRUST), np.float32)


def _kernel(function: Any) -> Any:
    return nb.njit(cache=True, nogil=True, error_model="numpy")(function)


@_kernel
def _distance(colors, weight, y, x, v, u, least):  # type: ignore[no-untyped-def]
    """Sum of squared differences of two patches; beyond ``least`` it does not matter any more."""
    height, width = colors.shape[:2]
    total = np.float32(0)
    for dy in range(-RADIUS, RADIUS + 1):
        row = y + dy
        if row < 0 or row >= height:
            continue
        for dx in range(-RADIUS, RADIUS + 1):
            column = x + dx
            if column < 0 or column >= width:
                continue
            for c in range(3):
                off = colors[row, column, c] - colors[v + dy, u + dx, c]
                total += weight[row, column] * off * off
        if total > least:
            return total
    return total


@_kernel
def _cost(colors, weight, y, x, v, u, least):  # type: ignore[no-untyped-def]
    """What it costs to take the patch around (v, u) for the one around (y, x); beyond ``least`` it does not matter any more."""
    height, width = weight.shape
    off = np.float32((v - y) * (v - y) + (u - x) * (u - x)) / np.float32(height * height + width * width)
    differ = _distance(colors, weight, y, x, v, u, least) + np.float32(DIFFER) * weight[y, x]
    return (np.float32(1) + np.float32(FARTHER) * off) * differ


@_kernel
def _attempt(colors, weight, sources, field, cost, y, x, v, u):  # type: ignore[no-untyped-def]
    """Take the patch around (v, u) for the one around (y, x), in place, if it is a better one."""
    height, width = sources.shape
    if v < 0 or v >= height or u < 0 or u >= width or not sources[v, u]:
        return
    found = _cost(colors, weight, y, x, v, u, cost[y, x])
    if found < cost[y, x]:
        cost[y, x], field[y, x, 0], field[y, x, 1] = found, v, u


@_kernel
def _search(colors, field, wanted, sources, weight, seed):  # type: ignore[no-untyped-def]
    """Better patches for those that are wanted, in place: what neighbours found, and places by chance; their costs (H, W)."""
    height, width = wanted.shape
    far = np.float32(3e38)
    cost = np.full((height, width), far, np.float32)
    for y in range(height):
        for x in range(width):
            if wanted[y, x]:
                cost[y, x] = _cost(colors, weight, y, x, field[y, x, 0], field[y, x, 1], far)
    state = np.uint32(2463534242 + 7919 * seed)
    for sweep in range(SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        for j in range(height):
            y = j if step == 1 else height - 1 - j
            for i in range(width):
                x = i if step == 1 else width - 1 - i
                if not wanted[y, x]:
                    continue
                for b, a in ((y - step, x), (y, x - step)):
                    if 0 <= b < height and 0 <= a < width and wanted[b, a]:
                        v, u = field[b, a, 0] + y - b, field[b, a, 1] + x - a
                        _attempt(colors, weight, sources, field, cost, y, x, v, u)
                reach = max(height, width)
                while reach >= 1:
                    state ^= state << np.uint32(13)
                    state ^= state >> np.uint32(17)
                    state ^= state << np.uint32(5)
                    v = field[y, x, 0] + np.int64(state & np.uint32(0xFFFF)) * (2 * reach + 1) // 65536 - reach
                    u = field[y, x, 1] + np.int64(state >> np.uint32(16)) * (2 * reach + 1) // 65536 - reach
                    _attempt(colors, weight, sources, field, cost, y, x, v, u)
                    reach //= 2
    return cost


@_kernel
def _vote(colors, field, cost, hole, weight):  # type: ignore[no-untyped-def]
    """Colours of the hole by the patches over each pixel, in place: those that fit well count most."""
    height, width = hole.shape
    spread = _spread(cost, hole)
    for y in range(height):
        for x in range(width):
            if not hole[y, x]:
                continue
            red = green = blue = share = np.float32(0)
            for dy in range(-RADIUS, RADIUS + 1):
                row = y + dy
                if row < 0 or row >= height:
                    continue
                for dx in range(-RADIUS, RADIUS + 1):
                    column = x + dx
                    if column < 0 or column >= width:
                        continue
                    w = weight[row, column] * np.exp(-cost[row, column] / spread)
                    v, u = field[row, column, 0] - dy, field[row, column, 1] - dx
                    red += w * colors[v, u, 0]
                    green += w * colors[v, u, 1]
                    blue += w * colors[v, u, 2]
                    share += w
            if share > 0:
                colors[y, x, 0], colors[y, x, 1], colors[y, x, 2] = red / share, green / share, blue / share


@_kernel
def _copy(picture, out, hole, field, shrink):  # type: ignore[no-untyped-def]
    """Pixels of the hole from where the patches of a smaller picture, around each, were found; `shrink` (2,) is its size."""
    height, width = hole.shape
    rows, columns = field.shape[:2]
    for y in range(height):
        for x in range(width):
            if not hole[y, x]:
                continue
            at_y, at_x = (y + 0.5) * shrink[0] - 0.5, (x + 0.5) * shrink[1] - 0.5
            red = green = blue = share = np.float32(0)
            for dy in range(2):
                for dx in range(2):
                    row = min(max(int(np.floor(at_y)) + dy, 0), rows - 1)
                    column = min(max(int(np.floor(at_x)) + dx, 0), columns - 1)
                    v = int(round((field[row, column, 0] + at_y - row + 0.5) / shrink[0] - 0.5))
                    u = int(round((field[row, column, 1] + at_x - column + 0.5) / shrink[1] - 0.5))
                    if v < 0 or v >= height or u < 0 or u >= width or hole[v, u]:
                        continue
                    w = np.float32((1 - abs(at_y - row)) * (1 - abs(at_x - column)) + 1e-3)
                    red += w * picture[v, u, 0]
                    green += w * picture[v, u, 1]
                    blue += w * picture[v, u, 2]
                    share += w
            if share > 0:
                out[y, x, 0], out[y, x, 1], out[y, x, 2] = red / share, green / share, blue / share


@_kernel
def _differences(colors, field, cost, hole, weight):  # type: ignore[no-untyped-def]
    """From each pixel of the hole to its four neighbours, as where its patches come from, (H, W, 4, 3)."""
    height, width = hole.shape
    spread = _spread(cost, hole)
    out = np.zeros((height, width, 4, 3), np.float32)
    for y in range(height):
        for x in range(width):
            if not hole[y, x]:
                continue
            for n in range(4):
                b, a = NEXT[n]
                share = np.float32(0)
                for dy in range(-RADIUS, RADIUS + 1):
                    for dx in range(-RADIUS, RADIUS + 1):
                        row, column = y + dy, x + dx
                        if row < 0 or row >= height or column < 0 or column >= width:
                            continue
                        v, u = field[row, column, 0] - dy, field[row, column, 1] - dx
                        if v + b < 0 or v + b >= height or u + a < 0 or u + a >= width or hole[v + b, u + a]:
                            continue
                        w = weight[row, column] * np.exp(-cost[row, column] / spread)
                        for c in range(3):
                            out[y, x, n, c] += w * (colors[v + b, u + a, c] - colors[v, u, c])
                        share += w
                if share > 0:
                    for c in range(3):
                        out[y, x, n, c] /= share
    return out


@_kernel
def _settle(colors, voted, differences, hole):  # type: ignore[no-untyped-def]
    """Even out borders between patches, in place: differences of neighbours are as where they come from (Poisson)."""
    height, width = hole.shape
    for _ in range(SETTLING):
        for y in range(height):
            for x in range(width):
                if not hole[y, x]:
                    continue
                for c in range(3):
                    total, count = LAID * voted[y, x, c], LAID
                    for n in range(4):
                        row, column = y + NEXT[n][0], x + NEXT[n][1]
                        if 0 <= row < height and 0 <= column < width:
                            total += colors[row, column, c] - differences[y, x, n, c]
                            count += 1
                    colors[y, x, c] += OVER * (total / count - colors[y, x, c])


@_kernel
def _spread(cost, hole):  # type: ignore[no-untyped-def]
    """By how much worse a patch must be to count for less by e, from the mean cost of those in the hole."""
    height, width = hole.shape
    total, count = 0.0, 0
    for y in range(height):
        for x in range(width):
            if hole[y, x]:
                total += cost[y, x]
                count += 1
    return np.float32(max(SHARP * total / max(count, 1), 1.0))
