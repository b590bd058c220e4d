"""How far a head moves in a picture without a body."""

import numpy as np

from dreamactor_cli.retarget.travel import FARTHEST, FREE, held_travel


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
