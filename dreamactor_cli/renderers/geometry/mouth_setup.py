"""What `MouthInterior` learns from the reference once: where its teeth stand, what they look like, which colours it has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.renderers.geometry.aperture import Aperture, aperture, bounds, eye_distance, kernel, lerp, smoothstep
from dreamactor_cli.renderers.geometry.palette import Palette, luma, measure_palette
from dreamactor_cli.renderers.geometry.teeth import arch_curve, atlas_grid, draw_row
from dreamactor_cli.renderers.geometry.teeth_seen import fill_from_picture, tips_seen, tooth_weight

UPPER = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308])
LOWER = np.array([78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308])
LIP_PAIRS = np.array([[81, 178], [82, 87], [13, 14], [312, 317], [311, 402]])
NOSE_BASE = np.array([2, 97, 326])  # stays with the skull
CHIN = np.array([152, 175, 199, 200])  # follows the jaw
TIP_BELOW_LIP = 0.028  # how far the upper teeth stand out under a lip at rest
_TIP_BEHIND_NOSE = 0.06
_OVERBITE = 0.045  # how far the upper tips cover the lower ones when the jaw is closed
_TEETH_MIN_GAP = 0.03  # a smaller opening shows no teeth worth keeping


class MouthModel(NamedTuple):
    """A reference's mouth, in the form that the kernel reads; lengths in inter-ocular distances.

    Attributes:
        gaps: distance of each pair of `LIP_PAIRS`, (5,).
        width: distance of the corners.
        tip: middle of the upper line of tips, head axes from the base of the nose, (3,).
        low: height of the lower line of tips, likewise.
        chin: the chin, likewise, (3,).
        arch_x, arch_z, arch_arc: the curve of the upper arch, (129,).
        resolution: texels of the atlases per unit.
        upper, lower: atlases of the rows, (h, w, 4).
        colors: cavity, tongue, inner side of the lips; RGB, (3, 3).
        peak: luminance of the brightest parts of the face.
        colorful: 0 for a black-and-white picture, 1 for a coloured one.
    """

    gaps: NDArray[np.float64]
    width: float
    tip: NDArray[np.float64]
    low: float
    chin: NDArray[np.float64]
    arch_x: NDArray[np.float64]
    arch_z: NDArray[np.float64]
    arch_arc: NDArray[np.float64]
    resolution: float
    upper: NDArray[np.float32]
    lower: NDArray[np.float32]
    colors: NDArray[np.float64]
    peak: float
    colorful: float


@kernel
def enamel_light(upper_gap: float, lower_gap: float, depth: float, edge: float) -> float:
    """Light on the upper teeth: the lips shade them, the back and the corners of the mouth are dark.

    Args:
        upper_gap, lower_gap: distance to the lips.
        depth: into the head, from the incisors.
        edge: place along the mouth, -1..1.
    """
    lit = 0.30 + 0.70 * smoothstep(0.0, 0.10, upper_gap + lower_gap)
    lit *= 0.80 + 0.20 * smoothstep(0.0, 0.03, lower_gap)
    lit *= 0.76 + 0.24 * smoothstep(-0.01, 0.04, upper_gap)
    return lit * (1.0 / (1.0 + 0.65 * depth) ** 2) * (1.0 - 0.55 * edge**4)


@kernel
def _unwrap(
    pixels: NDArray[np.float32],
    opening: Aperture,
    origin: NDArray[np.float64],
    axes: NDArray[np.float64],
    unit: float,
    arch: NDArray[np.float64],
    heights: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Samples a picture over the upper arch.

    Args:
        pixels: (H, W, 4), RGB and weight.
        opening: the mouth in the picture.
        origin: middle of the tips in the picture, px, (2,).
        axes: image direction of the head's axes, (3, 2).
        unit: px per inter-ocular distance.
        arch: x and z of each column of the atlas, (columns, 2).
        heights: height of each row.

    Returns:
        (rows, columns, 4): RGB without the shading of `enamel_light`, and weight, 0 outside the lips.
    """
    result = np.zeros((len(heights), len(arch), 4), np.float32)
    step = (len(opening.top) - 1) / opening.width
    for j in range(len(arch)):
        for i in range(len(heights)):
            px = origin[0] + unit * (arch[j, 0] * axes[0, 0] - heights[i] * axes[1, 0] + arch[j, 1] * axes[2, 0])
            py = origin[1] + unit * (arch[j, 0] * axes[0, 1] - heights[i] * axes[1, 1] + arch[j, 1] * axes[2, 1])
            s = (px - opening.x) * opening.ex + (py - opening.y) * opening.ey
            if s <= 0.0 or s >= opening.width or not (0 <= px < pixels.shape[1] - 1 and 0 <= py < pixels.shape[0] - 1):
                continue
            d = (py - opening.y) * opening.ex - (px - opening.x) * opening.ey
            above = (d - lerp(opening.top, s * step)) * lerp(opening.top_cos, s * step)
            below = (lerp(opening.bottom, s * step) - d) * lerp(opening.bottom_cos, s * step)
            if min(above, below) < 0.0:
                continue
            light = enamel_light(above / unit, below / unit, arch[j, 1], 2.0 * s / opening.width - 1.0)
            x, y = int(px), int(py)
            u, v = px - x, py - y
            for c in range(4):
                top = pixels[y, x, c] + u * (pixels[y, x + 1, c] - pixels[y, x, c])
                low = pixels[y + 1, x, c] + u * (pixels[y + 1, x + 1, c] - pixels[y + 1, x, c])
                result[i, j, c] = top + v * (low - top)
                if c < 3:
                    result[i, j, c] /= max(light, 0.4)
    return result


def measure_mouth(image: U8, landmarks: NDArray[np.float64], rotation: NDArray[np.float64]) -> MouthModel:
    """Model of a reference, see `MouthInterior`."""
    unit = float(eye_distance(landmarks))
    local = (landmarks - landmarks[NOSE_BASE].mean(0)) @ rotation / unit
    palette = measure_palette(image, landmarks)
    resolution = float(np.clip(unit, 48.0, 400.0))
    curve = arch_curve()
    tip = np.array([0.0, local[13, 1] + TIP_BELOW_LIP, local[NOSE_BASE, 2].mean() + _TIP_BEHIND_NOSE])
    gaps = np.linalg.norm(landmarks[LIP_PAIRS[:, 0]] - landmarks[LIP_PAIRS[:, 1]], axis=1) / unit
    upper, tip, palette = _upper_row(image, landmarks, rotation, unit, palette, resolution, tip)
    return MouthModel(
        gaps=gaps,
        width=float(np.linalg.norm(landmarks[UPPER[0]] - landmarks[UPPER[-1]])) / unit,
        tip=tip,
        low=max(tip[1] - _OVERBITE, local[14, 1] - 0.05),
        chin=local[CHIN].mean(0),
        arch_x=curve.x,
        arch_z=curve.z,
        arch_arc=curve.arc,
        resolution=resolution,
        upper=upper,
        lower=draw_row(palette, resolution, upper=False),
        colors=np.stack([palette.cavity, palette.tongue, 0.8 * palette.lip]),
        peak=palette.peak,
        colorful=min(1.0, float(np.ptp(palette.skin)) / float(luma(palette.skin)) / 0.15),
    )


def _upper_row(
    image: U8,
    landmarks: NDArray[np.float64],
    rotation: NDArray[np.float64],
    unit: float,
    palette: Palette,
    resolution: float,
    tip: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float64], Palette]:
    """Upper row of the reference, from its pixels if it shows teeth, with its tips' place and the palette that fits."""
    drawn = draw_row(palette, resolution, upper=True)
    x0, y0, x1, y1 = bounds(aperture(landmarks, UPPER, LOWER), 0.1 * unit, image.shape[0], image.shape[1])
    if min(x1 - x0, y1 - y0) < 4:
        return drawn, tip, palette
    image, landmarks = image[y0:y1, x0:x1], landmarks - [x0, y0, 0]
    opening = aperture(landmarks, UPPER, LOWER)
    if np.max(opening.bottom - opening.top) < _TEETH_MIN_GAP * unit:
        return drawn, tip, palette
    weight = tooth_weight(image, landmarks, palette, unit)
    if weight is None:
        return drawn, tip, palette

    arc, heights = atlas_grid(resolution, upper=True)
    curve = arch_curve()
    arch = np.stack([np.interp(arc, curve.arc, curve.x), np.interp(arc, curve.arc, curve.z)], 1)
    axes = np.ascontiguousarray(rotation[:2].T)
    pixels = np.dstack([image, weight]).astype(np.float32)
    nose = landmarks[NOSE_BASE, :2].mean(0)
    # The tips are first sought below the lip, down to as far as a long crown reaches, then the atlas is laid there.
    search = np.linspace(0.06, -0.20, max(8, int(0.26 * resolution)))
    seen = _unwrap(pixels, opening, nose + unit * tip @ axes, axes, unit, arch, search)
    profile = tips_seen(seen[..., 3], search, arc)
    if profile is None:
        return drawn, tip, palette
    middle = float(profile[len(profile) // 2])
    tip = tip - np.array([0.0, middle, 0.0])
    seen = _unwrap(pixels, opening, nose + unit * tip @ axes, axes, unit, arch, heights)
    teeth = seen[seen[..., 3] > 0.5][:, :3]
    if not len(teeth):
        return drawn, tip, palette
    light = luma(teeth)
    enamel = teeth[np.abs(light - np.percentile(light, 60)) <= 0.1 * light.max()].mean(0)
    palette = palette._replace(tooth=np.minimum(enamel.astype(np.float64), 1.1 * palette.peak))
    drawn = draw_row(palette, resolution, upper=True, tips=profile - middle)
    return fill_from_picture(drawn, seen, palette.peak), tip, palette
