"""Closing holes of pictures whose whole is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.patches import LONGEST, close_hole

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def bricks(height: int = 160, width: int = 200) -> F32:
    """A wall of bricks of 20 x 10 px that gets brighter to the right."""
    y, x = np.mgrid[0:height, 0:width]
    joints = (y % 10 < 2) | ((x + 10 * (y // 10 % 2)) % 20 < 2)
    grey = np.where(joints, 60.0, 140.0) + 0.2 * x
    return np.repeat(grey[..., None], 3, 2).astype(np.float32)


def disc(height: int, width: int, radius: float) -> U8:
    y, x = np.mgrid[0:height, 0:width]
    return ((y - height / 2) ** 2 + (x - width / 2) ** 2 < radius**2).astype(np.uint8)


def smooth(picture: F32, hole: U8) -> F32:
    """What the search begins with: the mean of what is known."""
    return np.where(hole[..., None] > 0, picture[hole == 0].mean(0), picture).astype(np.float32)


@pytest.mark.parametrize("size", [(160, 200), (400, 700)])
def test_a_pattern_goes_on_through_a_hole(size: tuple[int, int]) -> None:
    """Where it is searched for at a smaller size than the picture's, its phase may be off by a pixel, but not its contrast."""
    whole = bricks(*size)
    hole = disc(*size, radius=30)
    begun = smooth(whole, hole)
    closed = close_hole(begun, hole)
    inside = hole > 0
    assert np.array_equal(closed[~inside], whole[~inside])
    before, after = (float(np.sqrt(((picture - whole)[inside] ** 2).mean())) for picture in (begun, closed))
    if max(size) <= LONGEST:
        assert after < 0.5 * before
    # As rich in contrast as the wall is, and not a blur.
    assert closed[inside].std() > 0.8 * whole[inside].std()


def test_gravel_goes_on_as_gravel_though_a_smooth_wall_stands_elsewhere() -> None:
    """What is smooth resembles the blur in which the search begins, and is no likelier for it."""
    shares = []
    for seed in range(4):
        stones = np.random.default_rng(seed).normal(120, 40, (25, 20)).astype(np.float32)
        gravel = cv2.resize(stones, (160, 200), interpolation=cv2.INTER_CUBIC)[..., None].repeat(3, 2)
        gravel[:90] = 120
        hole = np.zeros(gravel.shape[:2], np.uint8)
        hole[110:190, 60:100] = 1
        closed = close_hole(smooth(gravel, hole), hole)
        shares.append(closed[130:170, 70:90].std() / gravel[100:].std())
    assert np.mean(shares) > 0.25


def test_a_slope_has_no_borders() -> None:
    """The brightness of a sky, of which no other place has the same."""
    y, x = np.mgrid[0:150, 0:150]
    whole = np.repeat((60 + 0.8 * y + 0.3 * x)[..., None], 3, 2).astype(np.float32)
    hole = disc(150, 150, 35)
    closed = close_hole(smooth(whole, hole), hole)
    assert np.abs(np.diff(closed[..., 0], axis=0)).max() < 6
    assert np.abs(closed - whole)[hole > 0].mean() < 8


def test_the_same_picture_gives_the_same_pixels() -> None:
    whole = np.random.default_rng(1).uniform(0, 255, (90, 120, 3)).astype(np.float32)
    hole = disc(90, 120, 20)
    assert np.array_equal(close_hole(smooth(whole, hole), hole), close_hole(smooth(whole, hole), hole))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_to_close_or_to_close_it_with(share: float) -> None:
    picture = bricks(60, 60)
    hole = np.full((60, 60), share, np.uint8)
    assert np.array_equal(close_hole(picture, hole), picture)


@pytest.mark.parametrize("size", [(9, 30), (33, 8), (40, 41)])
def test_odd_and_small_sizes(size: tuple[int, int]) -> None:
    picture = bricks(*size)
    hole = np.zeros(size, np.uint8)
    hole[:, size[1] // 2 :] = 1
    closed = close_hole(smooth(picture, hole), hole)
    assert closed.shape == picture.shape
    assert np.isfinite(closed).all()


def test_a_hole_that_leaves_nothing_at_the_coarsest_size_is_closed_all_the_same() -> None:
    """A person who fills most of the picture."""
    whole = bricks(192, 192)
    hole = np.zeros((192, 192), np.uint8)
    hole[28:164, 28:164] = 1
    closed = close_hole(smooth(whole, hole), hole)
    assert closed[hole > 0].std() > 0.7 * whole[hole > 0].std()
