"""Eyes that look and blink: the reference's own eyeballs, put together again at the gaze and lids of the target.

The layer comes in by how far gaze and lids differ from the reference, so that a still face stays the picture it was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.renderers.geometry.aperture import (
    Aperture,
    aperture,
    blend,
    eye_distance,
    fragments,
    kernel,
    lerp,
    mean_gap,
    smoothstep,
)
from dreamactor_cli.renderers.geometry.eye_setup import EYES, IRIS_SPAN, EyeModel, measure_eye, turn_of_iris
from dreamactor_cli.renderers.geometry.eye_view import HEIGHT, SIDE
from dreamactor_cli.renderers.geometry.lid_setup import BANDS, COLUMNS, LOWER_BAND, UPPER_BAND
from dreamactor_cli.renderers.geometry.palette import measure_palette

_GLINT_TRAVEL = 0.5  # a highlight mirrors a lamp: it moves by a part of what the iris moves
# FaceMesh sees about seven tenths of an iris' true travel, in the driver too: so a render seems to look as far as the driver.
_GAZE_GAIN = 1.4
_OPEN, _SHUT = 0.15, 0.06  # mean opening over width between which the lids close over the eye


class Eyes:
    """Draws both eyes of one reference into frames.

    Args:
        image: reference, (H, W, 3), RGB.
        landmarks: of the reference, (478, 3), px.
    """

    def __init__(self, image: U8, landmarks: NDArray[np.floating]) -> None:
        points = np.asarray(landmarks, np.float64)
        palette = measure_palette(image, points)
        self._models = tuple(measure_eye(image, points, side, palette) for side in range(len(EYES)))

    def draw(self, frame: U8, landmarks: NDArray[np.floating]) -> None:
        """Draws in place. Safe to call from several threads.

        Args:
            frame: (H, W, 3), RGB, the warped head.
            landmarks: of the target, (478, 3), px of the frame.
        """
        points = np.ascontiguousarray(landmarks, np.float64)
        for model, ids in zip(self._models, EYES, strict=True):
            if model is not None:
                _draw_eye(frame, points, ids.fold, ids.upper, ids.lower, ids.iris, model)


@kernel
def _iris_place(
    landmarks: NDArray[np.float64], center: int, turn: float, opening: Aperture, model: EyeModel, across: float
) -> tuple[float, float]:
    """Centre of the target's iris in the coordinates of the reference's eye, px."""
    dx, dy = landmarks[center, 0] - opening.x, landmarks[center, 1] - opening.y
    s = (dx * opening.ex + dy * opening.ey) * model.width / opening.width
    s += (_GAZE_GAIN - 1.0) * (turn - model.iris_turn) * model.width
    s = min(max(s, min(0.14 * model.width, model.iris_s)), max(0.86 * model.width, model.iris_s))
    return s, (dy * opening.ex - dx * opening.ey) * across


@kernel
def _paint_ball(
    pixels: NDArray[np.float32],
    colors: NDArray[np.float32],
    model: EyeModel,
    scale: tuple[float, float],
    iris: tuple[float, float],
) -> None:
    """White and iris, without lids.

    Args:
        pixels: `fragments` of the eye.
        colors: result, (N, 3).
        model: the reference's eye.
        scale: px of the reference per px of the frame, along and across the chord.
        iris: centre in the reference's coordinates.
    """
    white, disc = model.white, model.iris
    rows, columns = white.shape[0] - 1.001, white.shape[1] - 1.001
    last = disc.shape[0] - 1
    zoom = last / (2.0 * IRIS_SPAN * model.radius)
    for i in range(len(pixels)):
        s, d = pixels[i, 2] * scale[0], pixels[i, 3] * scale[1]
        x = min(max((s + SIDE * model.width) * model.texels, 0.0), columns)
        y = min(max((d + HEIGHT * model.width) * model.texels, 0.0), rows)
        c, r = int(x), int(y)
        u, v = x - c, y - r
        for n in range(3):
            top = white[r, c, n] + u * (white[r, c + 1, n] - white[r, c, n])
            low = white[r + 1, c, n] + u * (white[r + 1, c + 1, n] - white[r + 1, c, n])
            colors[i, n] = top + v * (low - top)
        x, y = (s - iris[0]) * zoom + 0.5 * last, (d - iris[1]) * zoom + 0.5 * last
        if x <= 0.0 or y <= 0.0 or x >= last or y >= last:
            continue
        c, r = int(x), int(y)
        u, v = x - c, y - r
        wa, wb, wc, wd = (1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u
        cover = wa * disc[r, c, 3] + wb * disc[r, c + 1, 3] + wc * disc[r + 1, c, 3] + wd * disc[r + 1, c + 1, 3]
        if cover > 0.0:
            for n in range(3):
                value = wa * disc[r, c, n] + wb * disc[r, c + 1, n] + wc * disc[r + 1, c, n] + wd * disc[r + 1, c + 1, n]
                colors[i, n] += (value - colors[i, n]) * cover


@kernel
def _paint_lids(
    pixels: NDArray[np.float32], colors: NDArray[np.float32], model: EyeModel, opening: Aperture, across: float
) -> None:
    """Shadow, lashes and rim of both lids, by distance from where the lids are now."""
    lids = model.lids
    for i in range(len(pixels)):
        x = min(max(pixels[i, 2] / opening.width * (COLUMNS - 1), 0.0), COLUMNS - 1.001)
        c = int(x)
        u = x - c
        for lid in range(2):
            reach = (UPPER_BAND if lid == 0 else LOWER_BAND) * model.width
            y = max(pixels[i, 4 + lid], 0.0) * across / reach * (BANDS - 1)
            if y >= BANDS - 1:
                continue
            r = int(y)
            v = y - r
            for n in range(3):
                top = lids[lid, r, c, n] + u * (lids[lid, r, c + 1, n] - lids[lid, r, c, n])
                low = lids[lid, r + 1, c, n] + u * (lids[lid, r + 1, c + 1, n] - lids[lid, r + 1, c, n])
                colors[i, n] *= top + v * (low - top)


@kernel
def _paint_glint(
    pixels: NDArray[np.float32],
    colors: NDArray[np.float32],
    model: EyeModel,
    scale: tuple[float, float],
    center: tuple[float, float],
    iris: tuple[float, float],
) -> None:
    """Adds the highlights about `center`; they fade where the iris, at `iris`, does not mirror them."""
    glint = model.glint
    last = glint.shape[0] - 1
    zoom = last / (2.0 * IRIS_SPAN * model.radius)
    for i in range(len(pixels)):
        x = (pixels[i, 2] * scale[0] - center[0]) * zoom + 0.5 * last
        y = (pixels[i, 3] * scale[1] - center[1]) * zoom + 0.5 * last
        if x <= 0.0 or y <= 0.0 or x >= last or y >= last:
            continue
        square = (pixels[i, 2] * scale[0] - iris[0]) ** 2 + (pixels[i, 3] * scale[1] - iris[1]) ** 2
        mirror = 0.15 + 0.85 * smoothstep(1.1, 0.6, square / model.radius**2)
        c, r = int(x), int(y)
        u, v = x - c, y - r
        for n in range(3):
            top = glint[r, c, n] + u * (glint[r, c + 1, n] - glint[r, c, n])
            low = glint[r + 1, c, n] + u * (glint[r + 1, c + 1, n] - glint[r + 1, c, n])
            colors[i, n] += mirror * (top + v * (low - top))


@kernel
def _paint_shut(pixels: NDArray[np.float32], colors: NDArray[np.float32], model: EyeModel, width: float, shut: float) -> None:
    """A slit that is left of a closed eye: the line of lashes above, the skin of the lower lid below."""
    edge = 0.5 + 0.05 * width
    for i in range(len(pixels)):
        x = min(max(pixels[i, 2] / width * (COLUMNS - 1), 0.0), COLUMNS - 1.001)
        c = int(x)
        u = x - c
        upper, lower = max(pixels[i, 4] + edge, 0.0), max(pixels[i, 5] + edge, 0.0)
        t = smoothstep(0.40, 0.95, upper / (upper + lower + 1e-3))
        for n in range(3):
            lash = model.lash[c, n] + u * (model.lash[c + 1, n] - model.lash[c, n])
            under = model.under[c, n] + u * (model.under[c + 1, n] - model.under[c, n])
            colors[i, n] += (lash + t * (under - lash) - colors[i, n]) * shut


@kernel
def _draw_lid(frame: U8, lid: Aperture, model: EyeModel, across: float) -> None:
    """The upper lid that comes down, from the fold to its edge.

    The mesh would stretch the lashes with the skin. Here the edge keeps the thickness it has in the reference, and the
    skin above it is stretched instead.
    """
    pixels = fragments(lid, frame.shape[0], frame.shape[1], 0.7, 0.5)
    colors = np.zeros((len(pixels), 3), np.float32)
    rows, columns = model.skin.shape[0] - 1.001, model.skin.shape[1] - 1.001
    for i in range(len(pixels)):
        s = pixels[i, 2] / lid.width
        at = s * (len(lid.top) - 1)
        edge, was = lerp(lid.bottom, at), lerp(model.lid, at)
        now = (edge - lerp(lid.top, at)) * across
        kept = min(model.lashes, 0.6 * was)
        height = (edge - pixels[i, 3]) * across
        pixels[i, 6] *= smoothstep(1.0, 0.85, height / now) * smoothstep(1.05, 1.35, now / was)
        if pixels[i, 6] <= 0.0:
            continue
        hidden = smoothstep(1.1, 1.4, now / was) * smoothstep(0.4, 1.5, height / kept) * smoothstep(1.0, 0.8, height / now)
        hidden *= smoothstep(0.0, 0.08, s) * smoothstep(1.0, 0.92, s)
        if height > kept:
            height = kept + (height - kept) * (was - kept) / max(now - kept, 1e-3)
        x = min(max((s + SIDE) * model.width * model.texels, 0.0), columns)
        y = min(max((lerp(model.top, at) - height + HEIGHT * model.width) * model.texels, 0.0), rows)
        c, r = int(x), int(y)
        u, v = x - c, y - r
        for n in range(3):
            top = model.skin[r, c, n] + u * (model.skin[r, c + 1, n] - model.skin[r, c, n])
            low = model.skin[r + 1, c, n] + u * (model.skin[r + 1, c + 1, n] - model.skin[r + 1, c, n])
            colors[i, n] = top + v * (low - top)
        # What is darker than the lid's skin there is a lash or the crease, drawn out: skin came down instead.
        k = min(int(s * (COLUMNS - 1)), COLUMNS - 1)
        light = 0.299 * colors[i, 0] + 0.587 * colors[i, 1] + 0.114 * colors[i, 2]
        skin = 0.299 * model.lid_skin[k, 0] + 0.587 * model.lid_skin[k, 1] + 0.114 * model.lid_skin[k, 2]
        hidden *= smoothstep(0.0, 0.3, (skin - light) / (skin + 1.0))
        for n in range(3):
            colors[i, n] += (model.lid_skin[k, n] - colors[i, n]) * hidden
    blend(frame, pixels, colors, 1.0)


@kernel
def _draw_eye(
    frame: U8,
    landmarks: NDArray[np.float64],
    fold: NDArray[np.int64],
    upper: NDArray[np.int64],
    lower: NDArray[np.int64],
    center: int,
    model: EyeModel,
) -> None:
    """Paints one eye, back to front, and lays it over the frame."""
    opening = aperture(landmarks, upper, lower)
    for k in range(len(opening.top)):  # lids that were driven past each other meet halfway
        if opening.top[k] > opening.bottom[k]:
            opening.top[k] = opening.bottom[k] = 0.5 * (opening.top[k] + opening.bottom[k])
    across = model.unit / eye_distance(landmarks)
    along = model.width / opening.width
    turn = turn_of_iris(landmarks, upper, center)
    iris_s, iris_d = _iris_place(landmarks, center, turn, opening, model, across)
    shift_s, shift_d = iris_s - model.iris_s, iris_d - model.iris_d
    gap = mean_gap(opening)
    moved = np.sqrt(shift_s**2 + shift_d**2) + abs(gap * across - model.gap)
    amount = smoothstep(0.03, 0.14, moved / model.radius)
    if amount <= 0.0:
        return
    if gap * across < 0.9 * model.gap:
        lid = aperture(landmarks, fold, upper)
        for k in range(len(lid.bottom)):
            lid.bottom[k] = opening.top[k]
        _draw_lid(frame, lid, model, across)
    open_now = gap / opening.width
    shut = smoothstep(_OPEN, _SHUT, open_now) * smoothstep(0.02, 0.08, model.gap / model.width - open_now)
    outside = 0.7 + (0.3 + 0.06 * opening.width) * shut
    pixels = fragments(opening, frame.shape[0], frame.shape[1], outside, 1.0 - 0.9 * shut)
    colors = np.empty((len(pixels), 3), np.float32)
    scale = (along, across)
    _paint_ball(pixels, colors, model, scale, (iris_s, iris_d))
    _paint_lids(pixels, colors, model, opening, across)
    lamp = iris_s - (1 - _GLINT_TRAVEL) * shift_s, iris_d - (1 - _GLINT_TRAVEL) * shift_d
    _paint_glint(pixels, colors, model, scale, lamp, (iris_s, iris_d))
    if shut > 0.0:
        _paint_shut(pixels, colors, model, opening.width, shut)
    blend(frame, pixels, colors, amount)
