"""Compiled geometry of the picture: skinning, normals, projection, and which triangle each sample sees.

World axes are a person's: x to the person's left, y up, z forward; lengths in decimetres. A camera looks along its -z. In a
picture x runs right and y down, and the centre of a sample lies at .5.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
I8 = NDArray[np.int8]
I64 = NDArray[np.int64]

# Compiled once a machine; arithmetic may be reordered, and a division is not checked.
kernel = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
inlined = njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")

NEAR = 0.7  # decimetres; a triangle that comes nearer is left out


@kernel
def skin(rest: F32, bones: F32, index: I32, weight: F32, out: F32) -> None:
    """Linear blend skinning.

    Args:
        rest: (V, 3).
        bones: (B, 3, 4), rest to posed.
        index, weight: of the bones each vertex follows, (V, 4).
        out: (V, 3).
    """
    for i in range(len(rest)):
        x, y, z = rest[i, 0], rest[i, 1], rest[i, 2]
        px = py = pz = np.float32(0)
        for k in range(index.shape[1]):
            w = weight[i, k]
            if w == 0:
                continue
            m = bones[index[i, k]]
            px += w * (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3])
            py += w * (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3])
            pz += w * (m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3])
        out[i, 0], out[i, 1], out[i, 2] = px, py, pz


@kernel
def normals(v: F32, triangles: I32, out: F32) -> None:
    """Normals of vertices (V, 3), weighted by area, unit length."""
    out[:] = 0
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = v[b, 0] - v[a, 0], v[b, 1] - v[a, 1], v[b, 2] - v[a, 2]
        wx, wy, wz = v[c, 0] - v[a, 0], v[c, 1] - v[a, 1], v[c, 2] - v[a, 2]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for i in (a, b, c):
            out[i, 0] += nx
            out[i, 1] += ny
            out[i, 2] += nz
    for i in range(len(out)):
        length = np.float32(1) / math.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2 + np.float32(1e-20))
        out[i, 0] *= length
        out[i, 1] *= length
        out[i, 2] *= length


@kernel
def project(v: F32, camera: F64, out: F32) -> None:
    """Perspective.

    Args:
        v: (V, 3), world.
        camera: focal length and centre in samples, rotation row by row, translation: (15,).
        out: x, y in samples and the inverse of the depth, (V, 3).
    """
    f, cx, cy = camera[0], camera[1], camera[2]
    for i in range(len(v)):
        x = camera[3] * v[i, 0] + camera[4] * v[i, 1] + camera[5] * v[i, 2] + camera[12]
        y = camera[6] * v[i, 0] + camera[7] * v[i, 1] + camera[8] * v[i, 2] + camera[13]
        z = camera[9] * v[i, 0] + camera[10] * v[i, 1] + camera[11] * v[i, 2] + camera[14]
        inverse = 1.0 / max(-z, 0.05)
        out[i, 0], out[i, 1], out[i, 2] = cx + f * x * inverse, cy - f * y * inverse, inverse


@kernel
def affine(v: F32, m: F64, out: F32) -> None:
    """Points (V, 3) times a matrix (3, 4)."""
    for i in range(len(v)):
        for k in range(3):
            out[i, k] = m[k, 0] * v[i, 0] + m[k, 1] * v[i, 1] + m[k, 2] * v[i, 2] + m[k, 3]


@inlined
def _span(a: np.float32, b: np.float32, c: np.float32, size: int) -> tuple[int, int]:
    """First and last sample whose centre may lie between three coordinates."""
    low = max(min(a, b, c), np.float32(-1))
    high = min(max(a, b, c), np.float32(size + 1))
    return max(0, int(math.ceil(low - np.float32(0.5)))), min(size - 1, int(math.floor(high - np.float32(0.5))))


@kernel
def rasterise(p: F32, triangles: I32, two_sided: NDArray[np.int8], z: F32, seen: I32, bary: F32) -> None:
    """The nearest triangle of each sample.

    Args:
        p: of `project`, (V, 3).
        triangles: (N, 3); front faces run clockwise in the picture.
        two_sided: (N,), 1 for triangles that are seen from behind too.
        z: inverse depth, (H, W), 0 where there is nothing.
        seen: index of the triangle, (H, W), -1 where there is none.
        bary: perspective-correct weights of the first two corners, (H, W, 2).
    """
    height, width = z.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, x1, y1, x2, y2 = p[a, 0], p[a, 1], p[b, 0], p[b, 1], p[c, 0], p[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if (area >= 0 and two_sided[t] == 0) or abs(area) < np.float32(1e-7):
            continue
        za, zb, zc = p[a, 2], p[b, 2], p[c, 2]
        if max(za, zb, zc) > 1 / NEAR:
            continue
        left, right = _span(x0, x1, x2, width)
        top, bottom = _span(y0, y1, y2, height)
        if left > right or top > bottom:
            continue
        inverse = np.float32(1) / area
        # Weights of the first two corners are linear in x and y.
        dx0, dx1 = (y1 - y2) * inverse, (y2 - y0) * inverse
        px = np.float32(left) + np.float32(0.5)
        for y in range(top, bottom + 1):
            py = np.float32(y) + np.float32(0.5)
            w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) * inverse - dx0
            w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) * inverse - dx1
            for x in range(left, right + 1):
                w0 += dx0
                w1 += dx1
                w2 = np.float32(1) - w0 - w1
                if min(w0, w1, w2) < 0:  # one branch: which of the three it is cannot be foreseen
                    continue
                depth = w0 * za + w1 * zb + w2 * zc
                if depth > z[y, x]:
                    z[y, x], seen[y, x] = depth, t
                    bary[y, x, 0], bary[y, x, 1] = w0 * za / depth, w1 * zb / depth


@kernel
def rasterise_depth(p: F32, triangles: I32, z: F32) -> None:
    """The largest third coordinate over each sample (H, W): what the light sees first, of points of `affine`."""
    height, width = z.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, x1, y1, x2, y2 = p[a, 0], p[a, 1], p[b, 0], p[b, 1], p[c, 0], p[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        # Surfaces that look away from the light throw the shadows: those that face it would shade themselves in specks.
        if area < np.float32(1e-7):
            continue
        left, right = _span(x0, x1, x2, width)
        top, bottom = _span(y0, y1, y2, height)
        inverse = np.float32(1) / area
        za, zb, zc = p[a, 2], p[b, 2], p[c, 2]
        dx0, dx1 = (y1 - y2) * inverse, (y2 - y0) * inverse
        px = np.float32(left) + np.float32(0.5)
        for y in range(top, bottom + 1):
            py = np.float32(y) + np.float32(0.5)
            w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) * inverse - dx0
            w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) * inverse - dx1
            for x in range(left, right + 1):
                w0 += dx0
                w1 += dx1
                w2 = np.float32(1) - w0 - w1
                if min(w0, w1, w2) >= 0:
                    z[y, x] = max(z[y, x], w0 * za + w1 * zb + w2 * zc)
