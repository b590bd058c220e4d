"""A driver's mouth in place of drawn teeth: its pixels, between the lips of the reference and in the reference's light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.renderers.geometry.aperture import SAMPLES, Aperture, kernel, lerp
from dreamactor_cli.renderers.geometry.mouth_setup import MouthModel


@kernel
def _patch_gain(patch: U8, lip: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factors (3,) that bring a driver's mouth into the reference's light.

    The first and last rows of a patch always show the rim of the driver's lips, whatever the mouth does: that is what
    can be compared. Colour follows by less than brightness, as lips differ in colour more than mouths do.
    """
    rows, columns = patch.shape[0], patch.shape[1]
    rim = np.zeros(3)
    for j in range(columns // 4, columns - columns // 4):
        for i in (0, 1, rows - 2, rows - 1):
            for n in range(3):
                rim[n] += patch[i, j, n]
    for n in range(3):
        rim[n] /= 4.0 * (columns - 2 * (columns // 4))
    theirs = 0.299 * rim[0] + 0.587 * rim[1] + 0.114 * rim[2] + 1.0
    ours = 0.299 * lip[0] + 0.587 * lip[1] + 0.114 * lip[2] + 1.0
    light = min(1.6, max(0.75, np.sqrt(ours / theirs)))
    gain = np.empty(3)
    for n in range(3):
        gain[n] = light * min(1.15, max(0.87, ((lip[n] / ours + 0.05) / (rim[n] / theirs + 0.05)) ** 0.3))
    return gain


@kernel
def paint_patch(
    pixels: NDArray[np.float32], colors: NDArray[np.float32], patch: U8, opening: Aperture, model: MouthModel
) -> None:
    """The driver's mouth, stretched between the lips."""
    gain = _patch_gain(patch, 0.9 * model.colors[2])
    rows, columns = patch.shape[0] - 1.001, patch.shape[1] - 1.001
    color = np.empty(3)
    for i in range(len(pixels)):
        place = min(max(pixels[i, 2] / opening.width, 0.0), 1.0)
        top = lerp(opening.top, place * (SAMPLES - 1))
        height = max(lerp(opening.bottom, place * (SAMPLES - 1)) - top, 1e-3)
        x = place * columns
        y = min(max((pixels[i, 3] - top) / height, 0.0), 1.0) * rows
        c, r = int(x), int(y)
        u, v = x - c, y - r
        for n in range(3):
            first = patch[r, c, n] + u * (float(patch[r, c + 1, n]) - patch[r, c, n])
            second = patch[r + 1, c, n] + u * (float(patch[r + 1, c + 1, n]) - patch[r + 1, c, n])
            color[n] = gain[n] * (first + v * (second - first))
        light = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
        dim = min(1.0, model.peak / (light + 1e-3))  # nothing outshines the face
        for n in range(3):
            colors[i, n] = dim * (light + (color[n] - light) * model.colorful)
