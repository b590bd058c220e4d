"""The person layer's map."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.renderers.geometry.person_mesh import PersonMesh, _goes_on

from .positions import picture_positions

if TYPE_CHECKING:
    from dreamactor_cli.contracts import Reference

Array = NDArray[np.float64]
STILL = np.eye(2, 3)


class Person(NamedTuple):
    """The mesh of the astronaut."""

    mesh: PersonMesh
    landmarks: Array
    pose: HeadPose
    canonical: Array
    solid: NDArray[np.bool_]

    def draw(self, pose: HeadPose | None = None, torso: Array = STILL) -> tuple[Array, Array]:
        """Source positions over the whole frame, (H, W) each; not-a-number where no mesh lies."""
        pose = pose or self.pose
        vertices = self.mesh.model.move(pose, head_space.to_image(self.canonical, pose)[0], STILL, torso)
        drawn = self.mesh.draw(vertices)
        assert drawn is not None
        covered = drawn.grid.enlarge(drawn.maps[2]) > 0
        whole = np.full((2, *self.solid.shape), np.nan)
        whole[:, drawn.rows, drawn.columns] = np.where(covered, picture_positions(drawn, self.mesh.texture), np.nan)
        return whole[0], whole[1]


@pytest.fixture(scope="module")
def person(reference: Reference) -> Person:
    face, head = reference.controls.face, reference.controls.head
    assert face is not None
    assert head is not None
    pose = head_space.pose_of_sphere(head.center[:1], head.radius[:1], head.rotation[:1])
    canonical = (face.identity + face.expression[0]).astype(np.float64)
    alpha = np.rint(reference.matte[0] * 255).astype(np.uint8)
    landmarks = head_space.to_image(canonical, pose)[0]
    picture = np.dstack([reference.images[0], alpha])
    return Person(PersonMesh(picture, landmarks, pose), landmarks, pose, canonical, alpha > 100)


def test_without_motion_every_pixel_stays(person: Person) -> None:
    x, y = person.draw()
    rows, columns = np.indices(person.solid.shape)
    assert np.abs(x - columns)[person.solid].max() < 0.01
    assert np.abs(y - rows)[person.solid].max() < 0.01


def test_the_torso_moves_as_it_is_told(person: Person) -> None:
    torso = np.array([[1, 0, 7.0], [0, 1, -3.0]])
    x, y = person.draw(torso=torso)
    rows, columns = np.indices(person.solid.shape)
    low = cv2.erode(person.solid.astype(np.uint8), np.ones((31, 31), np.uint8)) > 0
    low[:320] = False
    assert np.abs(x - (columns - 7))[low].max() < 0.05
    assert np.abs(y - (rows + 3))[low].max() < 0.05


@pytest.mark.parametrize("yaw", [-30, 30])
def test_a_turned_head_leaves_no_hole_in_the_person(person: Person, yaw: float) -> None:
    center, radius = head_space.sphere_of(person.pose)
    turn = head_space.rotation_from_euler(np.array([[yaw, 0.0, 0.0]])) @ person.pose.rotation
    x, y = person.draw(head_space.pose_of_sphere(center, radius, turn))
    shown = cv2.remap(
        person.solid.astype(np.uint8) * 255, np.nan_to_num(x, nan=-1e4).astype(np.float32),
        np.nan_to_num(y, nan=-1e4).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
    )  # fmt: skip
    body = (shown > 127).astype(np.uint8)
    contours, _ = cv2.findContours(body, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(body), contours, -1, 1, cv2.FILLED)
    before = cv2.findContours(person.solid.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    own = cv2.drawContours(np.zeros_like(body), before, -1, 1, cv2.FILLED)
    assert (filled - body).sum() <= (own - person.solid).sum() + 60
    assert body.sum() == pytest.approx(person.solid.sum(), rel=0.1)


def test_off_the_frame_nothing_is_drawn(person: Person) -> None:
    vertices = person.mesh.model.move(person.pose, person.landmarks, STILL, STILL)
    assert person.mesh.draw(vertices + [5000.0, 0, 0]) is None


@pytest.mark.parametrize(("middle", "above"), [(62, 0), (58, 2), (50, 10), (30, 12)])
def test_hair_goes_on_above_the_border_as_a_round_head_does(middle: int, above: int) -> None:
    alpha = np.zeros((240, 200), np.uint8)
    cv2.circle(alpha, (100, middle), 60, 255, -1)
    rows = np.arange(-60.0, 1.0)
    column = np.stack([np.full(len(rows), 100.0), rows], 1)
    there = _goes_on(column, alpha, 4.0, crown=float(middle))
    assert -rows[there].min() == pytest.approx(above, abs=2.5)
