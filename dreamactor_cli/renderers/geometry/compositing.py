"""Compiled kernels that draw a layer: sample a texture where a map says, and lay it over the frame, a row at a time.

A texture's pixel is 64 bits, four lanes of 16 with one channel each, so that one multiplication weighs all four channels;
the lanes stand in the order R, B, G, A. A frame's pixel is 32 bits, the bytes R, G, B, A in memory. Rows are worked on in
small steps of few arrays, which the compiler turns into vector instructions.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

LANES = np.uint64(0x00FF00FF00FF00FF)
HALVES = np.uint64(0x0080008000800080)  # a half in each lane, for rounding
OPAQUE = np.uint64(0xFF << 48)
EVEN_BYTES = np.uint64(0x00FF00FF)
LOW_WORD = np.uint64(0xFFFFFFFF)
ONE, BYTE, HALF_WORD, ALPHA = np.uint64(1), np.uint64(8), np.uint64(32), np.uint64(48)
FULL = np.uint64(256)  # the weight 1
WHOLE = 0.9985  # coverage from which the weight is 1

X, Y, COVERAGE, MIRRORED_X, MIRRORED_Y, MIRRORED = range(6)  # what the maps of a layer say


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _between(upper: F32, lower: F32, share: np.float32, out: F32) -> None:
    """A row of samples between two rows."""
    for n in range(out.shape[0]):
        out[n] = upper[n] + (lower[n] - upper[n]) * share


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _enlarge(samples: F32, left: U32, share: F32, out: F32) -> None:
    """A row of samples at every column."""
    for x in range(out.shape[0]):
        n = left[x]
        out[x] = samples[n] + (samples[n + np.uint32(1)] - samples[n]) * share[x]


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _split(position: F32, last: np.float32, whole: I32, part: I32) -> None:
    """Positions as whole pixels and 256ths; beyond 0 and ``last`` they are reflected."""
    for x in range(position.shape[0]):
        inside = min(abs(last - abs(last - abs(position[x]))), last)
        pixel = np.int32(min(inside, last - np.float32(1)))
        whole[x] = pixel
        part[x] = np.int32((inside - np.float32(pixel)) * np.float32(256) + np.float32(0.5))


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _weigh(values: F32, weight: I32) -> None:
    """Shares 0..1 as weights 0..256."""
    for x in range(values.shape[0]):
        weight[x] = np.int32(min(max(values[x], np.float32(0)), np.float32(1)) * np.float32(256) + np.float32(0.5))


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _extent(samples: F32, floor: float) -> tuple[int, int]:
    """First and one past the last sample above a floor; equal if there is none."""
    first, last = 0, samples.shape[0]
    while first < last and samples[first] <= floor:
        first += 1
    while last > first and samples[last - 1] <= floor:
        last -= 1
    return first, last


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _gather(texture: U32, x: I32, y: I32, part_x: I32, part_y: I32, out: U64) -> None:
    """Bilinear samples of a texture (h, w), as lanes."""
    stride = np.uint64(texture.shape[1])
    pixels = texture.reshape(-1)
    for n in range(out.shape[0]):
        at = np.uint64(y[n]) * stride + np.uint64(x[n])
        right, down = np.uint64(part_x[n]), np.uint64(part_y[n])
        # Two neighbours in a word: first the rows are mixed, then the columns.
        top = np.uint64(pixels[at]) | (np.uint64(pixels[at + ONE]) << HALF_WORD)
        bottom = np.uint64(pixels[at + stride]) | (np.uint64(pixels[at + stride + ONE]) << HALF_WORD)
        even = (((top & LANES) * (FULL - down) + (bottom & LANES) * down + HALVES) >> BYTE) & LANES
        odd = (((top >> BYTE) & LANES) * (FULL - down) + ((bottom >> BYTE) & LANES) * down + HALVES) >> BYTE & LANES
        first, second = (even & LOW_WORD) | (odd << HALF_WORD), (even >> HALF_WORD) | (odd & ~LOW_WORD)
        out[n] = ((first * (FULL - right) + second * right + HALVES) >> BYTE) & LANES


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _mix(color: U64, other: U64, weight: I32) -> None:
    """Take a share of other colours, in place."""
    for n in range(color.shape[0]):
        w = np.uint64(weight[n])
        color[n] = ((color[n] * (FULL - w) + other[n] * w + HALVES) >> BYTE) & LANES


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _packed(lanes: np.uint64) -> np.uint32:
    return np.uint32((lanes & EVEN_BYTES) | ((lanes >> HALF_WORD) << BYTE))


@nb.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _spread(pixel: np.uint32) -> np.uint64:
    wide = np.uint64(pixel)
    return (wide & EVEN_BYTES) | (((wide >> BYTE) & EVEN_BYTES) << HALF_WORD)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _over(frame: U32, color: U64, weight: I32) -> None:
    """Lay colours with their own alpha, times a weight, over a row of the frame."""
    for n in range(color.shape[0]):
        alpha = ((color[n] >> ALPHA) * np.uint64(weight[n])) >> BYTE
        alpha += alpha >> np.uint64(7)
        if alpha == FULL:
            frame[n] = _packed(color[n])
        elif alpha > 0:
            below = _spread(frame[n])
            frame[n] = _packed((((color[n] | OPAQUE) * alpha + below * (FULL - alpha) + HALVES) >> BYTE) & LANES)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _replace(frame: U32, color: U64, weight: I32) -> None:
    """Put colours in a row of the frame as they are, with their alpha times a weight."""
    for n in range(color.shape[0]):
        alpha = ((color[n] >> ALPHA) * np.uint64(weight[n])) >> BYTE
        frame[n] = _packed((color[n] & ~OPAQUE) | (alpha << ALPHA))


@nb.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _place(map_: F32, upper: np.uint32, down: np.float32, left: U32, beside: F32, samples: F32, out: F32) -> None:
    """One line of a coarse map at the columns that are asked for."""
    _between(map_[upper], map_[upper + np.uint32(1)], down, samples)
    _enlarge(samples, left, beside, out)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def lay(
    frame: U32,
    texture: U32,
    maps: F32,
    columns: tuple[U32, F32],
    rows: tuple[U32, F32],
    hidden: I32,
    mirror_floor: float,
    replace: bool,
) -> None:
    """Lay a layer over a part of a frame, in place.

    Args:
        frame: (h, w), the part; each row contiguous.
        texture: (h', w').
        maps: (3 or 6, m, n), coarse: x and y in px of the texture, coverage 0..1, and, where the other side of the face is
            shown too, x and y there and its share 0..1.
        columns: for each column of the part, the sample of the maps to its left, and how far it lies towards the next, 0..1.
        rows: likewise for each row.
        hidden: (h, 2), the first column and one past the last that need not be drawn; equal if there are none.
        mirror_floor: share of the other side below which it is not drawn.
        replace: put the colours in as they are, with their alpha, instead of laying them over what is there.
    """
    height, width = frame.shape
    bottom, right = np.float32(texture.shape[0] - 1), np.float32(texture.shape[1] - 1)
    samples = np.empty(maps.shape[2], np.float32)
    cover, values = np.empty(width, np.float32), np.empty(width, np.float32)
    x, y, weight = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.int32)
    part_x, part_y = np.empty(width, np.int32), np.empty(width, np.int32)
    color, other = np.empty(width, np.uint64), np.empty(width, np.uint64)
    for line in range(height):
        upper, down = rows[0][line], np.float32(rows[1][line])
        _place(maps[COVERAGE], upper, down, columns[0], columns[1], samples, cover)
        first, last = _extent(cover, 0.0)
        for begin, end in ((first, min(last, hidden[line, 0])), (max(first, hidden[line, 1]), last)):
            if begin >= end:
                continue
            run, length = slice(begin, end), end - begin
            left, beside = columns[0][run], columns[1][run]
            _place(maps[X], upper, down, left, beside, samples, values[:length])
            _split(values[:length], right, x, part_x)
            _place(maps[Y], upper, down, left, beside, samples, values[:length])
            _split(values[:length], bottom, y, part_y)
            _gather(texture, x, y, part_x, part_y, color[:length])
            if maps.shape[0] > MIRRORED:
                _place(maps[MIRRORED], upper, down, left, beside, samples, values[:length])
                some, none = _extent(values[:length], mirror_floor)
                if some < none:
                    turned, number = slice(some, none), none - some
                    _weigh(values[turned], weight)
                    _place(maps[MIRRORED_X], upper, down, left[turned], beside[turned], samples, values[:number])
                    _split(values[:number], right, x, part_x)
                    _place(maps[MIRRORED_Y], upper, down, left[turned], beside[turned], samples, values[:number])
                    _split(values[:number], bottom, y, part_y)
                    _gather(texture, x, y, part_x, part_y, other[:number])
                    _mix(color[turned], other, weight)
            _weigh(cover[run], weight)
            if replace:
                _replace(frame[line, run], color[:length], weight)
            else:
                _over(frame[line, run], color[:length], weight)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def opaque_runs(coverage: F32, columns: U32, rows: U32, out: I32) -> None:
    """In each row of a part of a frame the longest run of columns that a layer covers wholly.

    Args:
        coverage: (m, n), coarse, see `lay`.
        columns, rows: the sample of the map to the left of each column, and above each row.
        out: (h, 2), written: the first column and one past the last; equal if there is none.
    """
    for line in range(rows.shape[0]):
        upper, lower = coverage[rows[line]], coverage[rows[line] + np.uint32(1)]
        begin = first = last = 0
        for column in range(columns.shape[0]):
            n = columns[column]
            m = n + np.uint32(1)
            if min(min(upper[n], upper[m]), min(lower[n], lower[m])) < WHOLE:
                begin = column + 1
            elif column + 1 - begin > last - first:
                first, last = begin, column + 1
        out[line, 0], out[line, 1] = first, last


@nb.njit(cache=True, nogil=True, error_model="numpy")
def lay_over(frame: U32, layer: U32) -> None:
    """Lay a drawn layer (h, w) over a part of a frame (h, w) by its alpha, in place."""
    width = frame.shape[1]
    color, weight = np.empty(width, np.uint64), np.full(width, 256, np.int32)
    for line in range(frame.shape[0]):
        for n in range(width):
            color[n] = _spread(layer[line, n])
        _over(frame[line], color, weight)
