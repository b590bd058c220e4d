"""Bars of letterboxed pictures: found, left as they are, and nothing of a body drawn over them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dreamactor_cli.contracts import Preset, Reference, RenderSettings
from dreamactor_cli.renderers.geometry.bars import Bars, content
from dreamactor_cli.renderers.geometry.renderer import GeometryRenderer

from .figures import HEIGHT, WIDTH, figure

TOP, BOTTOM, LEFT, RIGHT = 30, 20, 24, 0


def _scene(height: int = 200, width: int = 300) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns % 256, rows % 256, np.full_like(rows, 120)], -1).astype(np.uint8)


def _noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-3, 4, image.shape)
    return np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [0, 255])
def test_bars_on_any_side_are_found(level: int) -> None:
    padded = cv2.copyMakeBorder(_scene() // 2 + 40, TOP, BOTTOM, LEFT, RIGHT, cv2.BORDER_CONSTANT, value=(level,) * 3)
    rows, columns = content(_noisy(padded))
    assert (rows, columns) == (slice(TOP, TOP + 200), slice(LEFT, LEFT + 300))


def test_a_backdrop_is_no_bar() -> None:
    """It ends where the person begins, and not along a line."""
    studio = np.full((200, 300, 3), 250, np.uint8)
    cv2.ellipse(studio, (150, 150), (60, 100), 0, 0, 360, (80, 60, 50), -1)
    assert content(_noisy(studio)) == (slice(0, 200), slice(0, 300))


@pytest.mark.parametrize("image", [np.zeros((64, 80, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8), _scene()])
def test_a_picture_without_bars_stays_whole(image: np.ndarray) -> None:
    bars = Bars(image)
    assert not bars.any
    assert bars.around(image) is image


def _letterboxed() -> tuple[Reference, np.ndarray]:
    """The figure between black bars, of which the lower one hides its feet."""
    whole = figure().reference
    image, matte = whole.images[0].copy(), whole.matte[0].copy()
    for area in (np.s_[:TOP], np.s_[HEIGHT - 60 :]):
        image[area], matte[area] = 0, 0
    return Reference(images=image[None], matte=matte[None], controls=whole.controls), image


@pytest.mark.parametrize("alpha", [False, True])
def test_a_body_that_rises_does_not_leave_the_picture_between_bars(alpha: bool) -> None:
    reference, image = _letterboxed()
    body = reference.controls.body
    assert body is not None
    risen = replace(reference.controls, body=replace(body, joints_2d=body.joints_2d - np.float32([0, 25])))
    settings = RenderSettings(width=WIDTH, height=HEIGHT, preset=Preset(), alpha=alpha)
    [frame] = (block[0] for block in GeometryRenderer().render(reference, risen, settings))
    assert frame.shape == (HEIGHT, WIDTH, 4 if alpha else 3)
    for bar in (np.s_[:TOP], np.s_[HEIGHT - 60 :]):
        assert (frame[bar][..., 3] == 0).all() if alpha else (frame[bar] == image[bar]).all()
    # The leg goes on to the bar: what was below it was never seen, and yet no gap opens there.
    leg = frame[HEIGHT - 62, 145]
    assert leg[3] > 200 if alpha else np.abs(leg.astype(int) - image[HEIGHT - 70, 145]).max() < 40
