"""The flow of the picture against the joints of a torso that wander."""

from __future__ import annotations

import numpy as np
import pytest

from dreamactor_cli.contracts import Head
from dreamactor_cli.person_space import still_field
from dreamactor_cli.retarget.torso_seen import CORNERS, correction, legs_move, rested, seen_torso
from tests.retarget.bodies import pose

FRAMES, SIZE = 12, 200.0
CORNER = np.array([[60.0, 0.0], [-60.0, 0.0], [40.0, SIZE], [-40.0, SIZE]]) + 300.0


def head(matrix: np.ndarray) -> Head:
    """A head that rests over a torso that moves by matrices (T, 2, 3)."""
    frames = len(matrix)
    still = np.tile(np.eye(2, 3, dtype=np.float32), (frames, 1, 1))
    return Head(
        rotation=np.tile(np.eye(3, dtype=np.float32), (frames, 1, 1)), center=np.full((frames, 2), [300.0, 150.0], np.float32),
        radius=np.full(frames, 60, np.float32), score=np.ones(frames, np.float32), head_2d=still,
        torso_2d=matrix.astype(np.float32), field=still_field(frames),
    )  # fmt: skip


def flow(growth: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """Matrices (T, 2, 3) of a torso that grows and goes to the right from frame to frame, from the identity on."""
    steps = np.linspace(0, 1, FRAMES)
    out = np.tile(np.eye(2, 3), (FRAMES, 1, 1))
    out[:, 0, 0] = out[:, 1, 1] = 1 + (growth - 1) * steps
    out[:, 0, 2] = shift * steps
    return out


def corrected(matrix: np.ndarray, joints: np.ndarray, turn: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Corners (T, 4, 2) and scale (T,) after the correction, of a torso that turns by some degrees after the first frame."""
    measured = head(matrix)
    seen = seen_torso(measured, head(matrix[:1]), CORNER)
    shift, factor = correction(seen, joints, np.full(FRAMES, 100.0), turn * (np.arange(FRAMES) > 0), 0, 25.0)
    return joints + shift, 100 * factor


def wandering(px: float) -> np.ndarray:
    """Corners (T, 4, 2) px by a network whose hips wander downwards."""
    out = np.tile(CORNER, (FRAMES, 1, 1))
    out[1:, 2:, 1] += px
    return out


def test_hips_that_wander_over_a_torso_at_rest_stay() -> None:
    # Nearly at rest: exactly at rest is what a flow says that has measured nothing.
    joints, _ = corrected(flow(growth=1.0005), wandering(0.1 * SIZE))
    assert np.abs(joints[3:] - CORNER).max() < 0.02 * SIZE
    np.testing.assert_array_equal(joints[0], CORNER)


def test_size_follows_the_flow() -> None:
    _, scale = corrected(flow(growth=1.06), np.tile(CORNER, (FRAMES, 1, 1)))
    assert scale[0] == 100.0
    assert scale[-1] == pytest.approx(106.0, abs=1.5)


def test_a_flow_that_is_a_mere_shift_does_not_count() -> None:
    joints, scale = corrected(flow(shift=0.05 * SIZE), np.tile(CORNER, (FRAMES, 1, 1)))
    np.testing.assert_array_equal(joints, np.tile(CORNER, (FRAMES, 1, 1)))
    np.testing.assert_array_equal(scale, 100.0)


def test_a_flow_that_is_far_from_the_joints_does_not_count() -> None:
    truth = wandering(0.0) + np.linspace(0, 2 * SIZE, FRAMES)[:, None, None]
    joints, _ = corrected(flow(growth=1.0005), truth)
    assert np.abs(joints[2:] - truth[2:]).max() < 0.02 * SIZE


def test_legs_that_hardly_move_rest_and_legs_that_move_do_as_they_do() -> None:
    before = pose()[0, :, :2] * SIZE
    size = np.linalg.norm(before[list(CORNERS[:2])].mean(0) - before[list(CORNERS[2:])].mean(0))
    moved = np.stack([before, before])
    moved[0, 25:29] += [0.03 * size, 0]
    moved[1, 25:] += [0.3 * size, 0]
    shares = [legs_move(frame[None, 23:], before, 25.0) for frame in moved]
    out = rested(moved, before, np.concatenate(shares))
    np.testing.assert_allclose(out[0], before, atol=1e-9)
    np.testing.assert_allclose(out[1], moved[1], atol=1e-9)


def test_what_a_leg_does_around_a_motion_is_no_noise() -> None:
    before = pose()[0, :, :2] * SIZE
    size = np.linalg.norm(before[list(CORNERS[:2])].mean(0) - before[list(CORNERS[2:])].mean(0))
    clip = np.tile(before, (120, 1, 1))
    clip[:, 25] += [0.03 * size, 0]
    clip[60, 25] += [0.3 * size, 0]
    out = rested(clip, before, legs_move(clip[:, 23:], before, 25.0))
    np.testing.assert_allclose(out[50:70], clip[50:70], atol=1e-9)
    np.testing.assert_allclose(out[[0, 20, 100, 119]], np.tile(before, (4, 1, 1)), atol=1e-9)


def test_a_torso_that_has_risen_from_a_bow_is_where_the_network_sees_it() -> None:
    truth = wandering(0.1 * SIZE)
    joints, _ = corrected(flow(growth=1.0005), truth, turn=40.0)
    np.testing.assert_allclose(joints, truth, atol=1e-9)
