"""Draws with the picture elsewhere, and their mean."""

from __future__ import annotations

import numpy as np
import pytest

from dreamactor_cli.models.conditions import Conditions, References
from dreamactor_cli.models.shifts import mean_of, offsets, shifted_conditions, shifted_references

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 24, 32, 3), np.uint8)


@pytest.mark.parametrize("shifts", [1, 2, 4])
def test_what_was_shifted_is_put_back(shifts: int) -> None:
    places = offsets(shifts, 8)
    assert len(set(places)) == shifts
    assert places[0] == (0, 0)
    draws = [shifted_references(References(images=PICTURES), at).images for at in places]
    assert np.array_equal(mean_of(draws, places), PICTURES)


def test_all_that_is_drawn_moves_alike() -> None:
    moved = shifted_references(References(images=PICTURES, poses=PICTURES[..., :2]), (4, 8))
    assert np.array_equal(moved.images[:, 8:, 4:], PICTURES[:, :-8, :-4])
    assert np.array_equal(moved.images[:, 3, 4:], PICTURES[:, 0, :-4])  # what comes in is as at the border
    assert moved.poses is not None
    assert np.array_equal(moved.poses[:, 8:, 4:], PICTURES[:, :-8, :-4, :2])
    face = np.ones((5, 56), np.float32)
    told = shifted_conditions(Conditions(poses=PICTURES, face=face), (4, 8))
    assert np.array_equal(told.poses, moved.images)
    assert told.face is face


def test_the_mean_is_of_what_each_pixel_has() -> None:
    frames = [np.full((1, 8, 8, 3), level, np.uint8) for level in (10, 30, 50, 90)]
    mean = mean_of(frames, offsets(4, 4))[0, :, :, 0]
    assert (mean[:6, :6] == 45).all()
    assert mean[7, 7] == 10  # the others have moved it out of the picture
    assert mean[7, 0] == round((10 + 50) / 2)
