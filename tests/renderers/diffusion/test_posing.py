"""The controls that the model is shown, and views that it makes of itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, Reference
from dreamactor_cli.renderers.diffusion.posing import TURN_FRAMES, TURN_YAW, pick_views, turn, with_body


def held(reference: Reference, frames: int) -> Controls:
    return replace(turn(reference).window(0, frames), body=None)


def test_a_portrait_keeps_its_own_body(reference: Reference) -> None:
    body = reference.controls.body
    assert body is not None
    moved = with_body(held(reference, 3), reference).body
    assert moved is not None
    assert np.allclose(moved.joints_2d, np.repeat(body.joints_2d[:1], 3, 0), atol=1e-3)
    assert np.array_equal(moved.score, np.repeat(body.score[:1], 3, 0))


def test_it_moves_with_the_torso(reference: Reference) -> None:
    controls = held(reference, 2)
    head, body = controls.head, reference.controls.body
    assert head is not None
    assert body is not None
    torso = head.torso_2d.copy()
    torso[1, :, 2] = (7, -3)
    moved = with_body(replace(controls, head=replace(head, torso_2d=torso)), reference).body
    assert moved is not None
    assert np.allclose(moved.joints_2d[1] - moved.joints_2d[0], [7, -3], atol=1e-3)


def test_a_body_that_is_driven_stays_as_it_is(reference: Reference) -> None:
    controls = turn(reference)
    assert with_body(controls, reference) is controls
    bodiless = replace(reference, controls=replace(reference.controls, body=None))
    portrait = held(reference, 2)
    assert with_body(portrait, bodiless) is portrait


def test_a_turn_goes_to_both_sides(reference: Reference) -> None:
    controls = turn(reference)
    head, own = controls.head, reference.controls.head
    assert head is not None
    assert own is not None
    assert controls.num_frames == TURN_FRAMES
    assert np.allclose(head.rotation[0], own.rotation[0], atol=1e-6)
    yaw = head_space.euler_degrees(head.rotation @ own.rotation[0].T)[:, 0]
    assert (yaw.min(), yaw.max()) == pytest.approx((-TURN_YAW, TURN_YAW), abs=0.5)
    assert np.allclose(head.center, own.center[0])


@pytest.mark.parametrize(("own", "wanted"), [(0.0, [-45, 45]), (40.0, [-45, 0]), (-50.0, [0, 45])])
def test_views_show_what_the_picture_does_not(reference: Reference, own: float, wanted: list[float]) -> None:
    """Most to the left, most to the right and the middle of the turn, without the one that the picture is nearest to."""

    def turned_by(yaw: float) -> Reference:
        head = reference.controls.head
        assert head is not None
        rotation = head_space.rotation_from_euler(np.array([[yaw, 0.0, 0.0]])).astype(np.float32)
        return replace(reference, controls=replace(reference.controls, head=replace(head, rotation=rotation)))

    turned = turn(turned_by(0.0))
    assert turned.head is not None
    yaw = head_space.euler_degrees(turned.head.rotation)[:, 0]
    assert sorted(yaw[pick_views(turned, turned_by(own))]) == pytest.approx(wanted, abs=3)


def test_without_a_head_nothing_turns(reference: Reference) -> None:
    headless = replace(reference, controls=replace(reference.controls, head=None))
    assert turn(headless).num_frames == TURN_FRAMES
    assert pick_views(turn(headless), headless) == []


def test_the_face_turns_with_the_head(reference: Reference) -> None:
    """Its landmarks are those of the picture at the start, and then where the head has turned them."""
    face, own = turn(reference).face, reference.controls.face
    assert face is not None
    assert own is not None
    size = np.ptp(own.landmarks[0, :468, 0])
    assert np.abs(face.landmarks[0, :, :2] - own.landmarks[0, :, :2]).mean() < 0.03 * size
    yaw = head_space.euler_degrees(head_space.head_pose(face.landmarks.astype(np.float64)).rotation)[:, 0]
    assert yaw.max() - yaw.min() == pytest.approx(2 * TURN_YAW, abs=3)
