"""The compiled kernels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.raster import rasterize, soften

HEIGHT, WIDTH = 40, 50
EMPTY = np.float32(-1e5)


def _draw(
    points: NDArray[np.floating], triangles: list[tuple[int, int, int]], depth: NDArray[np.floating] | None = None,
    attributes: NDArray[np.floating] | None = None, keep_back: bool = True,
) -> NDArray[np.float32]:  # fmt: skip
    """Attributes over a buffer of 40x50 px, (K, H, W)."""
    attributes = np.asarray(points if attributes is None else attributes, np.float32)
    z_buffer = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    out = np.full((attributes.shape[1], HEIGHT, WIDTH), EMPTY, np.float32)
    depth = np.zeros(len(points)) if depth is None else depth
    rasterize(
        np.asarray(points, np.float32), np.asarray(depth, np.float32), attributes, np.array(triangles, np.int32), keep_back,
        z_buffer, out,
    )  # fmt: skip
    assert (np.isfinite(z_buffer) == (out[0] != EMPTY)).all()
    return out


def _grid(step: float, jitter: float) -> tuple[NDArray[np.float64], list[tuple[int, int, int]]]:
    xs, ys = np.arange(-step, WIDTH + 2 * step, step), np.arange(-step, HEIGHT + 2 * step, step)
    points = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    points += np.random.default_rng(0).uniform(-jitter, jitter, points.shape)
    index = np.arange(len(points)).reshape(len(ys), len(xs))
    corners = zip(index[:-1, :-1].flat, index[:-1, 1:].flat, index[1:, :-1].flat, index[1:, 1:].flat, strict=True)
    triangles = [t for a, b, c, d in corners for t in ((a, b, d), (a, d, c))]
    return points, triangles


def test_attributes_are_interpolated_linearly() -> None:
    points = np.array([[2.0, 3.0], [45.5, 6.2], [20.3, 36.9]])
    drawn = _draw(points, [(0, 1, 2)])
    ys, xs = np.nonzero(drawn[0] != EMPTY)
    np.testing.assert_allclose(drawn[0, ys, xs], xs, atol=1e-3)
    np.testing.assert_allclose(drawn[1, ys, xs], ys, atol=1e-3)
    area = 0.5 * abs(np.linalg.det(points[1:] - points[0]))
    assert len(xs) == pytest.approx(area, rel=0.05)


@pytest.mark.parametrize("jitter", [0.0, 1.5])
def test_neighbours_leave_no_gap(jitter: float) -> None:
    drawn = _draw(*_grid(6.3, jitter))
    xs, ys = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    np.testing.assert_allclose(drawn, np.stack([xs, ys]), atol=2e-3)


def test_the_nearer_triangle_wins_whatever_the_order() -> None:
    points = np.array([[0, 0], [49, 0], [25, 39]] * 2)
    depth = np.array([5.0, 5, 5, 2, 2, 2])
    colors = np.array([[1.0]] * 3 + [[2.0]] * 3)
    near_last = _draw(points, [(0, 1, 2), (3, 4, 5)], depth, colors)
    near_first = _draw(points, [(3, 4, 5), (0, 1, 2)], depth, colors)
    np.testing.assert_array_equal(near_last, near_first)
    assert near_last[0, 10, 25] == 2


def test_triangles_that_pass_through_each_other_are_cut_where_they_meet() -> None:
    points = np.array([[0, 0], [49, 0], [25, 39]] * 2)
    depth = np.array([0.0, 49, 25, 20, 20, 20])  # the first lies at depth x
    colors = np.array([[1.0]] * 3 + [[2.0]] * 3)
    drawn = _draw(points, [(0, 1, 2), (3, 4, 5)], depth, colors)[0]
    np.testing.assert_allclose(drawn[5, 5:20], 1, atol=1e-6)
    np.testing.assert_allclose(drawn[5, 21:45], 2, atol=1e-6)


def test_what_turns_away_is_drawn_only_on_demand() -> None:
    points = np.array([[5.0, 5], [40, 5], [5, 35]])
    clockwise, away = [(0, 1, 2)], [(0, 2, 1)]
    assert (_draw(points, clockwise, keep_back=False) != EMPTY).any()
    assert (_draw(points, away, keep_back=False) == EMPTY).all()
    np.testing.assert_allclose(_draw(points, away), _draw(points, clockwise), atol=1e-4)


@pytest.mark.parametrize(
    "points",
    [
        [[-1e6, -1e6], [1e6, -1e6], [0, 1e6]],  # covers everything, corners far off
        [[60, 5], [90, 5], [70, 30]],  # beside the buffer
        [[5, 5], [20, 20], [35, 35]],  # without area
        [[7, 7], [7, 7], [7, 7]],
    ],
)
def test_triangles_off_the_buffer_and_without_area(points: list[list[float]]) -> None:
    drawn = _draw(np.array(points, float), [(0, 1, 2)], attributes=np.ones((3, 1)))
    filled = (drawn != EMPTY).sum()
    assert filled == (HEIGHT * WIDTH if points[0][0] < 0 else 0)


def test_a_silhouette_ends_softly_and_is_continued_by_one_sample() -> None:
    depth = np.full((8, 9), np.inf, np.float32)
    depth[2:6, 3:7] = 1
    maps = np.zeros((2, 8, 9), np.float32)
    maps[:, 2:6, 3:7] = np.array([5, 1])[:, None, None]
    soften(depth, maps, 1)
    np.testing.assert_array_equal(maps[0] == 5, cv2.dilate((depth == 1).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    assert (maps[1, 3:5, 4:6] == 1).all()
    assert (maps[1][depth == np.inf] == 0).all()
    edge = maps[1, 2, 4:6]
    assert (edge > 0.2).all()
    assert (edge < 0.5).all()


def test_at_the_border_of_the_buffer_nothing_is_softened() -> None:
    maps = np.ones((3, 5, 6), np.float32)
    soften(np.ones((5, 6), np.float32), maps, 2)
    assert (maps == 1).all()
