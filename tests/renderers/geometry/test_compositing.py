"""The kernels that lay a layer over a frame."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.compositing import lay, lay_over, opaque_runs
from dreamactor_cli.renderers.geometry.raster import MapGrid

HEIGHT, WIDTH = 30, 44


def _canvas(channels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Pixels (h, w, 4) as numbers (h, w)."""
    return np.ascontiguousarray(channels).view(np.uint32)[..., 0]


def _channels(canvas: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return canvas.view(np.uint8).reshape(*canvas.shape, 4)


def _noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)


def _still(coverage: NDArray[np.floating] | float = 1.0) -> NDArray[np.float32]:
    """Maps of a layer that takes every pixel from its own place, (3, H, W)."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return np.stack([x, y, np.broadcast_to(coverage, x.shape)]).astype(np.float32)


def _lay(
    below: NDArray[np.uint8], texture: NDArray[np.uint8], maps: NDArray[np.float32], hidden: NDArray[np.int32] | None = None,
    replace: bool = False, floor: float = 0.02,
) -> NDArray[np.uint8]:  # fmt: skip
    grid = MapGrid(0, 0, WIDTH, HEIGHT, 1)
    canvas = _canvas(below).copy()
    hidden = np.zeros((HEIGHT, 2), np.int32) if hidden is None else hidden
    lay(canvas, _canvas(texture), maps, grid.columns, grid.rows, hidden, floor, replace)
    return _channels(canvas)


def test_colours_are_mixed_to_the_nearest_level_but_one() -> None:
    below, layer = _noise(0), _noise(1)
    layer[:4, :, 3], layer[4:8, :, 3] = 0, 255
    mixed = _lay(below, layer, _still())[..., :3]
    part = layer[..., 3:] / 255.0
    exact = part * layer[..., :3] + (1 - part) * below[..., :3]
    assert np.abs(mixed - exact).max() <= 1.5
    np.testing.assert_array_equal(mixed[:4], below[:4, :, :3])
    np.testing.assert_array_equal(mixed[4:8], layer[4:8, :, :3])


def test_equal_colours_stay_equal_under_any_alpha() -> None:
    below = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    below[..., :3] = np.linspace(0, 255, WIDTH).astype(np.uint8)[None, :, None]
    layer = below.copy()
    layer[..., 3] = np.linspace(0, 255, HEIGHT).astype(np.uint8)[:, None]
    np.testing.assert_array_equal(_lay(below, layer, _still()), below)


def test_coverage_weighs_the_alpha() -> None:
    below, layer = np.zeros((2, HEIGHT, WIDTH, 4), np.uint8)
    layer[...] = 200, 100, 50, 255
    coverage = np.linspace(0, 1, WIDTH)
    mixed = _lay(below, layer, _still(coverage))
    np.testing.assert_allclose(mixed[0, :, :3], coverage[:, None] * [200, 100, 50], atol=1.5)
    np.testing.assert_allclose(mixed[0, :, 3], coverage * 255, atol=1.5)


def test_what_is_hidden_is_left_alone() -> None:
    below, layer = _noise(0), _noise(1)
    layer[..., 3] = 255
    hidden = np.zeros((HEIGHT, 2), np.int32)
    hidden[5:10] = 12, 30
    hidden[10] = 0, WIDTH
    hidden[11] = 40, WIDTH + 9
    out = _lay(below, layer, _still(), hidden)
    spared = np.zeros((HEIGHT, WIDTH), bool)
    spared[5:10, 12:30] = spared[10] = spared[11, 40:] = True
    np.testing.assert_array_equal(out[spared], below[spared])
    np.testing.assert_array_equal(out[~spared][:, :3], layer[~spared][:, :3])


def test_a_mirrored_share_is_taken_from_the_other_place() -> None:
    below, layer = np.zeros((2, HEIGHT, WIDTH, 4), np.uint8)
    layer[:, : WIDTH // 2], layer[:, WIDTH // 2 :] = (100, 0, 0, 255), (0, 200, 0, 255)
    share = np.linspace(0, 1, HEIGHT)[:, None] * np.ones(WIDTH)
    there = np.stack([WIDTH - 1 - _still()[0], _still()[1], share]).astype(np.float32)
    out = _lay(below, layer, np.concatenate([_still(), there]))
    np.testing.assert_allclose(out[:, 3, 0], 100 * (1 - share[:, 0]), atol=2.1)
    np.testing.assert_allclose(out[:, 3, 1], 200 * share[:, 0], atol=4.1)


def test_alone_colours_are_put_in_as_they_are() -> None:
    below, layer = _noise(0), _noise(1)
    np.testing.assert_array_equal(_lay(below, layer, _still(), replace=True), layer)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_coarse_map_is_enlarged_without_a_shift(step: int) -> None:
    """A linear map means the same however coarse it is."""
    texture = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    texture[..., 0] = np.arange(WIDTH) * 5
    texture[..., 1] = np.arange(HEIGHT)[:, None] * 8
    grid = MapGrid(10, 7, 20, 15, step)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    origin, right, down = grid.points(corners)  # of the frame, in samples
    columns, rows = np.meshgrid(np.arange(grid.shape[1]), np.arange(grid.shape[0]))
    x = (columns - origin[0]) / (right - origin)[0]
    y = (rows - origin[1]) / (down - origin)[1]
    maps = np.stack([x, y, np.ones_like(x)]).astype(np.float32)
    canvas = np.zeros((15, 20), np.uint32)
    lay(canvas, _canvas(texture), maps, grid.columns, grid.rows, np.zeros((15, 2), np.int32), 1.0, False)
    np.testing.assert_array_equal(_channels(canvas), texture[7:22, 10:30])


def test_opaque_runs_hold_nothing_that_shows_through() -> None:
    rng = np.random.default_rng(0)
    grid = MapGrid(0, 0, 41, 28, 2)
    coverage = np.ones(grid.shape, np.float32)
    coverage[:, :4] = 0
    coverage[rng.integers(0, grid.shape[0], 9), rng.integers(4, grid.shape[1], 9)] = 0.7
    runs = np.zeros((28, 2), np.int32)
    opaque_runs(coverage, grid.columns[0], grid.rows[0], runs)
    whole = grid.enlarge(coverage)
    for line, (first, last) in enumerate(runs):
        assert (whole[line, first:last] > 0.998).all()
    assert (runs[:, 1] - runs[:, 0]).mean() > 15


def test_a_drawn_layer_is_laid_over_by_its_alpha() -> None:
    below, layer = _noise(0), _noise(1)
    frame = _canvas(below).copy()
    lay_over(frame, _canvas(layer))
    np.testing.assert_array_equal(_channels(frame), _lay(below, layer, _still()))
