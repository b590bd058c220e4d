"""Colours for what a reference picture does not show: teeth, gums, tongue, the dark of the mouth, the white of an eye.

All of them follow the skin and lips of the picture in brightness and tint, so a black-and-white picture stays black and
white, a painting keeps its varnish, and nothing is brighter than the brightest parts of the face.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.head_space import FACE_OVAL

Color = NDArray[np.float64]  # (3,), RGB 0..255

_SKIN = (50, 280, 205, 425, 101, 330, 118, 347, 36, 266, 151, 9, 108, 337)
_LIPS = ((0, 13), (37, 82), (267, 312), (40, 81), (270, 311), (17, 14), (84, 87), (314, 317), (181, 178), (405, 402))
_LUMA = np.array([0.299, 0.587, 0.114])


class Palette(NamedTuple):
    """Colours of one reference, each (3,) RGB 0..255; `peak` is the luminance of the face's brightest parts."""

    skin: Color
    lip: Color
    tooth: Color
    gum: Color
    tongue: Color
    cavity: Color
    sclera: Color
    peak: float


def luma(color: NDArray[np.number]) -> NDArray[np.float64]:
    """Luminance of colours (..., 3)."""
    return np.asarray(color @ _LUMA, np.float64)


def _patches(image: U8, points: NDArray[np.floating], radius: int) -> NDArray[np.float64]:
    """Median colour of the patch around each point (N, 2) px, (N, 3)."""
    height, width = image.shape[:2]
    patches = []
    for x, y in np.rint(points).astype(int):
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
        patch = image[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
        patches.append(np.median(patch.reshape(-1, 3), axis=0))
    return np.maximum(np.array(patches), 1.0)


def _peak(image: U8, landmarks: NDArray[np.floating]) -> float:
    """Luminance that 2 % of the face exceed."""
    oval = np.rint(landmarks[list(FACE_OVAL), :2]).astype(np.int32)
    height, width = image.shape[:2]
    x0, y0 = np.clip(oval.min(0), 0, [width - 1, height - 1])
    x1, y1 = np.clip(oval.max(0) + 1, [x0 + 1, y0 + 1], [width, height])
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(oval - np.array([x0, y0], np.int32)), 1)
    inside = luma(image[y0:y1, x0:x1][mask > 0]) if mask.any() else luma(image[y0:y1, x0:x1].reshape(-1, 3))
    return max(float(np.percentile(inside, 98)), 20.0)


def measure_palette(image: U8, landmarks: NDArray[np.floating]) -> Palette:
    """Palette of a reference.

    Args:
        image: (H, W, 3), RGB.
        landmarks: (478, 3), px.
    """
    unit = float(np.linalg.norm(landmarks[468, :2] - landmarks[473, :2]))
    patches = _patches(image, landmarks[list(_SKIN), :2], max(1, int(0.04 * unit)))
    skin = np.median(patches, axis=0)
    pairs = np.array(_LIPS)
    lip = np.median(_patches(image, landmarks[pairs, :2].mean(1), max(1, int(0.015 * unit))), axis=0)
    peak = _peak(image, landmarks)

    light = float(luma(skin))
    tint = skin / light
    # Flesh is redder than skin, by as much as the skin has a colour of its own.
    colourful = min(1.0, float(np.ptp(tint)) / 0.3)
    flesh = 0.65 * tint * (1.0 + colourful * np.array([0.16, -0.10, -0.05])) + 0.35 * lip / luma(lip)
    flesh /= luma(flesh)
    deep = flesh**2 / luma(flesh**2)
    ivory = 1.0 + 0.42 * (tint - 1.0)
    # Teeth stand in the middle of the face: the side that is lit counts.
    lit = float(np.percentile(luma(patches), 65))
    bright = min(max(1.03 * lit + 24.0, 0.5 * peak), 0.92 * peak)
    return Palette(
        skin=skin,
        lip=lip,
        tooth=np.clip(bright * ivory, 0, 255),
        gum=np.clip(0.66 * light * flesh, 0, 255),
        tongue=np.clip(0.74 * light * flesh, 0, 255),
        cavity=np.clip(0.20 * light * deep + 3.0 * tint, 0, 255),
        sclera=np.clip(0.92 * bright * (1.0 + 0.2 * (tint - 1.0)), 0, 255),
        peak=peak,
    )
