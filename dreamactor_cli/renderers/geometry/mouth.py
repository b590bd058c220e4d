"""The inside of a mouth: dental arches that follow skull and jaw in space, tongue and cavity, clipped by the lips.

The upper arch hangs from the base of the nose, which stays with the skull; the lower one follows chin and lower lip. Both
are curves in head space, so they turn with the head, and the lips cover what they cover. The layer comes in by how far
the lips have moved from the reference, so that a still face stays the picture it was.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.renderers.geometry.aperture import (
    aperture,
    blend,
    eye_distance,
    fragments,
    kernel,
    lerp,
    smoothstep,
)
from dreamactor_cli.renderers.geometry.mouth_patch import paint_patch
from dreamactor_cli.renderers.geometry.mouth_setup import (
    CHIN,
    LIP_PAIRS,
    LOWER,
    NOSE_BASE,
    TIP_BELOW_LIP,
    UPPER,
    MouthModel,
    enamel_light,
    measure_mouth,
)
from dreamactor_cli.renderers.geometry.teeth import ARC, LOWER_ARCH, REACH, SLACK

_TABLE = 97
_NO_PATCH = np.zeros((0, 0, 3), np.uint8)


class _Pose(NamedTuple):
    """A target face, reduced to what the mouth needs; x and y count from the middle of a row's tips, y towards the chin.

    Attributes:
        unit: px per inter-ocular distance.
        tips: image position of the middle of the upper and the lower line of tips, px, (2, 2).
        axes: image direction of the head's x, y and z, (3, 2).
        reach: range of `tables` across the image, of the upper and the lower row, (2, 2).
        tables: by place across the image: column of the atlas, height of the arch above the tips as the head is turned,
            and depth; (2, _TABLE, 3).
        gap: distance between the lips' middles.
        rise: height of the tongue over the lower tips.
    """

    unit: float
    tips: NDArray[np.float64]
    axes: NDArray[np.float64]
    reach: NDArray[np.float64]
    tables: NDArray[np.float64]
    gap: float
    rise: float


class MouthInterior:
    """Draws the inside of the mouth of one reference into frames.

    Args:
        image: reference, (H, W, 3), RGB.
        landmarks: of the reference, (478, 3), px.
        rotation: of the reference's head, (3, 3), canonical head space to camera.
        calm: the canonical face at rest, (478, 3), where the reference shows another one: teeth stand out under its lip, and
            lips that are narrower than its cover them.
    """

    def __init__(
        self,
        image: U8,
        landmarks: NDArray[np.floating],
        rotation: NDArray[np.floating],
        *,
        calm: NDArray[np.floating] | None = None,
    ) -> None:
        self._model = measure_mouth(image, np.asarray(landmarks, np.float64), np.asarray(rotation, np.float64))
        if calm is not None:
            self._model = _at_rest(self._model, np.asarray(calm, np.float64))
        self._always = self._model._replace(gaps=np.full_like(self._model.gaps, -1.0))

    def draw(
        self,
        frame: U8,
        landmarks: NDArray[np.floating],
        rotation: NDArray[np.floating],
        driver_patch: U8 | None = None,
        always: bool = False,
    ) -> None:
        """Draws in place. Safe to call from several threads.

        Args:
            frame: (H, W, 3), RGB, the warped head.
            landmarks: of the target, (478, 3), px of the frame.
            rotation: of the target's head, (3, 3).
            driver_patch: the driver's inner mouth, (h, w, 3): columns from the left to the right inner corner, rows from
                the upper to the lower inner lip; drawn instead of the arches, in the reference's light.
            always: draw whatever the lips do: a mouth that speaks would flicker between drawn teeth and the picture's.
        """
        points = np.ascontiguousarray(landmarks, np.float64)
        turn = np.ascontiguousarray(rotation, np.float64)
        _draw(frame, points, turn, self._always if always else self._model, _NO_PATCH if driver_patch is None else driver_patch)


def _at_rest(model: MouthModel, calm: NDArray[np.float64]) -> MouthModel:
    """A model that was learned from an open mouth, with the lips of a calm face (478, 3), inter-ocular units."""
    across, tip, depth = model.tip
    lip = float(calm[UPPER[5], 1] - calm[NOSE_BASE, 1].mean())
    span = float(np.linalg.norm(calm[UPPER[0]] - calm[UPPER[-1]]))
    return model._replace(tip=np.array([across, max(tip, lip + TIP_BELOW_LIP), depth]), width=min(model.width, span))


@kernel
def _local(
    landmarks: NDArray[np.float64], ids: NDArray[np.int64], rotation: NDArray[np.float64], unit: float
) -> NDArray[np.float64]:
    """Mean of some landmarks in head axes, seen from the base of the nose, inter-ocular distances, (3,)."""
    offset = np.zeros(3)
    for k in range(3):
        for i in ids:
            offset[k] += landmarks[i, k] / len(ids)
        for i in NOSE_BASE:
            offset[k] -= landmarks[i, k] / len(NOSE_BASE)
    result = np.zeros(3)
    for k in range(3):
        for j in range(3):
            result[k] += rotation[j, k] * offset[j] / unit
    return result


@kernel
def _departure(landmarks: NDArray[np.float64], unit: float, model: MouthModel) -> float:
    """How far the opening differs from the reference's, inter-ocular distances."""
    total = 0.0
    for k in range(len(LIP_PAIRS)):
        square = 0.0
        for j in range(3):
            square += (landmarks[LIP_PAIRS[k, 0], j] - landmarks[LIP_PAIRS[k, 1], j]) ** 2
        total += abs(np.sqrt(square) / unit - model.gaps[k]) / len(LIP_PAIRS)
    return total


@kernel
def _fill_table(
    model: MouthModel, axes: NDArray[np.float64], size: float, reach: NDArray[np.float64], table: NDArray[np.float64]
) -> None:
    """Fills one row's `reach` (2,) and `table` (_TABLE, 3) of a `_Pose`: the part of the arch that faces the camera."""
    y2 = axes[1, 0] ** 2 + axes[1, 1] ** 2
    across_x = (axes[0, 0] * axes[1, 1] - axes[0, 1] * axes[1, 0]) * size
    across_z = (axes[2, 0] * axes[1, 1] - axes[2, 1] * axes[1, 0]) * size
    along_x = (axes[0, 0] * axes[1, 0] + axes[0, 1] * axes[1, 1]) * size / y2
    along_z = (axes[2, 0] * axes[1, 0] + axes[2, 1] * axes[1, 1]) * size / y2
    place = np.empty(len(model.arch_x))
    for k in range(len(place)):
        place[k] = model.arch_x[k] * across_x + model.arch_z[k] * across_z
    first = last = len(place) // 2
    while first > 0 and place[first - 1] < place[first]:
        first -= 1
    while last < len(place) - 1 and place[last + 1] > place[last]:
        last += 1
    reach[0], reach[1] = place[first], place[last]
    k = first
    for i in range(_TABLE):
        w = place[first] + (place[last] - place[first]) * i / (_TABLE - 1)
        while k < last - 1 and place[k + 1] < w:
            k += 1
        at = k + min(1.0, max(0.0, (w - place[k]) / max(place[min(k + 1, last)] - place[k], 1e-9)))
        x, z = lerp(model.arch_x, at), lerp(model.arch_z, at)
        table[i, 0] = (size * lerp(model.arch_arc, at) + ARC) * model.resolution
        table[i, 1] = x * along_x + z * along_z
        table[i, 2] = size * z


@kernel
def _pose(landmarks: NDArray[np.float64], rotation: NDArray[np.float64], unit: float, model: MouthModel) -> _Pose:
    """Places both arches in the frame."""
    upper_lip = _local(landmarks, UPPER[5:6], rotation, unit)
    lower_lip = _local(landmarks, LOWER[5:6], rotation, unit)
    jaw = _local(landmarks, CHIN, rotation, unit)
    gap = lower_lip[1] - upper_lip[1]

    rows = np.empty((2, 3))
    for k in range(3):
        jaw[k] -= model.chin[k]
        rows[0, k] = model.tip[k]
    # Rounded lips come forward and cover the teeth.
    span = 0.0
    for j in range(3):
        span += (landmarks[UPPER[0], j] - landmarks[UPPER[-1], j]) ** 2
    rows[0, 1] -= 0.16 * max(0.0, 1.0 - np.sqrt(span) / unit / model.width)
    rows[0, 1] = max(rows[0, 1], upper_lip[1] + 0.045 * smoothstep(0.10, 0.35, gap))
    rows[0, 1] = min(rows[0, 1], upper_lip[1] + 0.17)
    rows[1, 0] = model.tip[0] + jaw[0]
    rows[1, 1] = max(min(model.low + jaw[1], lower_lip[1] + 0.02), lower_lip[1] - 0.06, model.tip[1] - 0.06)
    rows[1, 2] = model.tip[2] + 0.04 + 0.5 * jaw[2]

    axes = np.empty((3, 2))
    for k in range(3):
        axes[k, 0], axes[k, 1] = rotation[0, k], rotation[1, k]
    tips, reach, tables = np.zeros((2, 2)), np.empty((2, 2)), np.empty((2, _TABLE, 3))
    for row in range(2):
        for j in range(2):
            for i in NOSE_BASE:
                tips[row, j] += landmarks[i, j] / len(NOSE_BASE)
            for k in range(3):
                tips[row, j] += unit * rows[row, k] * axes[k, j]
        _fill_table(model, axes, 1.0 if row == 0 else LOWER_ARCH, reach[row], tables[row])
    rise = min(0.36, 0.60 * max(rows[1, 1] - rows[0, 1], 0.0))
    return _Pose(unit, tips, axes, reach, tables, gap, rise)


@kernel
def _bump(x: float) -> float:
    """1 at 0, falls off like a bell."""
    return 1.0 / (1.0 + x * x) ** 2


@kernel
def _paint_cavity(
    pixels: NDArray[np.float32], colors: NDArray[np.float32], dark: NDArray[np.float64], wide: float, width: float
) -> None:
    """The dark of the mouth: light falls in from the front and below, the roof and the corners stay dark."""
    for i in range(len(pixels)):
        upper, lower = max(pixels[i, 4], 0.0), max(pixels[i, 5], 0.0)
        edge = 2.0 * pixels[i, 2] / width - 1.0
        depth = 0.50 + 0.5 * smoothstep(0.0, 0.6, upper / (upper + lower + 1e-3)) * wide
        depth *= 1.0 - 0.5 * edge**4
        for n in range(3):
            colors[i, n] = dark[n] * depth


@kernel
def _paint_tongue(
    pixels: NDArray[np.float32], colors: NDArray[np.float32], flesh: NDArray[np.float64], wide: float, pose: _Pose
) -> None:
    """A dome behind the lower teeth: darker at its sides and towards the throat, a groove, soft highlights beside it."""
    x0 = pose.tips[1, 0] / pose.unit + 0.22 * pose.axes[2, 0]
    y0 = pose.tips[1, 1] / pose.unit + 0.22 * pose.axes[2, 1]
    ux, uy = pose.axes[0, 0], pose.axes[0, 1]
    rise, scale = pose.rise, 1.0 / pose.unit
    shown = smoothstep(0.01, 0.06, rise)
    dim = 0.35 + 0.65 * wide
    gloss = 0.15 * wide * flesh[0]
    for i in range(len(pixels)):
        x, y = pixels[i, 0] * scale - x0, pixels[i, 1] * scale - y0
        across = (x * ux + y * uy) / 0.37
        side = across * across
        from_top = y * ux - x * uy - 0.04 + rise * (1.0 - side * (0.5 + 0.5 * side))
        if side >= 1.0 or from_top <= -0.03:
            continue
        cover = smoothstep(-0.03, 0.03, from_top) * smoothstep(1.0, 0.75, side) * shown
        t = min(1.0, max(0.0, from_top / (rise + 0.05)))
        light = (0.42 + 0.58 * smoothstep(0.0, 0.75, t)) * (1.0 - 0.42 * side) * dim
        light *= 1.0 - 0.18 * _bump(across / 0.10) * smoothstep(1.0, 0.4, t)
        shine = gloss * _bump((abs(across) - 0.30) / 0.28) * _bump((t - 0.52) / 0.28)
        for n in range(3):
            colors[i, n] += (flesh[n] * light + shine - colors[i, n]) * cover


@kernel
def _paint_teeth(
    pixels: NDArray[np.float32],
    colors: NDArray[np.float32],
    flesh: NDArray[np.float64],
    atlas: NDArray[np.float32],
    row: int,
    width: float,
    pose: _Pose,
    resolution: float,
) -> None:
    """One row of teeth (0 upper, 1 lower) from its atlas; what lies in the shade is lit by flesh."""
    table, low, high = pose.tables[row], pose.reach[row, 0], pose.reach[row, 1]
    x0, y0, scale = pose.tips[row, 0], pose.tips[row, 1], 1.0 / pose.unit
    yx, yy = pose.axes[1, 0], pose.axes[1, 1]
    y2 = yx * yx + yy * yy
    rows, columns = atlas.shape[0] - 1, atlas.shape[1] - 1
    above = REACH if row == 0 else SLACK
    shaded = 0.0 if row == 0 else 0.05  # the upper lip shades the upper row
    strength = 1.0 if row == 0 else 0.85
    for i in range(len(pixels)):
        x, y = (pixels[i, 0] - x0) * scale, (pixels[i, 1] - y0) * scale
        w = x * yy - y * yx
        if w <= low or w >= high:
            continue
        at = (w - low) / (high - low) * (_TABLE - 1)
        k = min(int(at), _TABLE - 2)
        t = at - k
        column = table[k, 0] + t * (table[k + 1, 0] - table[k, 0])
        v = ((x * yx + y * yy) / y2 - table[k, 1] - t * (table[k + 1, 1] - table[k, 1]) + above) * resolution
        if column <= 0.0 or column >= columns or (row == 0 and v >= rows) or (row == 1 and v <= 0.0):
            continue
        v = min(max(v, 0.0), rows - 1e-3)
        r, c = int(v), int(column)
        v, u = v - r, column - c
        wa, wb, wc, wd = (1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u
        cover = wa * atlas[r, c, 3] + wb * atlas[r, c + 1, 3] + wc * atlas[r + 1, c, 3] + wd * atlas[r + 1, c + 1, 3]
        if cover <= 0.0:
            continue
        upper, lower = max(pixels[i, 4] * scale, 0.0), max(pixels[i, 5] * scale, 0.0)
        light = strength * enamel_light(max(upper - shaded, 0.0), lower, table[k, 2], 2.0 * pixels[i, 2] / width - 1.0)
        glow = 0.16 * (1.0 - light)
        for n in range(3):
            enamel = wa * atlas[r, c, n] + wb * atlas[r, c + 1, n] + wc * atlas[r + 1, c, n] + wd * atlas[r + 1, c + 1, n]
            colors[i, n] += (enamel * light + glow * flesh[n] - colors[i, n]) * cover


@kernel
def _paint_rim(
    pixels: NDArray[np.float32], colors: NDArray[np.float32], lip: NDArray[np.float64], wide: float, unit: float
) -> None:
    """The wet inner side of the lips shows as a rim once the mouth opens."""
    for i in range(len(pixels)):
        rim = 0.8 * smoothstep(0.026, 0.0, pixels[i, 5] / unit)
        rim = wide * max(rim, 0.4 * smoothstep(0.014, 0.0, pixels[i, 4] / unit))
        for n in range(3):
            colors[i, n] += (lip[n] - colors[i, n]) * rim


@kernel
def _paint_arches(pixels: NDArray[np.float32], colors: NDArray[np.float32], width: float, pose: _Pose, model: MouthModel) -> None:
    """Cavity, tongue, both rows and the lips' rim, back to front."""
    wide = smoothstep(0.02, 0.25, pose.gap)
    dark, flesh, lip = model.colors[0], model.colors[1], model.colors[2]
    _paint_cavity(pixels, colors, dark, wide, width)
    if pose.rise > 0.01:
        _paint_tongue(pixels, colors, flesh, wide, pose)
    _paint_teeth(pixels, colors, flesh, model.lower, 1, width, pose, model.resolution)
    _paint_teeth(pixels, colors, flesh, model.upper, 0, width, pose, model.resolution)
    _paint_rim(pixels, colors, lip, wide, pose.unit)


@kernel
def _draw(frame: U8, landmarks: NDArray[np.float64], rotation: NDArray[np.float64], model: MouthModel, patch: U8) -> None:
    """Paints the mouth and lays it over the frame."""
    unit = eye_distance(landmarks)
    amount = smoothstep(0.004, 0.022, _departure(landmarks, unit, model))
    if amount <= 0.0:
        return
    opening = aperture(landmarks, UPPER, LOWER)
    pixels = fragments(opening, frame.shape[0], frame.shape[1], 0.7, max(1.0, 0.009 * unit))
    colors = np.empty((len(pixels), 3), np.float32)
    if patch.shape[0] > 1:
        paint_patch(pixels, colors, patch, opening, model)
    else:
        _paint_arches(pixels, colors, opening.width, _pose(landmarks, rotation, unit, model), model)
    blend(frame, pixels, colors, amount)
