"""How far a head moves in a picture without a body."""

import numpy as np
import pytest

from dreamactor_cli import rotations
from dreamactor_cli.retarget.travel import FARTHEST, FREE, TURNS, below_head, held_travel, held_turn


def test_what_a_talking_head_does_is_kept_to_the_bit() -> None:
    travel = np.array([[0.0, 0.0], [30.0, 0.0], [-20.0, 50.0]])
    assert np.array_equal(held_travel(travel, 100.0), travel)


def test_a_squat_is_held_in_its_direction_and_further_is_never_nearer() -> None:
    travel = np.linspace(0, 500, 200)[:, None] * np.array([0.6, 0.8])
    held = held_travel(travel, 100.0)
    far = np.linalg.norm(held, axis=1)
    assert far.max() < 100 * FARTHEST + 1e-9
    assert (np.diff(far) >= -1e-9).all()
    assert np.abs(np.diff(far, 2)).max() < 0.3  # px: it slows down without a jerk
    assert np.allclose(held[-1] / far[-1], [0.6, 0.8])
    assert far[np.linalg.norm(travel, axis=1) > 100 * FREE][0] > 100 * FREE - 3


def test_a_head_that_looks_away_is_held_before_its_profile_ends() -> None:
    turned = rotations.about_axis(1, np.linspace(-170, 170, 341))
    held = held_turn(turned)
    small = np.abs(np.arange(-170, 171)) < TURNS[0]
    assert np.array_equal(held[small], turned[small])
    angle = rotations.angle(held)
    assert angle.max() < TURNS[1] + 1e-6
    assert (np.diff(angle[170:]) >= -1e-6).all()
    np.testing.assert_allclose(held[:, 1], np.tile([0.0, 1.0, 0.0], (341, 1)), atol=1e-9)  # about the same axis
    assert held[-1, 0, 2] * turned[-1, 0, 2] > 0  # to the same side


def test_a_torso_that_the_flow_follows_is_left_alone() -> None:
    """A head that leans over resting shoulders."""
    before, now = np.array([100.0, 80.0]), np.array([[100.0, 80.0], [115.0, 84.0]])
    still = np.repeat(np.eye(2, 3)[None], 2, 0)
    np.testing.assert_allclose(below_head(still, before, now, radius=40.0), still, atol=1e-9)


def test_a_torso_that_the_flow_has_lost_goes_with_the_head() -> None:
    """The head has sunk by two radii, and arms that cross the chest have taken the flow aside."""
    before, now = np.array([100.0, 80.0]), np.array([[100.0, 80.0], [104.0, 160.0]])
    lost = np.array([[[1.0, 0, 0], [0, 1.0, 0]], [[0.8, 0, -60.0], [0, 0.8, 5.0]]])
    found = below_head(lost, before, now, radius=40.0)
    np.testing.assert_allclose(found[0], lost[0], atol=1e-9)
    np.testing.assert_allclose(found[1], [[1, 0, 4], [0, 1, 80]], atol=1e-9)


def test_between_both_nothing_jumps() -> None:
    before = np.array([100.0, 80.0])
    now = before + np.stack([np.zeros(200), np.linspace(0, 80, 200)], 1)
    still = np.repeat(np.eye(2, 3)[None], 200, 0)
    moved = below_head(still, before, now, radius=40.0)[:, 1, 2]
    assert np.abs(np.diff(moved)).max() < 4 * 80 / 200  # it catches up with the head
    assert moved[-1] == pytest.approx(80)
