"""Compiled kernels of the geometry renderer: a z-buffered triangle rasteriser and the layer compositing.

The rasteriser writes, for each pixel, where in the reference picture its colour lies; `cv2.remap` then samples it.
"""

from __future__ import annotations

import math

import cv2
import numba as nb
import numpy as np
from numpy.typing import NDArray

EDGE_TOLERANCE = 1e-4  # barycentric: neighbours overlap by a hair, so that no pixel between them stays empty
EMPTY = np.float32(-1e5)  # map value where no triangle lies


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _narrow(first: int, last: int, left: int, value: np.float32, step: np.float32) -> tuple[int, int]:
    """The part of columns first..last where ``value + step * (x - left)`` is not below the tolerance."""
    missing = np.float32(-EDGE_TOLERANCE) - value
    if step > 0:
        first = max(first, left + int(math.ceil(missing / step)))
    elif step < 0:
        last = min(last, left + int(math.floor(missing / step)))
    elif missing > 0:
        last = first - 1
    return first, last


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _span(
    left: int, right: int, a: np.float32, step_a: np.float32, b: np.float32, step_b: np.float32, c: np.float32, step_c: np.float32
) -> tuple[int, int]:
    """The part of columns left..right inside a triangle, by the barycentric coordinates at ``left`` and their steps."""
    first, last = _narrow(left, right, left, a, step_a)
    first, last = _narrow(first, last, left, b, step_b)
    return _narrow(first, last, left, c, step_c)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def rasterize(
    points: NDArray[np.float32],
    depth: NDArray[np.float32],
    attributes: NDArray[np.float32],
    triangles: NDArray[np.int32],
    keep_back: bool,
    z_buffer: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Interpolate vertex attributes over triangles; the nearest triangle wins a pixel.

    Args:
        points: (N, 2), px of the buffers.
        depth: (N,), larger is farther.
        attributes: (N, K).
        triangles: (M, 3); front faces turn clockwise on screen (positive area with y down).
        keep_back: draw back faces too.
        z_buffer: (H, W), read and written; fill it with infinity first.
        out: (K, H, W), written.
    """
    height, width = z_buffer.shape
    count = attributes.shape[1]
    one = np.float32(1.0)
    for m in range(triangles.shape[0]):
        i, j, k = triangles[m, 0], triangles[m, 1], triangles[m, 2]
        x0, y0 = points[i, 0], points[i, 1]
        x1, y1 = points[j, 0], points[j, 1]
        x2, y2 = points[k, 0], points[k, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-6 or (area < 0 and not keep_back):
            continue
        left = max(0, int(math.ceil(min(x0, x1, x2) - 0.01)))
        right = min(width - 1, int(math.floor(max(x0, x1, x2) + 0.01)))
        top = max(0, int(math.ceil(min(y0, y1, y2) - 0.01)))
        bottom = min(height - 1, int(math.floor(max(y0, y1, y2) + 0.01)))
        inverse = one / area
        step_b = (y2 - y0) * inverse
        step_c = (y0 - y1) * inverse
        dx = np.float32(left) - x0
        for y in range(top, bottom + 1):
            dy = np.float32(y) - y0
            b = (dx * (y2 - y0) - (x2 - x0) * dy) * inverse
            c = ((x1 - x0) * dy - dx * (y1 - y0)) * inverse
            first, last = _span(left, right, one - b - c, -step_b - step_c, b, step_b, c, step_c)
            skip = np.float32(first - left)
            b += step_b * skip
            c += step_c * skip
            for x in range(first, last + 1):
                a = one - b - c
                z = a * depth[i] + b * depth[j] + c * depth[k]
                if z < z_buffer[y, x]:
                    z_buffer[y, x] = z
                    for n in range(count):
                        out[n, y, x] = a * attributes[i, n] + b * attributes[j, n] + c * attributes[k, n]
                b += step_b
                c += step_c


class MapGrid:
    """A map that is rasterised at every ``step``-th pixel of a part of the frame, and enlarged.

    The maps of both layers are piecewise linear in triangles of many pixels: little is lost, and most of the time is saved.

    Args:
        x0, y0: first column and row of the part.
        width, height: of the part, px.
        step: px of the frame per sample; 1 rasterises every pixel.
    """

    def __init__(self, x0: int, y0: int, width: int, height: int, step: int) -> None:
        self.width, self.height, self._step = width, height, step
        # One sample more on each side, so that enlarging never has to guess beyond the last one.
        self._pad = 1 if step > 1 else 0
        self.shape = (-(-height // step) + 2 * self._pad, -(-width // step) + 2 * self._pad)
        self._corner = np.array([x0, y0]) + (step - 1) / 2

    def points(self, vertices: NDArray[np.float64]) -> NDArray[np.float32]:
        """Vertices (N, 2 or 3) px of the frame in px of the map, (N, 2)."""
        return np.ascontiguousarray((vertices[:, :2] - self._corner) / self._step + self._pad, np.float32)

    def enlarge(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """A map at the size of the part, (height, width)."""
        if self._step == 1:
            return values
        size = (self.shape[1] * self._step, self.shape[0] * self._step)
        first = self._step * self._pad
        whole = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole[first : first + self.height, first : first + self.width], np.float32)


@nb.njit(cache=True, nogil=True)
def composite(
    frame: NDArray[np.uint8],
    color: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
) -> None:
    """Lay ``color`` (H, W, 3) over ``frame`` (H, W, 3) by ``alpha`` (H, W), in place."""
    height, width = alpha.shape
    for y in range(height):
        for x in range(width):
            a = np.int32(alpha[y, x])
            if a == 255:
                for n in range(3):
                    frame[y, x, n] = color[y, x, n]
            elif a > 0:
                for n in range(3):
                    below = np.int32(frame[y, x, n])
                    mixed = below * 255 + a * (np.int32(color[y, x, n]) - below) + 127
                    frame[y, x, n] = np.uint8(mixed // 255)
