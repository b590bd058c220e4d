"""A z-buffered triangle rasteriser, and the coarse grids that it fills.

It writes where in the reference picture the colour of a pixel lies; `compositing.lay` then samples it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numba as nb
import numpy as np
from numpy.typing import NDArray

EDGE_TOLERANCE = 1e-4  # barycentric: neighbours overlap by a hair, so that no pixel between them stays empty


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
        out: (K, H, W), written where a triangle lies.
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


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _continue(drawn: NDArray[np.int32], maps: NDArray[np.float32], x: int, y: int) -> None:
    """Give an empty sample the values of a neighbour, if there is one."""
    height, width = drawn.shape
    for j in range(max(y - 1, 0), min(y + 2, height)):
        for i in range(max(x - 1, 0), min(x + 2, width)):
            if drawn[j, i]:
                for n in range(maps.shape[0]):
                    maps[n, y, x] = maps[n, j, i]


@nb.njit(cache=True, nogil=True, error_model="numpy")
def soften(z_buffer: NDArray[np.float32], maps: NDArray[np.float32], coverage: int) -> None:
    """Let a drawn layer end softly at its silhouette, in place.

    Coverage falls off within the last sample. Every map is continued by a sample beyond it, since a pixel between the last
    sample inside and the first outside takes something from both.

    Args:
        z_buffer: (H, W), infinite where nothing was drawn.
        maps: (K, H, W), 0 where nothing was drawn.
        coverage: which of the maps is the coverage.
    """
    height, width = z_buffer.shape
    drawn = np.empty((height, width), np.int32)
    for y in range(height):
        for x in range(width):
            drawn[y, x] = z_buffer[y, x] < np.inf
    around = np.zeros(width + 2, np.int32)  # drawn samples in the three rows about y, with a column to spare on each side
    for y in range(height):
        top, bottom = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            around[x + 1] = drawn[top, x] + drawn[y, x] + drawn[bottom, x]
        around[0], around[width + 1] = around[1], around[width]
        for x in range(width):
            near = around[x] + around[x + 1] + around[x + 2]
            if near == 0 or near == 9:
                continue
            if not drawn[y, x]:
                _continue(drawn, maps, x, y)
            maps[coverage, y, x] *= np.float32(max(2 * near / 9 - 1, 0.0))


class MapGrid:
    """A map that is rasterised at every ``step``-th pixel of a part of the frame.

    The maps of both layers are piecewise linear in triangles of many pixels: little is lost, and most of the time is saved.

    Args:
        x0, y0: first column and row of the part.
        width, height: of the part, px.
        step: px of the frame per sample; 1 rasterises every pixel.

    Attributes:
        shape: samples, (rows, columns).
        columns: for each column of the part the sample to its left, and how far it lies towards the next, 0..1.
        rows: likewise for each row.
    """

    def __init__(self, x0: int, y0: int, width: int, height: int, step: int) -> None:
        self.width, self.height, self._step = width, height, step
        # One sample more on each side, so that enlarging never has to guess beyond the last one.
        self._pad = 1 if step > 1 else 0
        self.shape = (-(-height // step) + 2 * self._pad, -(-width // step) + 2 * self._pad)
        self._corner = np.array([x0, y0]) + (step - 1) / 2
        self.columns = self._places(width, self.shape[1])
        self.rows = self._places(height, self.shape[0])

    def _places(self, size: int, samples: int) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        at = (np.arange(size) - (self._step - 1) / 2) / self._step + self._pad
        before = np.minimum(np.floor(at), samples - 2)
        return before.astype(np.uint32), (at - before).astype(np.float32)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnLayer:
    """A layer over a part of a frame, to be sampled and laid over it by `compositing.lay`.

    Attributes:
        rows, columns: of the frame.
        grid: how the maps lie over the part.
        maps: (3 or 6, m, n), see `compositing.lay`.
        atlas: (2, m, n), positions in the shading atlas, px; None if they were not asked for.
    """

    rows: slice
    columns: slice
    grid: MapGrid
    maps: NDArray[np.float32]
    atlas: NDArray[np.float32] | None = None
