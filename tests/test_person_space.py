"""How points of a person follow head and torso."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space, person_space
from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.person_space import PersonModel
from dreamactor_cli.retarget.smoothing import nearest_rotations

if TYPE_CHECKING:
    from dreamactor_cli.contracts import Reference

Array = NDArray[np.float64]
STILL = np.eye(2, 3)


class Person(NamedTuple):
    """A model of the astronaut over a grid of points."""

    model: PersonModel
    points: Array
    landmarks: Array
    pose: HeadPose
    canonical: Array

    @property
    def unit(self) -> float:
        return float(self.pose.scale[0])

    def turned(self, degrees: tuple[float, float, float]) -> tuple[HeadPose, Array]:
        """Pose and landmarks after the head has turned about the middle of its sphere."""
        center, radius = head_space.sphere_of(self.pose)
        rotation = head_space.rotation_from_euler(np.array([degrees])) @ self.pose.rotation
        pose = head_space.pose_of_sphere(center, radius, rotation)
        return pose, head_space.to_image(self.canonical, pose)[0]


@pytest.fixture(scope="module")
def person(reference: Reference) -> Person:
    head, face = reference.controls.head, reference.controls.face
    assert head is not None
    assert face is not None
    rotation = nearest_rotations(head.rotation[:1])  # to the precision of doubles
    pose = head_space.pose_of_sphere(head.center[:1], head.radius[:1], rotation)
    canonical = (face.identity + face.expression[0]).astype(np.float64)
    landmarks = head_space.to_image(canonical, pose)[0]
    points = np.stack(np.meshgrid(np.arange(-80, 600, 16.0), np.arange(-80, 600, 16.0)), -1).reshape(-1, 2)
    return Person(PersonModel(points, landmarks, pose), points, landmarks, pose, canonical)


def _below_chin(person: Person) -> Array:
    return (person.points[:, 1] - person.landmarks[head_space.CHIN, 1]) / person.unit


def test_no_motion_moves_nothing(person: Person) -> None:
    moved = person.model.move(person.pose, person.landmarks, STILL, STILL, person_space.still_field(1)[0].astype(float))
    assert np.abs(moved[:, :2] - person.points).max() < 1e-6
    assert np.isfinite(moved).all()


def test_above_the_chin_points_turn_with_the_head_and_the_torso_stays(person: Person) -> None:
    pose, landmarks = person.turned((18, -7, 9))
    still = person.model.move(person.pose, person.landmarks, STILL, STILL)
    moved = person.model.move(pose, landmarks, STILL, STILL)
    below = _below_chin(person)
    torso = below > 1.8
    assert np.abs(moved[torso, :2] - person.points[torso]).max() < 1e-6
    near = np.linalg.norm(person.points - head_space.sphere_of(person.pose)[0][0], axis=1) < 1.3 * person.unit
    head = near & (below < -0.6)
    assert head.sum() > 20
    rigid = head_space.to_image(head_space.to_canonical(still[None, head], person.pose)[0], pose)[0]
    np.testing.assert_allclose(moved[head], rigid, atol=1e-6)
    assert np.abs(moved[head, :2] - person.points[head]).mean() > 3


def test_travel_of_the_head_fades_over_the_neck(person: Person) -> None:
    center, radius = head_space.sphere_of(person.pose)
    pose = head_space.pose_of_sphere(center + [[12.0, 0]], radius, person.pose.rotation)
    moved = person.model.move(pose, person.landmarks + [12.0, 0, 0], STILL, STILL)
    shift = moved[:, 0] - person.points[:, 0]
    assert (shift > -1e-6).all()
    assert (shift < 12 + 1e-6).all()
    column = np.abs(person.points[:, 0] - center[0, 0]) < 8
    order = np.argsort(person.points[column, 1])
    assert (np.diff(shift[column][order]) < 1e-6).all()
    assert shift[column][order][[0, -1]] == pytest.approx([12, 0], abs=1e-6)


def test_the_jaw_does_not_drag_the_hair(person: Person) -> None:
    """Landmarks of the jaw drop; the rim of the face follows, and what is farther away stays."""
    lowered = person.canonical.copy()
    jaw = [head_space.CHIN, 148, 176, 149, 377, 400, 378]
    lowered[jaw, 1] += 0.3
    landmarks = head_space.to_image(lowered, person.pose)[0]
    model = PersonModel(person.landmarks[jaw, :2] + [0, 0.5], person.landmarks, person.pose)
    at_jaw = model.move(person.pose, landmarks, STILL, STILL)[:, 1] - person.landmarks[jaw, 1]
    assert at_jaw.mean() > 0.1 * person.unit
    moved = person.model.move(person.pose, landmarks, STILL, STILL)
    oval = person.landmarks[list(head_space.FACE_OVAL), :2]
    far = np.linalg.norm(person.points[:, None] - oval, axis=2).min(1) > person.unit
    assert np.abs(moved[far, :2] - person.points[far]).max() < 1e-3


@pytest.mark.parametrize("growth", [1.0, 1.3])
def test_the_field_shifts_points_by_its_value_in_units_of_the_head(person: Person, growth: float) -> None:
    center, radius = head_space.sphere_of(person.pose)
    pose = head_space.pose_of_sphere(center, radius * growth, person.pose.rotation)
    landmarks = head_space.to_image(person.canonical, pose)[0]
    constant = np.broadcast_to([0.1, -0.05], (15, 17, 2)).astype(np.float64)
    plain = person.model.move(pose, landmarks, STILL, STILL)
    moved = person.model.move(pose, landmarks, STILL, STILL, constant)
    expected = np.array([0.1, -0.05]) * person.unit * growth
    np.testing.assert_allclose(moved[:, :2] - plain[:, :2], np.broadcast_to(expected, (len(plain), 2)), atol=1e-9)
    assert (moved[:, 2] == plain[:, 2]).all()


def test_a_field_is_interpolated_between_its_nodes() -> None:
    rows, columns = np.mgrid[0:15, 0:17].astype(np.float64)
    field = np.stack([0.3 * columns - 1, 0.1 * rows + 2], -1)
    center, scale = np.array([320.0, 200.0]), 40.0
    points = np.random.default_rng(0).uniform([170, 110], [470, 370], (200, 2))
    found = person_space.interpolate(field, *person_space.field_weights(points, center, scale))
    units = (points - center) / scale
    expected = np.stack([0.3 * (units[:, 0] + 4) / 0.5 - 1, 0.1 * (units[:, 1] + 2.5) / 0.5 + 2], 1)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    outside = person_space.interpolate(field, *person_space.field_weights(np.array([[-1e4, -1e4]]), center, scale))
    np.testing.assert_allclose(outside, field[:1, 0], atol=1e-9)


def test_the_torso_follows_its_similarity(person: Person) -> None:
    angle = np.radians(4)
    torso_2d = np.array([[np.cos(angle), -np.sin(angle), 6.0], [np.sin(angle), np.cos(angle), -3.0]])
    moved = person.model.move(person.pose, person.landmarks, STILL, torso_2d)
    below = _below_chin(person) > 1.8
    expected = person.points[below] @ torso_2d[:, :2].T + torso_2d[:, 2]
    np.testing.assert_allclose(moved[below, :2], expected, atol=1e-9)
    crown = (_below_chin(person) < -2) & (np.abs(person.points[:, 0] - head_space.sphere_of(person.pose)[0][0, 0]) < person.unit)
    np.testing.assert_allclose(moved[crown, :2], person.points[crown], atol=1e-6)


def test_hair_follows_the_correction_of_the_head(person: Person) -> None:
    """`head_2d` moves hair and skull after the pose has, and leaves the torso alone."""
    head_2d = np.array([[1.02, 0, 3.0], [0, 1.02, -4.0]])
    moved = person.model.move(person.pose, person.landmarks, head_2d, STILL)
    oval = person.landmarks[list(head_space.FACE_OVAL), :2]
    hair = np.linalg.norm(person.points[:, None] - oval, axis=2).min(1) > person.unit
    hair &= _below_chin(person) < -1.5
    hair &= np.abs(person.points[:, 0] - head_space.sphere_of(person.pose)[0][0, 0]) < 2 * person.unit
    assert hair.sum() > 10
    expected = person.points[hair] @ head_2d[:, :2].T + head_2d[:, 2]
    np.testing.assert_allclose(moved[hair, :2], expected, atol=1e-3)
    torso = _below_chin(person) > 1.8
    np.testing.assert_allclose(moved[torso, :2], person.points[torso], atol=1e-9)


def test_the_face_keeps_the_landmarks_place_under_a_correction(person: Person) -> None:
    """On the oval the landmarks have the last word: the layers of face and hair must not part."""
    oval = list(head_space.FACE_OVAL)
    model = PersonModel(person.landmarks[oval[:18], :2], person.landmarks, person.pose)
    head_2d = np.array([[1, 0, 3.0], [0, 1, -4.0]])
    moved = model.move(person.pose, person.landmarks, head_2d, STILL)
    above = person.landmarks[oval[:18], 1] < person.landmarks[head_space.CHIN, 1] - 0.4 * person.unit
    assert np.abs(moved[above, :2] - person.landmarks[oval[:18]][above, :2]).max() < 0.1 * person.unit


def test_nothing_beside_the_face_stands_in_front_of_it(person: Person) -> None:
    oval = person.landmarks[list(head_space.FACE_OVAL)]
    middle = oval[:, :2].mean(0)
    for reach in (1.02, 1.1, 1.3, 1.7):
        points = middle + reach * (oval[:, :2] - middle)
        moved = PersonModel(points, person.landmarks, person.pose).move(person.pose, person.landmarks, STILL, STILL)
        upper = points[:, 1] < person.landmarks[head_space.CHIN, 1] - 0.4 * person.unit
        assert (moved[upper, 2] > oval[upper, 2] - 0.15 * person.unit).all()
    head = (_below_chin(person) < -0.3) & (np.linalg.norm(person.points - middle, axis=1) < 2.5 * person.unit)
    depth = person.model.move(person.pose, person.landmarks, STILL, STILL)[head, 2]
    assert depth.min() >= person.landmarks[:, 2].min()


def test_smoothstep() -> None:
    values = person_space.smoothstep(np.array([-1.0, 2, 3, 4, 9]), 2, 4)
    np.testing.assert_allclose(values, [0, 0, 0.5, 1, 1])
