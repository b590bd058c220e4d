"""The face layer: where each pixel's colour lies in the reference."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.renderers.geometry.face_mesh import FaceMesh, oriented, strip

from .positions import picture_positions

Array = NDArray[np.float64]
WIDTH, HEIGHT = 320, 300
OVAL = list(head_space.FACE_OVAL)


class Head(NamedTuple):
    """A template face of known pose."""

    landmarks: Array
    rotation: Array
    scale: float


def _head(yaw: float = 0.0, pitch: float = 0.0, scale: float = 70.0, x: float = 160.0) -> Head:
    rotation = head_space.rotation_from_euler(np.array([yaw, pitch, 0.0]))
    pose = head_space.HeadPose(np.array([scale]), rotation[None], np.array([[x, 110.0, 0]]))
    return Head(head_space.to_image(head_space.template(), pose)[0], rotation, scale)


class Drawn(NamedTuple):
    """A drawn face at the size of its part of the frame: source positions in px of the picture, alpha, the mirrored share."""

    rows: slice
    columns: slice
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    alpha: NDArray[np.float32]
    mirrored: NDArray[np.float32] | None


def _mesh(reference: Head) -> FaceMesh:
    return FaceMesh(np.zeros((HEIGHT, WIDTH, 3), np.uint8), reference.landmarks, reference.scale, reference.rotation)


def _draw(reference: Head, target: Head, width: int = WIDTH, height: int = HEIGHT) -> Drawn:
    mesh = _mesh(reference)
    vertices = mesh.vertices(target.landmarks, target.scale, target.rotation)
    drawn = mesh.draw(vertices, target.rotation, width, height)
    assert drawn is not None
    x, y = picture_positions(drawn, mesh.texture)
    maps = [drawn.grid.enlarge(values) for values in drawn.maps]
    return Drawn(drawn.rows, drawn.columns, x, y, maps[2], maps[5] if len(maps) > 3 else None)


def _inside(head: Head) -> NDArray[np.bool_]:
    """Pixels within the oval, a bit drawn in."""
    mask = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [np.rint(head.landmarks[OVAL, :2]).astype(np.int32)], 1)
    return cv2.erode(mask, np.ones((7, 7), np.uint8)) > 0


def _full(drawn: Drawn, values: NDArray[np.float32], outside: float) -> NDArray[np.float32]:
    whole = np.full((HEIGHT, WIDTH), outside, np.float32)
    whole[drawn.rows, drawn.columns] = values
    return whole


def test_a_still_face_takes_every_pixel_from_its_own_place() -> None:
    drawn = _draw(_head(), _head())
    alpha = _full(drawn, drawn.alpha, 0)
    assert (alpha[_inside(_head())] > 0.999).all()
    xs, ys = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    seen = alpha[drawn.rows, drawn.columns] > 0.999
    assert np.abs(drawn.x - xs[drawn.rows, drawn.columns])[seen].max() < 0.01
    assert np.abs(drawn.y - ys[drawn.rows, drawn.columns])[seen].max() < 0.01
    assert drawn.mirrored is None


def test_a_shift_is_a_shift() -> None:
    drawn = _draw(_head(), _head(x=171.5))
    xs, ys = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    seen = drawn.alpha > 0.999
    assert np.abs(drawn.x - (xs[drawn.rows, drawn.columns] - 11.5))[seen].max() < 0.01
    assert np.abs(drawn.y - ys[drawn.rows, drawn.columns])[seen].max() < 0.01


@pytest.mark.parametrize("pitch", [-12, 0, 12])
@pytest.mark.parametrize("yaw", [-35, -15, 15, 35])
def test_landmarks_are_taken_from_where_they_were(yaw: float, pitch: float) -> None:
    """At the place of each landmark that can be seen lies the pixel of that landmark."""
    before, after = _head(), _head(yaw, pitch)
    drawn = _draw(before, after)
    x, y = _full(drawn, drawn.x, -1), _full(drawn, drawn.y, -1)
    seen = [33, 133, 362, 263, 168, 6, 1, 50, 280, 9, 199]
    seen = [i for i in seen if i not in ((33, 133, 50) if yaw > 20 else (362, 263, 280) if yaw < -20 else ())]
    for landmark in seen:
        at = tuple(np.float32(v) for v in after.landmarks[landmark, :2])
        found = np.array([cv2.getRectSubPix(values, (1, 1), at)[0, 0] for values in (x, y)])
        assert np.abs(found - before.landmarks[landmark, :2]).max() < 1, landmark


@pytest.mark.parametrize("yaw", [-40, -20, 20, 40])
def test_the_layer_is_whole_and_its_rim_is_soft(yaw: float) -> None:
    drawn = _draw(_head(), _head(yaw))
    solid = (drawn.alpha > 0.99).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(solid)
    assert count == 2
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    assert cv2.drawContours(solid.copy(), contours, -1, 1, cv2.FILLED).sum() == stats[1, cv2.CC_STAT_AREA]
    assert drawn.alpha.min() >= 0
    assert drawn.alpha.max() <= 1 + 1e-6
    assert max(drawn.alpha[0].max(), drawn.alpha[-1].max(), drawn.alpha[:, 0].max(), drawn.alpha[:, -1].max()) < 0.01
    needed = drawn.alpha > 0.01
    assert drawn.x[needed].min() > -5
    assert drawn.y[needed].min() > -5


def test_what_the_photo_hides_comes_from_the_other_side() -> None:
    """Of a half-profile only one cheek is known; turned back, the other is shown by its mirror."""
    before, after = _head(yaw=38), _head(yaw=0)
    drawn = _draw(before, after)
    assert drawn.mirrored is not None
    share = _full(drawn, drawn.mirrored, 0)
    left, right = share[60:200, :160][_inside(after)[60:200, :160]], share[60:200, 160:][_inside(after)[60:200, 160:]]
    assert left.max() > 0.8
    assert left.mean() > 5 * right.mean()
    assert share.min() >= 0
    assert share.max() <= 1 + 1e-6


@pytest.mark.parametrize("place", [(-200.0, 0), (160.0, 0)])
def test_a_face_that_is_cut_by_the_border(place: tuple[float, float]) -> None:
    before = _head()
    mesh = _mesh(before)
    after = _head(x=place[0])
    drawn = mesh.draw(mesh.vertices(after.landmarks, after.scale, after.rotation), after.rotation, 170, 90)
    if place[0] < 0:
        assert drawn is None
    else:
        assert drawn is not None
        assert (drawn.grid.height, drawn.grid.width) == (
            drawn.rows.stop - drawn.rows.start, drawn.columns.stop - drawn.columns.start)  # fmt: skip
        assert drawn.rows.stop <= 90
        assert drawn.columns.stop <= 170


def test_strips_fill_a_contour() -> None:
    for contour in (head_space.INNER_LIPS, head_space.EYE_LEFT, head_space.EYE_RIGHT):
        triangles = oriented(strip(contour), head_space.template())
        points = head_space.template()[:, :2]
        a, b, c = (points[triangles[:, k]] for k in range(3))
        areas = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
        assert (areas >= 0).all()
        outline = points[list(contour)]
        x, y = outline.T
        whole = 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
        assert areas.sum() == pytest.approx(whole, rel=0.02)
        assert set(np.unique(triangles)) == set(contour)
