"""Cutting a picture into person and background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.layers import (
    Layers,
    complete_background,
    dilate,
    fill,
    guided_filter,
    separate,
    spread_color,
)

if TYPE_CHECKING:
    from dreamactor_cli.contracts import Reference

U8 = NDArray[np.uint8]


def _composite(layers: Layers) -> NDArray[np.float64]:
    alpha = layers.alpha[..., None] / 255.0
    return alpha * layers.color + (1 - alpha) * layers.background


def _psnr(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b.astype(float)) ** 2), 1e-9)))


def _disc(size: int, radius: float, sigma: float = 1.2) -> NDArray[np.float32]:
    """An anti-aliased disc in the middle, (size, size), 0..1."""
    y, x = np.mgrid[:size, :size] - size / 2
    return np.clip(0.5 + (radius - np.hypot(x, y)) / (2 * sigma), 0, 1).astype(np.float32)


def test_the_layers_together_are_the_picture(reference: Reference) -> None:
    image, matte = reference.images[0], reference.matte[0]
    layers = separate(image, matte, np.zeros(matte.shape, np.uint8))
    assert _psnr(_composite(layers), image) > 50


@pytest.mark.parametrize("seed", range(4))
def test_the_layers_together_are_the_picture_whatever_the_matte(reference: Reference, seed: int) -> None:
    """A wrong matte may look bad in motion, but a still picture stays as it is."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(reference.images[0], (211, 157), interpolation=cv2.INTER_AREA)
    matte = np.clip(cv2.resize(rng.normal(0.5, 0.7, (8, 8)), (211, 157), interpolation=cv2.INTER_CUBIC), 0, 1).astype(np.float32)
    layers = separate(image, matte, np.zeros(matte.shape, np.uint8))
    assert np.percentile(np.abs(_composite(layers) - image), 99.9) < 12
    assert _psnr(_composite(layers), image) > 42


def test_a_known_disc_is_cut_out_at_its_edge() -> None:
    """A soft matte snaps to the edge; colours of the two sides do not mix."""
    size, person, wall = 240, np.array([200.0, 60, 40]), np.array([40.0, 90, 160])
    true = _disc(size, 70)
    image = np.rint(true[..., None] * person + (1 - true[..., None]) * wall).astype(np.uint8)
    coarse = cv2.GaussianBlur(_disc(size, 70), (0, 0), 5).astype(np.float32)
    layers = separate(image, coarse, np.zeros((size, size), np.uint8))
    assert np.abs(layers.alpha / 255 - true).mean() < 0.5 * np.abs(coarse - true).mean()
    edge = (true > 0.1) & (true < 0.9) & (layers.alpha > 25)
    mixed = np.abs(image[edge] - person).mean()
    assert np.abs(layers.color[edge] - person).mean() < 0.5 * mixed
    assert np.abs(layers.background.astype(float) - wall).mean() < 6


def test_a_body_before_leaves_is_cut_out_without_crumbs() -> None:
    """Of leaves that are as bright as the person nothing comes along that does not hang on it."""
    size, person = 240, np.array([150.0, 130, 160])
    true = _disc(size, 70)
    leaves = cv2.resize(np.random.default_rng(2).integers(20, 236, (60, 60)).astype(np.float32), (size, size))
    image = np.rint(true[..., None] * person + (1 - true[..., None]) * leaves[..., None]).astype(np.uint8)
    coarse = cv2.GaussianBlur(_disc(size, 70), (0, 0), 3).astype(np.float32)
    layers = separate(
        image, coarse, np.zeros((size, size), np.uint8), thin=0.15, texture_fade=(0.004, 0.04), tolerance=10.0, stray=45.0,
        patches=True,
    )  # fmt: skip
    count, _ = cv2.connectedComponents((layers.alpha >= 64).astype(np.uint8), connectivity=4)
    assert count == 2  # nobody and the person
    assert not layers.alpha[cv2.dilate(true, np.ones((21, 21), np.uint8)) == 0].any()
    assert np.abs(_composite(layers) - image).max() <= 12


def test_a_shade_beside_a_body_does_not_come_along() -> None:
    """A person's shade on a wall is no part of the person, though it is darker than the wall."""
    size, person, wall = 480, np.array([60.0, 60, 70]), np.array([190.0, 190, 190])
    true, shaded = _disc(size, 140), _disc(size, 146)
    shade = 1 - 0.16 * cv2.GaussianBlur(shaded, (0, 0), 2)
    image = np.rint(true[..., None] * person + (1 - true[..., None]) * wall * shade[..., None]).astype(np.uint8)
    coarse = cv2.GaussianBlur(true, (0, 0), 3).astype(np.float32)
    layers = separate(
        image, coarse, np.zeros((size, size), np.uint8), thin=0.15, texture_fade=(0.004, 0.04), tolerance=10.0, stray=45.0,
        patches=True,
    )  # fmt: skip
    beside = (cv2.dilate(true, np.ones((5, 5), np.uint8)) == 0) & (_disc(size, 145) > 0.5)
    assert beside.sum() > 1000
    assert (layers.alpha[beside] > 0).mean() < 0.02
    assert np.abs(_composite(layers) - image).max() <= 12


def test_the_solid_part_is_opaque() -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    solid = (_disc(120, 40) > 0.5).astype(np.uint8) * 255
    solid = cv2.copyMakeBorder(solid, 0, 0, 20, 20, cv2.BORDER_CONSTANT)
    layers = separate(image, np.zeros((120, 160), np.float32), solid)
    inner = cv2.erode(solid, np.ones((15, 15), np.uint8)) > 0
    assert (layers.alpha[inner] == 255).all()
    np.testing.assert_array_equal(layers.color[inner], image[inner])


def test_nobody_and_everybody() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 130, 3)).astype(np.uint8)
    none = np.zeros((90, 130), np.uint8)
    empty = separate(image, np.zeros((90, 130), np.float32), none)
    assert not empty.alpha.any()
    np.testing.assert_array_equal(empty.background, image)
    full = separate(image, np.ones((90, 130), np.float32), none)
    assert (full.alpha == 255).all()
    np.testing.assert_array_equal(full.color, image)


def test_a_hole_is_filled_from_around_and_the_rest_stays(astronaut_rgb: U8) -> None:
    image = astronaut_rgb.copy()
    hole = np.zeros(image.shape[:2], np.uint8)
    hole[20:140, 180:270] = 1
    filled = fill(image, hole)
    far = dilate(hole > 0, 30) == 0
    np.testing.assert_array_equal(filled[far], image[far].astype(np.float32))
    ring = (dilate(hole > 0, 40) > 0) & (dilate(hole > 0, 20) == 0)
    low, high = image[ring].min(0).astype(float), image[ring].max(0).astype(float)
    inside = cv2.erode(hole, np.ones((9, 9), np.uint8)) > 0
    assert (filled[inside] > low - 15).all()
    assert (filled[inside] < high + 15).all()


def test_the_background_goes_on_as_rough_as_it_is_beside_the_hole() -> None:
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(120, 30, (240, 320, 3)), 0, 255).astype(np.uint8)
    image[:, 200:] = 90  # a calm part
    hole = np.zeros((240, 320), np.uint8)
    hole[60:180, 60:280] = 1
    filled = complete_background(image, hole)
    np.testing.assert_allclose(filled[:50], image[:50], atol=0.5)
    rough, calm = filled[100:140, 62:72].std(), filled[100:140, 268:278].std()
    assert rough > 0.8 * image[100:140, 20:50].std()
    assert calm < 3
    assert fill(image, hole)[100:140, 66:72].std() < 0.3 * rough
    assert filled[118:122, 168:172].std() < 0.5 * rough  # deep inside nobody knows


@pytest.mark.parametrize("value", [0, 1])
def test_a_background_that_is_whole_or_all_hidden(value: int, astronaut_rgb: U8) -> None:
    hole = np.full((512, 512), value, np.uint8)
    filled = complete_background(astronaut_rgb, hole)
    assert np.isfinite(filled).all()
    if not value:
        np.testing.assert_allclose(filled, astronaut_rgb, atol=0.5)


def test_without_a_hole_nothing_is_filled(astronaut_rgb: U8) -> None:
    np.testing.assert_allclose(fill(astronaut_rgb, np.zeros((512, 512), np.uint8)), astronaut_rgb)


def test_colours_spread_outwards() -> None:
    picture = np.zeros((60, 60, 3), np.float32)
    picture[20:40, 20:40] = (200, 100, 50)
    known = picture[..., 0] > 0
    spread = spread_color(picture, known)
    np.testing.assert_allclose(spread[15:45, 15:45], np.broadcast_to([200.0, 100, 50], (30, 30, 3)), atol=0.1)


def test_the_guided_filter_keeps_the_guides_edges() -> None:
    guide = np.zeros((60, 80), np.float32)
    guide[:, 40:] = 200
    values = cv2.GaussianBlur((guide > 0).astype(np.float32), (0, 0), 4)
    sharpened = guided_filter(guide, values, 8, 25.0)
    assert np.diff(sharpened[30])[39] > 3 * np.diff(values[30]).max()
    np.testing.assert_allclose(guided_filter(guide, np.full_like(guide, 0.3), 8, 25.0), 0.3, atol=1e-4)


@pytest.mark.parametrize("px", [2, 6, 11.4])
def test_a_mask_grows_by_half_the_diameter(px: float) -> None:
    mask = np.zeros((81, 81), bool)
    mask[40, 40] = True
    grown = np.argwhere(dilate(mask, px) > 0)
    assert np.ptp(grown, 0) == pytest.approx([px, px], abs=1.5)
