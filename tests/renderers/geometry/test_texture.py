"""Sampling a picture at fractional positions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry import texture
from dreamactor_cli.renderers.geometry.compositing import lay
from dreamactor_cli.renderers.geometry.raster import MapGrid
from dreamactor_cli.renderers.geometry.texture import Texture


@pytest.fixture(params=[True, False], ids=["enlarged", "as it is"])
def enlarge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(texture, "FACTORS", ())
    return bool(request.param)


def _positions(height: int, width: int, dx: float = 0.0, dy: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32) + np.float32(dx), np.arange(height, dtype=np.float32) + np.float32(dy))
    return x, y


def _sample(image: NDArray[np.uint8], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture at positions in its own px, (h, w, C)."""
    made = Texture(image)
    at = made.positions(np.stack([x.ravel(), y.ravel()], 1)).T.reshape(2, *x.shape)
    grid = MapGrid(0, 0, x.shape[1], x.shape[0], 1)
    canvas = np.zeros(x.shape, np.uint32)
    maps = np.concatenate([at, np.ones((1, *x.shape), np.float32)])
    lay(canvas, made.pixels, maps, grid.columns, grid.rows, np.zeros((len(x), 2), np.int32), 1.0, True)
    return canvas.view(np.uint8).reshape(*x.shape, 4)[..., : image.shape[2]]


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", [(97, 64), (64, 97), (33, 33)])
def test_whole_positions_give_the_picture_back(enlarge: bool, channels: int, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, channels)).astype(np.uint8)
    np.testing.assert_array_equal(_sample(image, *_positions(*size)), image)


def test_half_way_is_sharper_than_a_linear_mean(astronaut_rgb: NDArray[np.uint8]) -> None:
    image = np.ascontiguousarray(astronaut_rgb[40:200, 150:310])
    x, y = _positions(160, 160, 0.5, 0.5)
    detail = [cv2.Laplacian(v, cv2.CV_64F)[4:-4, 4:-4].std() for v in (
        _sample(image, x, y), cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))]  # fmt: skip
    assert detail[0] > 1.2 * detail[1]


def test_a_smooth_picture_is_sampled_where_it_was_asked_for(enlarge: bool) -> None:
    x, y = _positions(60, 80)
    image = np.stack([2 * x + 20, 3 * y + 10, x + y], -1).astype(np.uint8)
    rng = np.random.default_rng(1)
    at_x, at_y = rng.uniform(5, 74, (20, 20)).astype(np.float32), rng.uniform(5, 54, (20, 20)).astype(np.float32)
    found = _sample(image, at_x, at_y).astype(float)
    np.testing.assert_allclose(found, np.stack([2 * at_x + 20, 3 * at_y + 10, at_x + at_y], -1), atol=1.2)


def test_beyond_the_border_the_picture_is_reflected(enlarge: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    padded = cv2.copyMakeBorder(image, 6, 6, 6, 6, cv2.BORDER_REFLECT_101)
    x, y = _positions(42, 52, -6, -6)
    np.testing.assert_array_equal(_sample(image, x, y), padded)


def test_a_part_of_a_picture_gives_that_part_back(enlarge: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    part = Texture(image, box=(7, 5, 31, 22))
    factor = part.positions(np.array([[1.0, 1.0]]))[0, 0] - part.positions(np.array([[0.0, 0.0]]))[0, 0]
    found = part.pixels.view(np.uint8).reshape(*part.pixels.shape, 4)[:: int(factor), :: int(factor), :3]
    np.testing.assert_array_equal(found, image[5:22, 7:31])
    np.testing.assert_array_equal(part.positions(np.array([[7.0, 5.0]])), [[0, 0]])


@pytest.mark.parametrize(("side", "factor"), [(2001, 1), (1000, 2), (400, 4)])
def test_large_pictures_are_enlarged_less(side: int, factor: int) -> None:
    assert Texture(np.zeros((side, 2000 if factor == 1 else side, 3), np.uint8)).pixels.shape[0] == factor * (side - 1) + 1
