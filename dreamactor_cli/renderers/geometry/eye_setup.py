"""What `Eyes` learns from the reference once: the eyeball without its lids, the iris without its highlights.

An eye is taken apart so that it can be put together again at another gaze: ``(white with iris) * lids + highlight``. The
white is completed behind the iris, the iris where lids hid it; what the lids do to both (shadow, lashes, wet rim) is kept
as a factor by distance from the lid, so that it moves with the lid. All pictures lie along the eye's chord.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.renderers.geometry.aperture import aperture, eye_distance, kernel
from dreamactor_cli.renderers.geometry.eye_view import EyeView, Picture, inside, look
from dreamactor_cli.renderers.geometry.lid_setup import along_lid, lashes_height, lid_factors, lid_skin
from dreamactor_cli.renderers.geometry.palette import Palette, luma


class EyeIds(NamedTuple):
    """Landmarks of an eye: the fold above it, its upper and its lower contour (all between the same corners), its iris."""

    fold: NDArray[np.int64]
    upper: NDArray[np.int64]
    lower: NDArray[np.int64]
    iris: int


EYES = (
    EyeIds(
        np.array([33, 247, 30, 29, 27, 28, 56, 190, 133]),
        np.array([33, 246, 161, 160, 159, 158, 157, 173, 133]),
        np.array([33, 7, 163, 144, 145, 153, 154, 155, 133]),
        468,
    ),
    EyeIds(
        np.array([362, 414, 286, 258, 257, 259, 260, 467, 263]),
        np.array([362, 398, 384, 385, 386, 387, 388, 466, 263]),
        np.array([362, 382, 381, 380, 374, 373, 390, 249, 263]),
        473,
    ),
)
MIN_RADIUS = 2.0  # px; a smaller iris is left to the mesh
IRIS_SPAN = 1.3  # half size of the iris picture, in radii
_EDGE = 1.18  # where the picture of the iris ends, in radii: the blurred border to the white comes along
_RINGS = 28


class EyeModel(NamedTuple):
    """One eye of a reference. Lengths are px of the reference, along and across the chord.

    Attributes:
        width: length of the chord.
        unit: px per inter-ocular distance.
        gap: mean opening.
        iris_s, iris_d: centre of the iris.
        iris_turn: its place along the chord in space, 0..1.
        radius: of the iris.
        texels: texels of the pictures per px.
        top: d of the upper contour along the chord, (SAMPLES,).
        lid: height of the fold over the upper contour, likewise.
        lashes: height of the line of lashes over the upper contour.
        skin: (h, w, 3), the picture.
        white: (h, w, 3), the eyeball without its iris; both begin at (-SIDE, -HEIGHT) * width.
        iris: (n, n, 4), RGB and cover, spans `IRIS_SPAN` radii about the centre.
        glint: (n, n, 3), highlights, to be added.
        lids: (2, BANDS, COLUMNS, 3), factor of the upper and of the lower lid by distance and place.
        lash: (COLUMNS, 3), colour of the line of lashes.
        under: (COLUMNS, 3), colour of the skin below the eye.
        lid_skin: (COLUMNS, 3), colour of the upper lid where it is hidden while the eye is open.
    """

    width: float
    unit: float
    gap: float
    iris_s: float
    iris_d: float
    iris_turn: float
    radius: float
    texels: float
    top: NDArray[np.float64]
    lid: NDArray[np.float64]
    lashes: float
    skin: Picture
    white: Picture
    iris: Picture
    glint: Picture
    lids: Picture
    lash: Picture
    under: Picture
    lid_skin: Picture


@kernel
def turn_of_iris(landmarks: NDArray[np.float64], contour: NDArray[np.int64], iris: int) -> float:
    """Place of the iris' centre along the line between the corners, in space: it does not change with the head's pose."""
    along, square = 0.0, 1e-9
    for k in range(3):
        step = landmarks[contour[-1], k] - landmarks[contour[0], k]
        along += (landmarks[iris, k] - landmarks[contour[0], k]) * step
        square += step * step
    return along / square


def measure_eye(image: U8, landmarks: NDArray[np.float64], side: int, palette: Palette) -> EyeModel | None:
    """Model of the eye `side` of `EYES`, None if it is too small to be taken apart."""
    ids = EYES[side]
    center = ids.iris
    opening = aperture(landmarks, ids.upper, ids.lower)
    rim = landmarks[center + 1 : center + 5, :2]
    radius = float(np.linalg.norm(rim - landmarks[center, :2], axis=1).mean())
    if radius < MIN_RADIUS or opening.width < 3 * MIN_RADIUS:
        return None
    across = landmarks[center, :2] - [opening.x, opening.y]
    iris_s = float(across @ [opening.ex, opening.ey])
    iris_d = float(across @ [-opening.ey, opening.ex])
    texels = float(np.clip(100.0 / opening.width, 1.0, 3.0))
    view = look(image, opening, iris_s, iris_d, radius, texels)
    white = _complete_white(view, opening.width, palette)
    iris, glint = _complete_iris(view, opening.width, palette, white)
    lid = opening.top - aperture(landmarks, ids.fold, ids.upper).top
    skin = lid_skin(view, opening.width, float(np.mean(lid)))
    whole = white * (1 - iris[..., 3:]) + iris[..., :3] * iris[..., 3:] + glint
    return EyeModel(
        width=opening.width,
        unit=float(eye_distance(landmarks)),
        gap=float((opening.bottom - opening.top).mean()),
        iris_s=iris_s,
        iris_d=iris_d,
        iris_turn=float(turn_of_iris(landmarks, ids.upper, center)),
        radius=radius,
        texels=texels,
        top=opening.top,
        lid=lid,
        lashes=lashes_height(view, opening.width, skin),
        skin=view.color,
        white=white,
        iris=_about_iris(iris, view, iris_s, iris_d, radius, texels),
        glint=_about_iris(glint, view, iris_s, iris_d, radius, texels),
        lids=lid_factors(view, opening.width, whole),
        lash=along_lid(view, opening.width, view.upper, -0.02, 0.05, 12),
        under=along_lid(view, opening.width, view.lower, -0.10, -0.03, 50),
        lid_skin=skin,
    )


def _spread(color: Picture, known: NDArray[np.bool_], sigmas: tuple[float, ...]) -> Picture:
    """Colours (h, w, 3) continued from where they are known over all texels, near before far."""
    weight = known.astype(np.float32)
    result, done = color * weight[..., None], weight.copy()
    for sigma in sigmas:
        mass = cv2.GaussianBlur(weight, (0, 0), sigma)
        mean = cv2.GaussianBlur(color * weight[..., None], (0, 0), sigma) / np.maximum(mass, 1e-6)[..., None]
        part = (1 - done) * np.clip(mass / 0.08, 0, 1)
        result = result + mean * part[..., None]
        done = done + part
    rest = color[known].mean(0)
    return (result + rest * (1 - done)[..., None]).astype(np.float32)


def _complete_white(view: EyeView, width: float, palette: Palette) -> Picture:
    """The eyeball without its iris, (h, w, 3)."""
    known = np.zeros(view.s.shape, bool)
    for upper, lower in ((0.09, 0.04), (0.05, 0.02), (0.02, 0.01)):
        known = inside(view, width, upper, lower) & (view.ring > 1.2)
        if known.sum() > 0.02 * width * width:
            break
    light = luma(view.color)
    if known.any():  # lashes and the shade of deep lids are no white
        known &= light > 0.76 * np.percentile(light[known], 85)
    if known.sum() < 12:
        return np.broadcast_to(palette.sclera.astype(np.float32), view.color.shape).copy()
    scale = width / 50.0
    return _spread(view.color, known, tuple(scale * k for k in (1.5, 4.0, 9.0, 20.0)))


def _complete_iris(view: EyeView, width: float, palette: Palette, white: Picture) -> tuple[Picture, Picture]:
    """The iris (h, w, 4: RGB, cover), completed under the lids by its mean ring, and its highlights (h, w, 3)."""
    cover = np.clip((_EDGE - view.ring) / 0.15, 0, 1)
    disc = view.ring < _EDGE
    known = np.zeros(disc.shape, bool)
    for upper, lower in ((0.08, 0.04), (0.04, 0.02), (0.015, 0.01)):
        known = disc & inside(view, width, upper, lower)
        if known.sum() > 0.3 * disc.sum():
            break
    if known.sum() < 0.08 * disc.sum() or known.sum() < 12:
        dark = 0.30 * palette.skin.astype(np.float32)
        shade = np.clip(0.45 + 0.9 * (view.ring - 0.3), 0.35, 1.0)[..., None]
        return np.dstack([dark * shade, cover]).astype(np.float32), np.zeros_like(white)
    ring = _ring_means(view, known)
    position = np.clip(view.ring / _EDGE * (_RINGS - 1), 0, _RINGS - 1.001)
    low = position.astype(int)
    part = (position - low)[..., None]
    mean = ring[low] * (1 - part) + ring[low + 1] * part

    excess = luma(view.color) - luma(mean)
    threshold = max(28.0, 0.16 * palette.peak)
    bright = ((excess > threshold) & (view.ring < 0.92) & inside(view, width, 0.02, 0.01)).astype(np.float32)
    size = max(3, int(0.05 * view.s.shape[1])) | 1
    bright = cv2.GaussianBlur(cv2.dilate(bright, np.ones((3, 3), np.uint8)), (size, size), 0)
    bright *= np.clip((0.98 - view.ring) / 0.08, 0, 1)
    seen = cv2.GaussianBlur(known.astype(np.float32), (0, 0), max(0.6, 0.012 * known.shape[1]))
    seen = np.clip(2 * seen - 1, 0, 1) * (1 - bright)
    color = view.color * seen[..., None] + mean * (1 - seen[..., None])
    glint = np.maximum(view.color - mean, 0) * bright[..., None]
    return np.dstack([color, cover]).astype(np.float32), glint.astype(np.float32)


def _ring_means(view: EyeView, known: NDArray[np.bool_]) -> Picture:
    """Median colour by distance from the iris' centre, (_RINGS, 3), from 0 to `_EDGE` radii."""
    at = np.linspace(0, _EDGE, _RINGS)
    means = np.full((_RINGS, 3), np.nan)
    for k, distance in enumerate(at):
        near = known & (np.abs(view.ring - distance) < 0.06)
        if near.sum() > 4:
            means[k] = np.median(view.color[near], axis=0)
    have = ~np.isnan(means[:, 0])
    filled = np.stack([np.interp(at, at[have], means[have, c]) for c in range(3)], 1) if have.any() else means
    return filled.astype(np.float32)


def _about_iris(picture: Picture, view: EyeView, iris_s: float, iris_d: float, radius: float, texels: float) -> Picture:
    """The square of `IRIS_SPAN` radii about the iris, cut out of a picture of the eye."""
    half = IRIS_SPAN * radius
    step = np.linspace(-half, half, 2 * int(np.ceil(half * texels)) + 1)
    x, y = np.meshgrid(step + iris_s - view.s[0, 0], step + iris_d - view.d[0, 0])
    x, y = (x * texels).astype(np.float32), (y * texels).astype(np.float32)
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
