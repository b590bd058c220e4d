"""Openings of the face mesh (the mouth, an eye): a chord between the two corners, and both contours as heights over it.

Coordinates of an opening: ``s`` runs along the chord from the picture's left corner, ``d`` across it, positive
downwards in an upright face; both in px.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8

# Compiled once a machine; arithmetic may be reordered, and a division is not checked. Kernels loop over numbers: an expression of
# whole arrays takes seconds longer to compile, for the words of its errors.
kernel = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")

SAMPLES = 65


class Aperture(NamedTuple):
    """One opening in a picture.

    Attributes:
        x, y: first corner, px.
        ex, ey: unit vector along the chord; (-ey, ex) points across it.
        width: length of the chord, px.
        top, bottom: d of the contours at `SAMPLES` even places along the chord, px.
        top_cos, bottom_cos: cosine of the contours' slope there, turns heights into distances.
    """

    x: float
    y: float
    ex: float
    ey: float
    width: float
    top: NDArray[np.float64]
    bottom: NDArray[np.float64]
    top_cos: NDArray[np.float64]
    bottom_cos: NDArray[np.float64]


@kernel
def smoothstep(low: float, high: float, value: float) -> float:
    """0 below low, 1 above high, smooth between; low > high turns it round."""
    t = min(1.0, max(0.0, (value - low) / (high - low)))
    return t * t * (3.0 - 2.0 * t)


@kernel
def lerp(values: NDArray[np.float64], position: float) -> float:
    """Values (N,) at a fractional index inside 0..N-1."""
    i = min(int(position), len(values) - 2)
    return values[i] + (position - i) * (values[i + 1] - values[i])


@kernel
def _resample(points: NDArray[np.float64], width: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights and slope cosines of a contour (M, 2) of (s, d); where it folds back (a turned head) s is held."""
    heights = np.empty(SAMPLES)
    cosines = np.empty(SAMPLES)
    last = len(points) - 1
    points[0, 0], points[last, 0] = 0.0, width
    for k in range(1, last):
        points[k, 0] = min(width, max(points[k, 0], points[k - 1, 0]))
    k = 0
    for i in range(SAMPLES):
        s = width * i / (SAMPLES - 1)
        while k < last - 1 and points[k + 1, 0] < s:
            k += 1
        ds = max(points[k + 1, 0] - points[k, 0], 1e-3)
        dd = points[k + 1, 1] - points[k, 1]
        heights[i] = points[k, 1] + dd * min(1.0, max(0.0, (s - points[k, 0]) / ds))
        cosines[i] = ds / np.sqrt(ds * ds + dd * dd)
    return heights, cosines


@kernel
def _across(
    landmarks: NDArray[np.float64], ids: NDArray[np.int64], x: float, y: float, ex: float, ey: float
) -> NDArray[np.float64]:
    """(s, d) of the landmarks `ids`, (M, 2)."""
    points = np.empty((len(ids), 2))
    for k in range(len(ids)):
        px = landmarks[ids[k], 0] - x
        py = landmarks[ids[k], 1] - y
        points[k, 0] = px * ex + py * ey
        points[k, 1] = py * ex - px * ey
    return points


@kernel
def aperture(landmarks: NDArray[np.float64], upper: NDArray[np.int64], lower: NDArray[np.int64]) -> Aperture:
    """Opening between two contours of landmarks (478, 3) px, both from the same first to the same last corner."""
    x, y = landmarks[upper[0], 0], landmarks[upper[0], 1]
    dx = landmarks[upper[-1], 0] - x
    dy = landmarks[upper[-1], 1] - y
    width = max(np.sqrt(dx * dx + dy * dy), 1e-3)
    ex, ey = dx / width, dy / width
    top, top_cos = _resample(_across(landmarks, upper, x, y, ex, ey), width)
    bottom, bottom_cos = _resample(_across(landmarks, lower, x, y, ex, ey), width)
    return Aperture(x, y, ex, ey, width, top, bottom, top_cos, bottom_cos)


@kernel
def mean_gap(opening: Aperture) -> float:
    """Mean distance between the contours, px."""
    total = 0.0
    for k in range(SAMPLES):
        total += opening.bottom[k] - opening.top[k]
    return total / SAMPLES


@kernel
def bounds(opening: Aperture, margin: float, height: int, width: int) -> tuple[int, int, int, int]:
    """Box x0, y0, x1, y1 (ends excluded) of an opening inside a picture, px."""
    low_x, low_y, high_x, high_y = 1e9, 1e9, -1e9, -1e9
    for i in range(SAMPLES):
        s = opening.width * i / (SAMPLES - 1)
        for d in (opening.top[i], opening.bottom[i]):
            x = opening.x + s * opening.ex - d * opening.ey
            y = opening.y + s * opening.ey + d * opening.ex
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
    return (
        max(0, int(np.floor(low_x - margin))),
        max(0, int(np.floor(low_y - margin))),
        min(width, int(np.ceil(high_x + margin)) + 1),
        min(height, int(np.ceil(high_y + margin)) + 1),
    )


@kernel
def fragments(opening: Aperture, height: int, width: int, outside: float, feather: float) -> NDArray[np.float32]:
    """The pixels of a picture inside an opening, one a row, (N, 7).

    Columns: x, y; s and d; distance to the upper and to the lower contour, px; cover, rising from `outside` px before the
    contour to `feather` px behind it. Layers paint into a second array, (N, 3), and `blend` lays that over the frame.
    """
    x0, y0, x1, y1 = bounds(opening, outside + 0.5, height, width)
    result = np.empty((max(0, x1 - x0) * max(0, y1 - y0), 7), np.float32)
    step = (SAMPLES - 1) / opening.width
    count = 0
    for y in range(y0, y1):
        for x in range(x0, x1):
            dx, dy = x - opening.x, y - opening.y
            s = dx * opening.ex + dy * opening.ey
            if s <= 0.0 or s >= opening.width:
                continue
            d = dy * opening.ex - dx * opening.ey
            k = min(int(s * step), SAMPLES - 2)
            t = s * step - k
            top_cos = opening.top_cos[k] + t * (opening.top_cos[k + 1] - opening.top_cos[k])
            bottom_cos = opening.bottom_cos[k] + t * (opening.bottom_cos[k + 1] - opening.bottom_cos[k])
            upper = (d - opening.top[k] - t * (opening.top[k + 1] - opening.top[k])) * top_cos
            lower = (opening.bottom[k] + t * (opening.bottom[k + 1] - opening.bottom[k]) - d) * bottom_cos
            nearest = min(upper, lower)
            if nearest <= -outside:
                continue
            result[count, 0], result[count, 1] = x, y
            result[count, 2], result[count, 3] = s, d
            result[count, 4], result[count, 5] = upper, lower
            result[count, 6] = smoothstep(-outside, feather, nearest)
            count += 1
    return result[:count]


@kernel
def blend(frame: U8, pixels: NDArray[np.float32], colors: NDArray[np.float32], amount: float) -> None:
    """Lays colours (N, 3) over the frame at `fragments` by their cover times `amount`."""
    for i in range(len(pixels)):
        x, y = int(pixels[i, 0]), int(pixels[i, 1])
        alpha = amount * pixels[i, 6]
        for n in range(3):
            value = frame[y, x, n] + (colors[i, n] - frame[y, x, n]) * alpha + 0.5
            frame[y, x, n] = np.uint8(min(255.0, max(0.0, value)))


@kernel
def eye_distance(landmarks: NDArray[np.float64]) -> float:
    """Distance between the eyes' centres in space, px: the unit of canonical head space, whatever the yaw."""
    total = 0.0
    for k in range(3):
        step = landmarks[33, k] + landmarks[133, k] - landmarks[362, k] - landmarks[263, k]
        total += 0.25 * step * step
    return np.sqrt(total) + 1e-6
