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
from dreamactor_cli.renderers.geometry.aperture import Aperture, aperture, eye_distance, kernel
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
COLUMNS = 48  # places along the chord at which lids are described
BANDS = 16  # distances from a lid
UPPER_BAND = 0.24  # how far into the eye a lid is described, of the chord's length
LOWER_BAND = 0.12
IRIS_SPAN = 1.3  # half size of the iris picture, in radii
SIDE, HEIGHT = 0.12, 0.50  # margin of the pictures beside and across the chord, of its length
_EDGE = 1.18  # where the picture of the iris ends, in radii: the blurred border to the white comes along
_RINGS = 28

Picture = NDArray[np.float32]


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
        skin: (h, w, 3), the picture.
        white: (h, w, 3), the eyeball without its iris; both begin at (-SIDE, -HEIGHT) * width.
        iris: (n, n, 4), RGB and cover, spans `IRIS_SPAN` radii about the centre.
        glint: (n, n, 3), highlights, to be added.
        lids: (2, BANDS, COLUMNS, 3), factor of the upper and of the lower lid by distance and place.
        lash: (COLUMNS, 3), colour of the line of lashes.
        under: (COLUMNS, 3), colour of the skin below the eye.
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
    skin: Picture
    white: Picture
    iris: Picture
    glint: Picture
    lids: Picture
    lash: Picture
    under: Picture


class _View(NamedTuple):
    """The picture of an eye along its chord; all arrays (h, w) or (h, w, 3), distances in px of the reference."""

    color: Picture
    s: Picture
    d: Picture
    upper: Picture
    lower: Picture
    ring: Picture  # distance from the iris' centre, in radii


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
    view = _look(image, opening, iris_s, iris_d, radius, texels)
    white = _complete_white(view, opening.width, palette)
    iris, glint = _complete_iris(view, opening.width, palette, white)
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
        lid=opening.top - aperture(landmarks, ids.fold, ids.upper).top,
        skin=view.color,
        white=white,
        iris=_about_iris(iris, view, iris_s, iris_d, radius, texels),
        glint=_about_iris(glint, view, iris_s, iris_d, radius, texels),
        lids=_lids(view, opening.width, whole),
        lash=_along(view, opening.width, view.upper, -0.02, 0.05, 12),
        under=_along(view, opening.width, view.lower, -0.10, -0.03, 50),
    )


def _look(image: U8, opening: Aperture, iris_s: float, iris_d: float, radius: float, texels: float) -> _View:
    """Cuts the eye out along its chord, so that corners, lids and iris have simple coordinates."""
    width = opening.width
    columns = int(np.ceil((1 + 2 * SIDE) * width * texels)) + 1
    rows = int(np.ceil(2 * HEIGHT * width * texels)) + 1
    s, d = np.meshgrid(np.arange(columns) / texels - SIDE * width, np.arange(rows) / texels - HEIGHT * width)
    x = opening.x + s * opening.ex - d * opening.ey
    y = opening.y + s * opening.ey + d * opening.ex
    color = cv2.remap(image, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    place = np.clip(s[0] / width, 0, 1) * (len(opening.top) - 1)
    index = np.arange(len(opening.top))
    top, bottom = np.interp(place, index, opening.top), np.interp(place, index, opening.bottom)
    arrays = (s, d, d - top, bottom - d, np.hypot(s - iris_s, d - iris_d) / radius)
    return _View(color.astype(np.float32), *(a.astype(np.float32) for a in arrays))


def _inside(view: _View, width: float, upper: float, lower: float) -> NDArray[np.bool_]:
    """Texels in the eye, so far from the lids (of the chord's length)."""
    in_chord = (view.s > 0.02 * width) & (view.s < 0.98 * width)
    return in_chord & (view.upper > upper * width) & (view.lower > lower * width)


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


def _complete_white(view: _View, width: float, palette: Palette) -> Picture:
    """The eyeball without its iris, (h, w, 3)."""
    known = np.zeros(view.s.shape, bool)
    for upper, lower in ((0.09, 0.04), (0.05, 0.02), (0.02, 0.01)):
        known = _inside(view, width, upper, lower) & (view.ring > 1.2)
        if known.sum() > 0.02 * width * width:
            break
    light = luma(view.color)
    if known.any():  # lashes and the shade of deep lids are no white
        known &= light > 0.76 * np.percentile(light[known], 85)
    if known.sum() < 12:
        return np.broadcast_to(palette.sclera.astype(np.float32), view.color.shape).copy()
    scale = width / 50.0
    return _spread(view.color, known, tuple(scale * k for k in (1.5, 4.0, 9.0, 20.0)))


def _complete_iris(view: _View, width: float, palette: Palette, white: Picture) -> tuple[Picture, Picture]:
    """The iris (h, w, 4: RGB, cover), completed under the lids by its mean ring, and its highlights (h, w, 3)."""
    cover = np.clip((_EDGE - view.ring) / 0.15, 0, 1)
    disc = view.ring < _EDGE
    known = np.zeros(disc.shape, bool)
    for upper, lower in ((0.08, 0.04), (0.04, 0.02), (0.015, 0.01)):
        known = disc & _inside(view, width, upper, lower)
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
    bright = ((excess > threshold) & (view.ring < 0.92) & _inside(view, width, 0.02, 0.01)).astype(np.float32)
    size = max(3, int(0.05 * view.s.shape[1])) | 1
    bright = cv2.GaussianBlur(cv2.dilate(bright, np.ones((3, 3), np.uint8)), (size, size), 0)
    bright *= np.clip((0.98 - view.ring) / 0.08, 0, 1)
    seen = cv2.GaussianBlur(known.astype(np.float32), (0, 0), max(0.6, 0.012 * known.shape[1]))
    seen = np.clip(2 * seen - 1, 0, 1) * (1 - bright)
    color = view.color * seen[..., None] + mean * (1 - seen[..., None])
    glint = np.maximum(view.color - mean, 0) * bright[..., None]
    return np.dstack([color, cover]).astype(np.float32), glint.astype(np.float32)


def _ring_means(view: _View, known: NDArray[np.bool_]) -> Picture:
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


def _about_iris(picture: Picture, view: _View, iris_s: float, iris_d: float, radius: float, texels: float) -> Picture:
    """The square of `IRIS_SPAN` radii about the iris, cut out of a picture of the eye."""
    half = IRIS_SPAN * radius
    step = np.linspace(-half, half, 2 * int(np.ceil(half * texels)) + 1)
    x, y = np.meshgrid(step + iris_s - view.s[0, 0], step + iris_d - view.d[0, 0])
    x, y = (x * texels).astype(np.float32), (y * texels).astype(np.float32)
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _lids(view: _View, width: float, whole: Picture) -> Picture:
    """Factor by which each lid changes the eyeball, (2, BANDS, COLUMNS, 3), from the picture and the eye without lids."""
    inside = _inside(view, width, 0.0, 0.0)
    factor = np.clip((view.color + 4.0) / (np.maximum(whole, 0) + 4.0), 0.08, 1.04)
    # Over the white a lid's part is plain to see, over a dark iris it drowns.
    trust = np.where(view.ring > 1.15, 1.0, 0.04).astype(np.float32)
    result = np.ones((2, BANDS, COLUMNS, 3), np.float32)
    columns = view.s / width * (COLUMNS - 1)
    for lid, (distance, reach) in enumerate(((view.upper, UPPER_BAND), (view.lower, LOWER_BAND))):
        # The lower lid's part reaches at most as far as the middle of the eye.
        nearer = (view.upper < 0.75 * (view.upper + view.lower)) if lid == 0 else (view.lower < 0.4 * (view.upper + view.lower))
        use = inside & nearer & (distance < reach * width)
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


def _along(view: _View, width: float, distance: Picture, low: float, high: float, percentile: float) -> Picture:
    """Colour along a lid at a range of distances (of the chord's length): a percentile in brightness, (COLUMNS, 3)."""
    near = (distance > low * width - 0.5) & (distance < high * width + 0.5)
    light = luma(view.color)
    result = np.zeros((COLUMNS, 3), np.float32)
    for k in range(COLUMNS):
        place = np.clip(k / (COLUMNS - 1), 0.04, 0.96) * width
        pick = near & (np.abs(view.s - place) < 0.035 * width + 0.5)
        colors, order = view.color[pick], light[pick]
        limit = np.percentile(order, [max(0, percentile - 12), percentile + 12])
        result[k] = colors[(order >= limit[0]) & (order <= limit[1])].mean(0)
    return _smooth(result)


def _smooth(values: Picture) -> Picture:
    """A little blur along the first axis of (COLUMNS, 3)."""
    padded = np.pad(values, ((2, 2), (0, 0)), mode="edge")
    kernel = (0.1, 0.22, 0.36, 0.22, 0.1)
    return np.sum([k * padded[i : i + len(values)] for i, k in enumerate(kernel)], axis=0).astype(np.float32)
