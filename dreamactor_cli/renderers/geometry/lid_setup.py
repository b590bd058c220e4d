"""What the lids of a reference look like: their shade on the eyeball, their lashes, and the skin that a blink brings out."""

from __future__ import annotations

import cv2
import numpy as np

from dreamactor_cli.renderers.geometry.eye_view import EyeView, Picture, inside
from dreamactor_cli.renderers.geometry.palette import luma

COLUMNS = 48  # places along the chord at which lids are described
BANDS = 16  # distances from a lid
UPPER_BAND = 0.24  # how far into the eye a lid is described, of the chord's length
LOWER_BAND = 0.12


def lid_factors(view: EyeView, width: float, whole: Picture) -> Picture:
    """Factor by which each lid changes the eyeball, (2, BANDS, COLUMNS, 3), from the picture and the eye without lids."""
    between = inside(view, width, 0.0, 0.0)
    factor = np.clip((view.color + 4.0) / (np.maximum(whole, 0) + 4.0), 0.08, 1.04)
    # Over the white a lid's part is plain to see, over a dark iris it drowns.
    trust = np.where(view.ring > 1.15, 1.0, 0.04).astype(np.float32)
    result = np.ones((2, BANDS, COLUMNS, 3), np.float32)
    columns = view.s / width * (COLUMNS - 1)
    for lid, (distance, reach) in enumerate(((view.upper, UPPER_BAND), (view.lower, LOWER_BAND))):
        # The lower lid's part reaches at most as far as the middle of the eye.
        nearer = (view.upper < 0.75 * (view.upper + view.lower)) if lid == 0 else (view.lower < 0.4 * (view.upper + view.lower))
        use = between & nearer & (distance < reach * width)
        rows = distance / (reach * width) * (BANDS - 1)
        mass = np.zeros((BANDS, COLUMNS), np.float32)
        total = np.zeros((BANDS, COLUMNS, 3), np.float32)
        r = np.clip(np.rint(rows[use]).astype(int), 0, BANDS - 1)
        c = np.clip(np.rint(columns[use]).astype(int), 0, COLUMNS - 1)
        np.add.at(mass, (r, c), trust[use])
        np.add.at(total, (r, c), factor[use] * trust[use][:, None])
        near = [cv2.GaussianBlur(a, (0, 0), sigmaX=2.0, sigmaY=0.5) for a in (mass, total)]
        far = [cv2.GaussianBlur(a, (0, 0), sigmaX=9.0, sigmaY=0.5) for a in (mass, total)]
        mass, total = near[0] + 0.15 * far[0], near[1] + 0.15 * far[1]
        # Where nothing was seen the lid does nothing.
        mean = (total + 0.01) / (mass + 0.01)[..., None]
        fade = 1 - np.clip((np.linspace(0, 1, BANDS) - 0.55) / 0.45, 0, 1)
        result[lid] = 1 + (mean - 1) * fade[:, None, None]
        u, v = np.clip(columns, 0, COLUMNS - 1), np.clip(rows, 0, BANDS - 1)
        done = cv2.remap(result[lid], u, v.astype(np.float32), cv2.INTER_LINEAR)
        factor = np.clip(factor / np.maximum(done, 0.08), 0.08, 1.04)
    return result


def along_lid(view: EyeView, width: float, distance: Picture, low: float, high: float, percentile: float) -> Picture:
    """Colour along a lid at a range of distances (of the chord's length): a percentile in brightness, (COLUMNS, 3)."""
    result = np.zeros((COLUMNS, 3), np.float32)
    for k in range(COLUMNS):
        place = np.clip(k / (COLUMNS - 1), 0.04, 0.96) * width
        columns = np.abs(view.s[0] - place) < 0.035 * width + 0.5
        gap = distance[:, columns]
        near = (gap > low * width - 0.5) & (gap < high * width + 0.5)
        if not near.any():  # beyond the cut
            near = np.ones_like(near)
        colors = view.color[:, columns][near]
        light = luma(colors)
        order = np.argsort(light)
        first = int(max(0.0, percentile - 12.0) / 100 * (len(order) - 1))
        last = int(min(100.0, percentile + 12.0) / 100 * (len(order) - 1))
        result[k] = colors[order[first : last + 1]].mean(0)
    return _smooth(result)


def _smooth(values: Picture) -> Picture:
    """A little blur along the first axis of (COLUMNS, 3)."""
    padded = np.pad(values, ((2, 2), (0, 0)), mode="edge")
    kernel = (0.1, 0.22, 0.36, 0.22, 0.1)
    return np.sum([k * padded[i : i + len(values)] for i, k in enumerate(kernel)], axis=0).astype(np.float32)


def lid_skin(view: EyeView, width: float, height: float) -> Picture:
    """Colour of the upper lid's skin, most of which an open eye hides, (COLUMNS, 3).

    Taken from the lid if it shows bright skin, else (a deep lid shows only lashes and crease) from above and below the eye.

    Args:
        view: the eye.
        width: length of the chord.
        height: mean distance of the fold from the upper contour.
    """
    share = height / width
    strip = along_lid(view, width, view.upper, -share, -0.3 * share, 75)
    brow = along_lid(view, width, view.upper, -share - 0.14, -share - 0.02, 50)
    below = along_lid(view, width, view.lower, -0.20, -0.08, 60)
    # A lid lies in the shade of its brow, and must not stand out from the skin that it meets there.
    around = np.where((luma(brow) > luma(below))[:, None], below, brow)
    shows = np.clip((luma(strip) / np.maximum(luma(around), 1.0) - 0.62) / 0.18, 0, 1)[:, None]
    return (strip * shows + around * (1 - shows)).astype(np.float32)


def lashes_height(view: EyeView, width: float, skin: Picture) -> float:
    """Height of the dark line over the upper contour, px: where the picture reaches the brightness of the lid's skin."""
    middle = (view.s > 0.25 * width) & (view.s < 0.75 * width)
    target = 0.72 * float(np.median(luma(skin)))
    light = luma(view.color)
    for share in np.arange(0.05, 0.14, 0.01):
        near = middle & (np.abs(view.upper + share * width) < 0.012 * width + 0.4)
        if np.median(light[near]) > target:
            return float(share * width)
    return 0.14 * width
