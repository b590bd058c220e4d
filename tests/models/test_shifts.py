"""Draws with the picture elsewhere and later, and their mean."""

from __future__ import annotations

import numpy as np
import pytest

from dreamactor_cli.models.conditions import Conditions, References
from dreamactor_cli.models.shifts import Offset, mean_of, offsets, shifted_conditions, shifted_references

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 24, 32, 3), np.uint8)
FACE = np.arange(5 * 56, dtype=np.float32).reshape(5, 56)


def given(start: int, stop: int) -> Conditions:
    return Conditions(poses=PICTURES[start:stop], face=FACE[start:stop])


@pytest.mark.parametrize("shifts", [1, 2, 4])
def test_what_was_shifted_is_put_back(shifts: int) -> None:
    places = offsets(shifts, 8)
    assert len(set(places)) == shifts
    assert places[0] == (0, 0, 0)
    draws = [shifted_references(References(images=PICTURES), at).images for at in places]
    for number, frame in enumerate(PICTURES):
        assert np.array_equal(mean_of([draw[number] for draw in draws], places, 8, number), frame)


def test_all_that_is_drawn_moves_alike() -> None:
    moved = shifted_references(References(images=PICTURES, poses=PICTURES[..., :2]), Offset(4, 8, 2))
    assert np.array_equal(moved.images[:, 8:, 4:], PICTURES[:, :-8, :-4])
    assert np.array_equal(moved.images[:, 3, 4:], PICTURES[:, 0, :-4])  # what comes in is as at the border
    assert moved.poses is not None
    assert np.array_equal(moved.poses[:, 8:, 4:], PICTURES[:, :-8, :-4, :2])
    told = shifted_conditions(given, Offset(4, 8, 0))(0, 5)
    assert np.array_equal(told.poses, moved.images)
    assert told.face is not None
    assert np.array_equal(told.face, FACE)


@pytest.mark.parametrize(
    ("start", "stop", "frames"),
    [(0, 5, [0, 0, 0, 1, 2]), (0, 1, [0]), (1, 3, [0, 0]), (2, 5, [0, 1, 2]), (3, 7, [1, 2, 3, 4])],
)
def test_what_is_later_holds_the_first_frame(start: int, stop: int, frames: list[int]) -> None:
    told = shifted_conditions(given, Offset(0, 0, 2))(start, stop)
    assert np.array_equal(told.poses, PICTURES[frames])
    assert told.face is not None
    assert np.array_equal(told.face, FACE[frames])
    assert told.speech is None


def test_the_mean_is_of_what_each_pixel_has() -> None:
    """Of frame 2, which is near the middle of a latent, or at its end where it comes two frames later."""
    frames = [np.full((8, 8, 3), level, np.uint8) for level in (10, 30, 50, 90)]
    mean = mean_of(frames, offsets(4, 4), 4, 2)[:, :, 0]
    assert mean[7, 7] == 10  # the others have moved it out of the picture
    # Rows 0 and 1 are a quarter and three quarters near the middle of a cell; column 7 is in draws 1 and 4 alone.
    assert mean[0, 7] == round((0.25 * 0.75 * 10 + 0.75 * 0.25 * 90) / (2 * 0.25 * 0.75))
    assert mean[1, 7] == round((0.75 * 0.75 * 10 + 0.25 * 0.25 * 90) / (0.75**2 + 0.25**2))


def test_what_is_nearer_to_the_middle_of_its_cell_counts_more() -> None:
    """Draws that are wrong at the borders of their cells alone: in the mean that is where it counts least."""
    inside = np.abs((np.arange(32) % 8) - 3.5) < 3
    wrong = np.where(inside[:, None] & inside, 100, 180).astype(np.uint8)[..., None].repeat(3, -1)
    mean = mean_of([wrong] * 4, offsets(4, 8), 8, 0)[:24, :24, 0]
    assert 100 < mean.max() < 130


def test_what_is_wrong_at_the_borders_of_latents_counts_less() -> None:
    """Draws that are brighter in the first and last frame of each latent, two of them two frames later."""
    places = offsets(4, 8)
    levels = []
    for number in range(1, 9):
        at = [(number - 1 + place.frames) % 4 for place in places]
        frames = [np.full((16, 16, 3), 180 if position in (0, 3) else 100, np.uint8) for position in at]
        levels.append(mean_of(frames, places, 8, number)[:8, :8].mean())
    assert np.ptp(levels) < 1
    assert np.mean(levels) < 123  # a plain mean has 140
