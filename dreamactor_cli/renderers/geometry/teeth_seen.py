"""Teeth that a reference shows: finding them between the lips, and putting their pixels into the atlas of the row."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.head_space import INNER_LIPS
from dreamactor_cli.renderers.geometry.palette import Palette, luma

_MIN_SHARE = 0.15  # of the opening that must look like teeth
_MIN_COLUMNS = 0.12  # of the atlas' columns that must show one
_MARGIN = 0.012  # the tips reach a little below what the lower lip lets see


def tooth_weight(image: U8, landmarks: NDArray[np.float64], palette: Palette, unit: float) -> NDArray[np.float32] | None:
    """How much each pixel belongs to a tooth: bright and less coloured than lips and skin, between the lips.

    Args:
        image: (H, W, 3), the neighbourhood of the mouth.
        landmarks: (478, 3), px of that image.
        palette: colours of the face.
        unit: px per inter-ocular distance.

    Returns:
        (H, W), 0..1, spaces between the teeth closed; None if the reference shows no teeth.
    """
    mask = np.zeros(image.shape[:2], np.uint8)
    contour = np.rint(landmarks[list(INNER_LIPS), :2] * 16).astype(np.int32)
    cv2.fillPoly(mask, [contour], 1, cv2.LINE_8, 4)

    pixels = image.astype(np.float64)
    light = luma(pixels)
    tint = np.ptp(pixels, axis=-1) / np.maximum(light, 1.0)
    flesh = float(min(np.ptp(palette.skin) / luma(palette.skin), np.ptp(palette.lip) / luma(palette.lip)))
    weight = np.clip((light / float(luma(palette.skin)) - 0.45) / 0.20, 0, 1)
    weight *= np.clip((light / float(luma(palette.lip)) - 0.95) / 0.20, 0, 1)
    if flesh > 0.08:
        weight *= np.clip((1.05 * flesh - tint) / (0.25 * flesh), 0, 1)
    weight = (weight * mask).astype(np.float32)
    if float(weight.sum()) <= _MIN_SHARE * float(mask.sum()):
        return None
    size = max(3, int(0.05 * unit)) | 1
    closed = cv2.morphologyEx(weight, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return closed * mask


def tips_seen(weight: NDArray[np.float32], heights: NDArray[np.float64], arc: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Height of the line of tips in each column, (columns,), from the weight sampled over the arch, (rows, columns).

    Rows run from the gum towards the chin. Columns that show no tooth follow a parabola through the others.
    """
    seen = weight > 0.5
    known = seen.any(0) & (np.abs(arc) < 0.5)
    if known.sum() < _MIN_COLUMNS * len(arc):
        return None
    lowest = heights[len(heights) - 1 - np.argmax(seen[::-1], axis=0)]
    degree = 2 if np.ptp(arc[known]) > 0.3 else 0
    fit = np.polyval(np.polyfit(arc[known], lowest[known], degree), arc)
    good = known & (np.abs(lowest - fit) < 0.04)
    if good.sum() > 0.7 * known.sum():
        fit = np.polyval(np.polyfit(arc[good], lowest[good], degree), arc)
    edge = np.interp(arc, arc[known], np.minimum(lowest, fit + 0.02)[known])
    inside = (arc >= arc[known].min()) & (arc <= arc[known].max())
    sigma = max(1.0, 0.025 * len(arc))
    edge = cv2.GaussianBlur(np.where(inside, edge, fit)[None], (0, 0), sigma)[0]
    return edge - _MARGIN


def fill_from_picture(drawn: NDArray[np.float32], seen: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    """The drawn atlas (h, w, 4) with the teeth of the picture (h, w, 4: RGB, weight) in it.

    What was seen goes on along its columns, so that the teeth keep their widths where the lips hid them.
    """
    # The border to the lips is half lip.
    weight = cv2.erode(np.clip(seen[..., 3] * 2.0 - 0.6, 0, 1), np.ones((3, 1), np.uint8))
    # What the shading took away is put back only up to the face's brightest parts, with the hue kept.
    filled = seen[..., :3] / np.maximum(luma(seen[..., :3]) / (1.05 * peak), 1.0).astype(np.float32)[..., None]
    known = filled * weight[..., None]
    total, done = known.copy(), weight.copy()
    for along, across in ((3.0, 0.7), (8.0, 1.2), (24.0, 3.0)):
        mass = cv2.GaussianBlur(weight, (0, 0), sigmaX=across, sigmaY=along)
        mean = cv2.GaussianBlur(known, (0, 0), sigmaX=across, sigmaY=along) / np.maximum(mass, 1e-5)[..., None]
        part = (1 - done) * np.clip(mass / 0.03, 0, 1)
        total += mean * part[..., None]
        done += part
    result = drawn.copy()
    result[..., :3] = np.clip(total + drawn[..., :3] * (1 - done)[..., None], 0, 255)
    return result
