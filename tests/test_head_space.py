"""Similarity fits, angles, the head sphere and the tables of the face mesh."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space

DEGREES = np.array([[0.0, 0, 0], [30, -20, 10], [-75, 40, -120], [5, 85, 170], [89, -60, 45]])


def _poses() -> head_space.HeadPose:
    rng = np.random.default_rng(1)
    frames = len(DEGREES)
    rotation = head_space.rotation_from_euler(DEGREES)
    return head_space.HeadPose(rng.uniform(20, 200, frames), rotation, rng.uniform(-300, 900, (frames, 3)))


def _signed_areas(points: NDArray[np.floating], triangles: NDArray[np.int32]) -> NDArray[np.floating]:
    a, b, c = (points[triangles[:, k], :2] for k in range(3))
    return (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]


def test_a_known_pose_is_recovered() -> None:
    pose = _poses()
    found = head_space.head_pose(head_space.to_image(head_space.template(), pose))
    np.testing.assert_allclose(found.scale, pose.scale, rtol=1e-9)
    np.testing.assert_allclose(found.rotation, pose.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, pose.translation, atol=1e-7)


def test_a_fit_is_a_rotation_even_if_a_reflection_would_fit_better() -> None:
    mirrored = head_space.template() * np.array([1.0, 1.0, -1.0])
    fitted = head_space.fit_similarity(head_space.template(), mirrored[None])
    assert np.linalg.det(fitted.rotation[0]) == pytest.approx(1)
    assert fitted.scale[0] > 0


def test_a_fit_has_the_least_error_of_its_neighbours() -> None:
    rng = np.random.default_rng(2)
    source = head_space.template()
    target = head_space.to_image(source, _poses())[1:2] + rng.normal(0, 4, (1, 478, 3))
    pose = head_space.fit_similarity(source, target)

    def error(other: head_space.HeadPose) -> float:
        return float(((head_space.to_image(source, other) - target) ** 2).sum())

    turns = head_space.rotation_from_euler(np.concatenate([np.eye(3), -np.eye(3)]) * 0.2)
    neighbours = [pose._replace(rotation=turn[None] @ pose.rotation) for turn in turns]
    neighbours += [pose._replace(scale=pose.scale * factor) for factor in (0.998, 1.002)]
    neighbours += [pose._replace(translation=pose.translation + step) for step in (*np.eye(3), *-np.eye(3))]
    assert all(error(other) > error(pose) for other in neighbours)


def test_expression_does_not_change_the_pose() -> None:
    """A dropped jaw moves none of the landmarks that the pose is fitted to."""
    shape = head_space.template()
    moved = shape.copy()
    moved[[head_space.CHIN, 17, 14, 200, 175], 1] += 0.4
    pose = _poses()
    found = head_space.head_pose(head_space.to_image(moved, pose))
    np.testing.assert_allclose(found.rotation, pose.rotation, atol=1e-9)


def test_canonical_space_and_back() -> None:
    pose = _poses()
    points = np.random.default_rng(3).uniform(-2, 2, (len(DEGREES), 50, 3))
    np.testing.assert_allclose(head_space.to_canonical(head_space.to_image(points, pose), pose), points, atol=1e-12)


def test_angles_and_back() -> None:
    np.testing.assert_allclose(head_space.euler_degrees(head_space.rotation_from_euler(DEGREES)), DEGREES, atol=1e-9)


@pytest.mark.parametrize(
    ("degrees", "axis", "direction"),
    [((20, 0, 0), 0, -1), ((0, 20, 0), 1, 1)],
)
def test_which_way_the_nose_goes(degrees: tuple[float, ...], axis: int, direction: int) -> None:
    """Positive yaw to the picture's left, positive pitch down."""
    nose = np.array([0.0, 0.0, -1.0]) @ head_space.rotation_from_euler(np.array(degrees)).T
    assert nose[axis] * direction > 0.3
    assert abs(nose[1 - axis]) < 1e-12


def test_positive_roll_tilts_the_crown_to_the_right() -> None:
    crown = np.array([0.0, -1.0, 0.0]) @ head_space.rotation_from_euler(np.array([0.0, 0.0, 20.0])).T
    assert crown[0] > 0.3


def test_sphere_and_back() -> None:
    pose = _poses()
    center, radius = head_space.sphere_of(pose)
    again = head_space.pose_of_sphere(center, radius, pose.rotation)
    np.testing.assert_allclose(again.scale, pose.scale, rtol=1e-12)
    np.testing.assert_allclose(again.translation[:, :2], pose.translation[:, :2], atol=1e-9)
    np.testing.assert_allclose(head_space.sphere_of(again)[0], center, atol=1e-9)
    assert (again.translation[:, 2] == 0).all()


def test_the_sphere_stands_still_when_the_head_turns_about_it() -> None:
    center, radius = np.tile([[200.0, 150.0]], (5, 1)), np.full(5, 80.0)
    pose = head_space.pose_of_sphere(center, radius, head_space.rotation_from_euler(DEGREES))
    middle = head_space.to_image(head_space.SPHERE_CENTER[None], pose)[:, 0, :2]
    np.testing.assert_allclose(middle, center, atol=1e-9)


def test_the_template_is_symmetric_and_has_unit_eyes() -> None:
    shape = head_space.template()
    assert shape.shape == (478, 3)
    np.testing.assert_allclose(shape[head_space.mirror()] * [-1, 1, 1], shape, atol=1e-6)
    eyes = [shape[list(corners)].mean(0) for corners in ((33, 133), (362, 263))]
    assert eyes[1][0] - eyes[0][0] == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose((eyes[0] + eyes[1])[:2] / 2, 0, atol=0.02)
    assert shape[:, 2].argmin() in (1, 4)  # the tip of the nose stands out farthest


def test_the_mirror_is_an_involution() -> None:
    mirror = head_space.mirror()
    assert (mirror[mirror] == np.arange(478)).all()
    assert mirror[head_space.CHIN] == head_space.CHIN
    for left, right in ((head_space.EYE_LEFT, head_space.EYE_RIGHT), (head_space.BROW_LEFT, head_space.BROW_RIGHT),
                        (head_space.IRIS_LEFT, head_space.IRIS_RIGHT)):  # fmt: skip
        assert set(mirror[list(left)]) == set(right)
    for contour in (head_space.FACE_OVAL, head_space.INNER_LIPS, head_space.OUTER_LIPS):
        assert set(mirror[list(contour)]) == set(contour)


def test_left_means_the_left_of_the_picture() -> None:
    shape = head_space.template()
    for left in (head_space.EYE_LEFT, head_space.BROW_LEFT, head_space.IRIS_LEFT):
        assert (shape[list(left), 0] < 0).all()


def test_triangles_turn_clockwise_and_use_every_edge_twice_at_most() -> None:
    triangles = head_space.triangles()
    assert triangles.shape == (852, 3)
    areas = _signed_areas(head_space.template(), triangles)
    assert (areas > 0).mean() > 0.97  # at the nostrils and the rim a few turn away from the camera
    assert areas[areas < 0].sum() > -0.01 * areas.sum()
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)  # no edge twice in one direction: all faces agree
    assert set(np.unique(triangles)) <= set(range(head_space.NUM_MESH))


def test_triangles_leave_eyes_and_mouth_open() -> None:
    """The contour of a hole is the border of the mesh: each of its edges has a triangle on one side only."""
    triangles = head_space.triangles()
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    known = {tuple(edge) for edge in edges}
    border = {a for a, b in known if (b, a) not in known}
    holes = (head_space.INNER_LIPS, head_space.EYE_LEFT, head_space.EYE_RIGHT, head_space.FACE_OVAL)
    assert border == {int(i) for contour in holes for i in contour}


def test_the_tables_are_not_shared_between_callers() -> None:
    head_space.template()[:] = 0
    assert head_space.template().any()
