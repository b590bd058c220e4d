"""Pictures for the surfaces of people: skin with brows, lips, beard and make-up; cloth; hair."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.head_space import INNER_LIPS, OUTER_LIPS
from dreamactor_cli.training.synthetic.kernels import rasterise
from dreamactor_cli.training.synthetic.materials import CLOTH_TONES, HAIR_TONES, IRIS_TONES, SKIN_TONES

Rng = np.random.Generator

# Landmarks along the brows, and in the middle of what blushes: cheeks and the tip of the nose.
_BROWS = ((46, 53, 52, 65, 55), (276, 283, 282, 295, 285))
_BLUSH = (205, 425, 4)
_SUBNASALE, _MOUTH_TOP, _NOSE_TIP, _HAIRLINE, _CHIN = 2, 0, 4, 10, 152
_FAR = 9.0  # decimetres


def noise(rng: Rng, side: int, octaves: int = 4, base: int = 4, persistence: float = 0.5) -> F32:
    """Smooth noise of several octaves, (side, side), standard deviation 1."""
    out = np.zeros((side, side), np.float32)
    for k in range(octaves):
        cells = min(base * 2**k, side) + 1
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        out += persistence**k * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
    return out / (float(out.std()) + 1e-6)


def cloth_tone(rng: Rng) -> NDArray[np.float64]:
    """A colour things have, (3,)."""
    if rng.random() < 0.55:
        tone = CLOTH_TONES[rng.integers(len(CLOTH_TONES))]
        return np.clip(tone * rng.uniform(0.8, 1.15) + rng.normal(0, 0.02, 3), 0.02, 1)
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.beta(2, 2.5), rng.uniform(0.15, 0.95)))


def _bytes(picture: NDArray[np.floating]) -> U8:
    out: U8 = np.clip(picture * 255, 0, 255).astype(np.uint8)
    return out


def cloth(rng: Rng, side: int = 128) -> U8:
    """Plain, striped, chequered or mottled cloth, (side, side, 3)."""
    first = cloth_tone(rng)
    second = np.clip(first * rng.uniform(0.6, 1.3), 0, 1) if rng.random() < 0.5 else cloth_tone(rng)
    y, x = np.mgrid[:side, :side] / side
    waves = 2 * np.pi * rng.integers(4, 18)
    kind = rng.integers(6)
    if kind == 1:
        share = np.sin(waves * y) > rng.uniform(-0.3, 0.6)
    elif kind == 2:
        share = np.sin(waves * x) > 0
    elif kind == 3:
        share = 0.5 * (np.sin(waves * y) > 0.3) + 0.5 * (np.sin(waves * x) > 0.3)
    elif kind == 4:
        share = noise(rng, side, 3, 6) > 0.4
    else:
        share = np.zeros((side, side))
    mixed = first + (second - first) * share[..., None]
    return _bytes(mixed * (1 + 0.05 * noise(rng, side, 4, 8, 0.8))[..., None])


def hair_strands(rng: Rng, tone: NDArray[np.floating], side: int = 128) -> U8:
    """Hair, (side, side, 3)."""
    strands = rng.standard_normal((1, side)) + 0.5 * np.repeat(rng.standard_normal((1, side // 2)), 2, 1)
    return _bytes(tone * (1 + 0.13 * (strands + 0.4 * noise(rng, side, 3)))[..., None])


class Paint(NamedTuple):
    """Colours of a person, 0..1.

    Attributes:
        skin, hair, iris, lips: (3,).
        lips_cover, beard, lid_cover: how much of the skin they hide.
        lids: eye shadow, (3,).
        brow_width: decimetres.
        has_hair: whether its roots are painted on the scalp.
    """

    skin: NDArray[np.float64]
    hair: NDArray[np.float64]
    iris: NDArray[np.float64]
    lips: NDArray[np.float64]
    lips_cover: float
    beard: float
    lids: NDArray[np.float64]
    lid_cover: float
    brow_width: float
    has_hair: bool

    @classmethod
    def of(cls, rng: Rng, races: NDArray[np.float64], age: float, male: bool, *, has_hair: bool) -> Paint:
        """Colours that go with races (african, asian, caucasian; sum 1), age 0..1 and sex."""
        tone = float(np.clip(races @ [0.82, 0.38, 0.16] + rng.normal(0, 0.1), 0, 0.999)) * (len(SKIN_TONES) - 1)
        low = int(tone)
        skin = SKIN_TONES[low] + (tone - low) * (SKIN_TONES[low + 1] - SKIN_TONES[low])
        tones = len(HAIR_TONES) if age > 0.55 else 8 if races[2] > 0.4 else 4
        lipstick = not male and rng.random() < 0.35
        lips = np.array([rng.uniform(0.5, 0.8), rng.uniform(0.1, 0.3), rng.uniform(0.15, 0.35)])
        return cls(
            skin=skin.astype(np.float64), hair=HAIR_TONES[rng.integers(tones)] * rng.uniform(0.8, 1.15),
            iris=IRIS_TONES[rng.integers(7 if races[2] > 0.5 else 3)].astype(np.float64),
            lips=lips if lipstick else skin * [0.84, 0.54, 0.55], lips_cover=0.85 if not male else 0.65,
            beard=float(rng.uniform(0.2, 0.85)) if male and rng.random() < 0.45 else 0.0,
            lids=rng.uniform([0.2, 0.15, 0.2], [0.6, 0.4, 0.5]), lid_cover=0.5 if not male and rng.random() < 0.4 else 0.0,
            brow_width=float(rng.uniform(0.028, 0.055)), has_hair=has_hair,
        )  # fmt: skip


class SkinPainter:
    """Paints skins in the UV map of a body.

    Args:
        side: texels.
        vertices: at rest, (V, 3); uv: (U, 2).
        triangles, uv_triangles: of the skin, (N, 3).
        landmarks: the face mesh at rest, (468, 3).
        masks: of places in the UV map by name (``lips``, ``eyelids``, ``inside-mouth``), u8, square; lips and mouth are made
            from the landmarks where there are none, lids are not painted.
    """

    def __init__(
        self, side: int, vertices: F32, uv: F32, triangles: NDArray[np.integer], uv_triangles: NDArray[np.integer],
        landmarks: F32, masks: Mapping[str, U8],
    ) -> None:  # fmt: skip
        self._side = side
        self._place, self._used = _positions(side, vertices, uv, triangles, uv_triangles)
        p = self._place
        self._on_face = (p[..., 2] > 0.3) & (p[..., 1] > landmarks[_CHIN, 1] - 1.0)
        self._brows = [self._distance(_along(landmarks, b) + [0, 0.035, 0]) for b in _BROWS]
        blush = self._distance(landmarks[list(_BLUSH)])
        self._blush = np.exp(-blush / 0.28)[..., None]
        self._beard = self._beard_of(landmarks)
        self._scalp = self._scalp_of(landmarks)
        small = {name: cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA) for name, mask in masks.items()}
        self._masks = {name: mask[..., None] / np.float32(255) for name, mask in small.items()}
        if "lips" not in self._masks:
            self._masks |= self._mouth_of(landmarks)

    def paint(self, rng: Rng, paint: Paint) -> U8:
        """A skin, (side, side, 3)."""
        mottle = noise(rng, self._side, 5, 6, 0.6)[..., None]
        skin = paint.skin.astype(np.float32) * (1 + 0.025 * mottle)
        skin *= 1 + self._blush * (rng.uniform(0.02, 0.1) * np.array([0.6, -0.5, -0.3], np.float32))
        brow = np.minimum(paint.hair * 0.8, paint.skin * 0.62)
        for distance in self._brows:
            self._cover(skin, np.clip(1.35 - distance / paint.brow_width, 0, 1) * 0.9, brow)
        self._cover(skin, self._mask("lips") * paint.lips_cover, paint.lips)
        if paint.beard:
            self._cover(skin, np.clip(self._beard * paint.beard * (0.8 + 0.2 * mottle[..., 0]), 0, 0.9), paint.hair * 0.9)
        if paint.lid_cover:
            self._cover(skin, self._mask("eyelids") * paint.lid_cover, paint.lids)
        if paint.has_hair:
            self._cover(skin, self._scalp * 0.85, paint.hair * 0.8)
        self._cover(skin, self._mask("inside-mouth"), np.array([0.32, 0.08, 0.08]))
        return _bytes(skin)

    @staticmethod
    def _cover(skin: F32, share: F32, tone: NDArray[np.float64]) -> None:
        """Lay a colour (3,) over the skin in place, with a share (S, S) or (S, S, 1)."""
        part = share if share.ndim == 3 else share[..., None]
        rows = np.flatnonzero(part.any((1, 2)))  # most paints touch a few rows only
        if len(rows):
            cut = slice(rows[0], rows[-1] + 1)
            skin[cut] += part[cut] * (tone.astype(np.float32) - skin[cut])

    def _mask(self, name: str) -> F32:
        empty = np.zeros((self._side, self._side, 1), np.float32)
        return self._masks.get(name, empty)

    def _distance(self, points: F32) -> F32:
        """Decimetres from each texel of the face to the nearest of some points (K, 3)."""
        out = np.full(self._place.shape[:2], _FAR, np.float32)
        gap = self._place[self._on_face][:, None] - points[None].astype(np.float32)
        out[self._on_face] = np.sqrt((gap**2).sum(-1)).min(1)
        return out

    def _beard_of(self, landmarks: F32) -> F32:
        """Where a beard grows: chin, jaw, and over the lip."""
        x, y, z = np.moveaxis(self._place, -1, 0)
        ring = landmarks[[*OUTER_LIPS, OUTER_LIPS[0]]]
        off_lips = np.clip((self._distance(_densely(ring)) - 0.05) / 0.06, 0, 1)
        under_nose = np.clip((landmarks[_NOSE_TIP, 1] - 0.18 - y) / 0.25, 0, 1)
        above_throat = np.clip((y - (landmarks[_CHIN, 1] - 0.15)) / 0.25, 0, 1)
        off_cheeks = 1 - np.clip((np.abs(x) - 0.62) / 0.1, 0, 1) * np.clip((y - landmarks[_SUBNASALE, 1]) / 0.2, 0, 1)
        beard: F32 = off_lips * under_nose * above_throat * off_cheeks * np.clip((z - 0.25) / 0.3, 0, 1) * self._used
        return beard

    def _mouth_of(self, landmarks: F32) -> dict[str, F32]:
        """Masks of the lips and of the inside of the mouth."""
        outer, inner = landmarks[list(OUTER_LIPS)], landmarks[list(INNER_LIPS)]
        ring = np.concatenate([(outer + inner) / 2, (outer + inner)[:1] / 2])
        thick = float(np.linalg.norm(outer - inner, axis=1).mean()) / 2
        lips = np.clip(1.6 - self._distance(_densely(ring)) / thick, 0, 1)
        low, high = outer.min(0), outer.max(0)
        x, y, z = np.moveaxis(self._place, -1, 0)
        near = self._on_face & (x > low[0]) & (x < high[0]) & (y > low[1] - 0.2) & (y < high[1] + 0.2)
        # Behind the corners, where the lips lie deepest.
        inside = np.clip((inner[:, 2].min() - 0.05 - z) / 0.05, 0, 1) * near
        return {"lips": lips[..., None].astype(np.float32), "inside-mouth": inside[..., None].astype(np.float32)}

    def _scalp_of(self, landmarks: F32) -> F32:
        """Where the roots of hair show."""
        x, y, z = np.moveaxis(self._place, -1, 0)
        line = landmarks[_HAIRLINE, 1]
        height = np.clip((y - line - 0.05 + 0.55 * (z < 0.6)) / 0.15, 0, 1)
        scalp: F32 = (height * ((z < 1.0) | (y > line + 0.1)) * (np.abs(x) < 0.78) * self._used).astype(np.float32)
        return scalp


def _positions(
    side: int, vertices: F32, uv: F32, triangles: NDArray[np.integer], uv_triangles: NDArray[np.integer]
) -> tuple[F32, NDArray[np.bool_]]:
    """Place of each texel on the body at rest (S, S, 3), and which texels are used (S, S)."""
    flat = np.ones((len(uv), 3), np.float32)
    flat[:, :2] = uv * [1, -1] * (side - 1) + [0.5, side - 0.5]
    z, seen = np.zeros((side, side), np.float32), np.full((side, side), -1, np.int32)
    bary = np.zeros((side, side, 2), np.float32)
    rasterise(flat, uv_triangles.astype(np.int32), np.ones(len(uv_triangles), np.int8), z, seen, bary)
    used = seen >= 0
    weights = np.concatenate([bary[used], 1 - bary[used].sum(1, keepdims=True)], 1)
    place = np.full((side, side, 3), -99, np.float32)
    place[used] = np.einsum("nki,nk->ni", vertices[triangles[seen[used]]], weights)
    return place, used


def _densely(points: F32, steps: int = 4) -> F32:
    """A line through points (K, 3) with ``steps`` points for each."""
    at = np.linspace(0, len(points) - 1, (len(points) - 1) * steps + 1)
    return np.stack([np.interp(at, np.arange(len(points)), points[:, k]) for k in range(3)], 1).astype(np.float32)


def _along(landmarks: F32, indices: tuple[int, ...]) -> F32:
    return _densely(landmarks[list(indices)], 6)
