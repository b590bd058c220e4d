"""The two dental arches of a reference: a curve in head space, and the pictures of the rows wrapped round it.

Lengths are in inter-ocular distances (63 mm in the mean adult). A row's atlas is indexed by arc length along the arch
(0 between the central incisors, positive to the picture's right) and by height from the line of the tips (positive
towards the chin). Where the reference shows its teeth the atlas is filled from its pixels, else it is drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.palette import Palette

ARC = 0.62  # half length of an arch that the atlas covers
REACH = 0.26  # height of an atlas on the side of the gums
SLACK = 0.08  # height of an atlas beyond the tips

ARCH_HALF_WIDTH = 0.42  # half axes of the upper arch's ellipse, across and into the head
ARCH_DEPTH = 0.60
LOWER_ARCH = 0.92  # size of the lower arch to the upper one

# Widths of the teeth from the middle outwards, and how much shorter than the first each one stands.
_UPPER_WIDTHS = (0.135, 0.106, 0.118, 0.108, 0.104, 0.16)
_UPPER_DROP = (0.0, 0.012, 0.003, 0.014, 0.020, 0.026)
_LOWER_WIDTHS = (0.085, 0.094, 0.106, 0.108, 0.108, 0.17)
_LOWER_DROP = (0.0, 0.0, -0.004, 0.004, 0.008, 0.012)
_CROWN = 0.160  # length of a central incisor out of the gum


class Arch(NamedTuple):
    """The curve of an arch, sampled over its angle: position across x, into the head z, and arc length."""

    x: NDArray[np.float64]
    z: NDArray[np.float64]
    arc: NDArray[np.float64]


def arch_curve(samples: int = 129) -> Arch:
    """The upper arch from the left to the right of an upright face, (samples,) each."""
    angle = np.linspace(-1.45, 1.45, samples)
    x = ARCH_HALF_WIDTH * np.sin(angle)
    z = ARCH_DEPTH * (1.0 - np.cos(angle))
    step = np.hypot(np.diff(x), np.diff(z))
    arc = np.concatenate([[0.0], np.cumsum(step)])
    return Arch(x, z, arc - arc[samples // 2])


def _tooth_of(arc: NDArray[np.float64], widths: tuple[float, ...], drop: tuple[float, ...]) -> tuple[NDArray[np.float64], ...]:
    """For each arc length: place across its tooth (-1..1), the tooth's half width and its drop."""
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    index = np.clip(np.searchsorted(edges, np.abs(arc), side="right") - 1, 0, len(widths) - 1)
    half = np.asarray(widths)[index] / 2
    across = np.clip((np.abs(arc) - edges[index]) / half - 1.0, -1.0, 1.0)
    return across, half, np.asarray(drop)[index]


def atlas_grid(resolution: float, *, upper: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Arc length of each column and height towards the gum of each row of an atlas."""
    columns = round(2 * ARC * resolution) + 1
    rows = round((REACH + SLACK) * resolution) + 1
    heights = np.linspace(REACH, -SLACK, rows) if upper else np.linspace(-SLACK, REACH, rows)
    return np.linspace(-ARC, ARC, columns), heights


def draw_row(palette: Palette, resolution: float, *, upper: bool, tips: NDArray[np.float64] | None = None) -> NDArray[np.float32]:
    """A row of teeth in its gum, drawn.

    Args:
        palette: colours of the reference.
        resolution: texels per inter-ocular distance.
        upper: the upper row, else the lower.
        tips: height of the line of tips of each column, where the reference shows it.

    Returns:
        (h, w, 4): RGB 0..255 and cover 0..1; rows grow towards the chin.
    """
    arc, height = atlas_grid(resolution, upper=upper)
    widths, drops = (_UPPER_WIDTHS, _UPPER_DROP) if upper else (_LOWER_WIDTHS, _LOWER_DROP)
    across, half, drop = _tooth_of(arc, widths, drops)

    texel = 1.0 / resolution
    corner = 0.10 * half * np.abs(across) ** 4 + 0.03 * half * across**2
    above_tip = height[:, None] - (drop + corner if tips is None else tips + 0.4 * corner)[None]
    cover = np.clip(above_tip / (1.6 * texel) + 0.5, 0, 1)

    crown = (_CROWN if upper else 0.84 * _CROWN) * (1.0 - 0.10 * (half < 0.05)) - 0.035 * across**2
    to_gum = np.clip((height[:, None] - crown[None]) / max(2.0 * texel, 0.012) + 0.5, 0, 1)
    # The space between two teeth: narrow between the crowns, open towards the tips' rounded corners.
    side = (1.0 - np.abs(across)) * half
    gap = np.exp(-((side / max(0.006, 0.55 * texel)) ** 2)) * min(1.0, 0.011 / texel)
    shade = 1.0 - 0.10 * np.abs(across) ** 3 - 0.10 * np.clip(height / _CROWN, 0, 1)[:, None]

    warm = np.array([1.0, 0.975, 0.93]) if float(np.ptp(palette.skin)) > 12 else np.ones(3)
    toward_gum = np.clip(height / _CROWN, 0, 1)[:, None, None]
    enamel = palette.tooth * (1.0 - 0.5 * toward_gum * (1.0 - warm))
    between = ((0.38 if upper else 0.20) * gap)[None, :, None]
    enamel = enamel * shade[..., None] * (1 - between) + 0.55 * palette.gum * between
    color = enamel * (1 - to_gum[..., None]) + palette.gum * to_gum[..., None]
    return np.ascontiguousarray(np.dstack([color, cover]).astype(np.float32))
