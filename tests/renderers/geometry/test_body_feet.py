"""How a foot looks when it turns."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import rotations
from dreamactor_cli.renderers.geometry.body_feet import AXES, foot_map

Array = NDArray[np.float64]
SCALE = 200.0  # px per metre
# Knee, ankle, heel and toes of a foot in profile, which points to the picture's right, px.
PROFILE = np.array([[0.0, -90.0, 0.0], [0.0, 0.0, 0.0], [-10.0, 14.0, 0.0], [40.0, 14.0, 0.0]])


def _turned(axis: int, degrees: float) -> Array:
    return PROFILE @ rotations.about_axis(axis, np.array([degrees]))[0].T


def _map(rest: Array, now: Array) -> Array:
    made = foot_map(rest, now, SCALE)
    assert made is not None
    return made


def test_a_foot_that_has_not_moved_stays_as_it_is() -> None:
    for rest in (PROFILE, _turned(1, 50.0)):
        np.testing.assert_allclose(_map(rest, rest), np.eye(2), atol=1e-9)


@pytest.mark.parametrize("degrees", [-40.0, 25.0])
def test_a_foot_that_tips_in_the_picture_turns_as_a_whole(degrees: float) -> None:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    np.testing.assert_allclose(_map(PROFILE, _turned(2, degrees)), [[c, -s], [s, c]], atol=1e-9)


@pytest.mark.parametrize("degrees", [-90.0, 90.0])
def test_a_foot_that_turns_to_the_camera_gets_short_and_stays_high(degrees: float) -> None:
    made = _map(PROFILE, _turned(1, degrees))
    assert np.abs(np.linalg.svd(made)[1] - [1, AXES[1] / AXES[0]]).max() < 1e-6
    np.testing.assert_allclose(np.abs(made @ [0, 1]), [0, 1], atol=1e-6)


def test_a_foot_that_points_the_other_way_is_mirrored_and_stays_flat() -> None:
    np.testing.assert_allclose(_map(PROFILE, _turned(1, 180.0)), [[-1, 0], [0, 1]], atol=1e-9)
    nearly = _map(PROFILE, _turned(1, 150.0))
    assert np.linalg.det(nearly) < 0
    np.testing.assert_allclose(nearly @ [0, 1], [0, 1], atol=0.1)


def test_of_a_foot_without_a_direction_nothing_is_known() -> None:
    short = PROFILE.copy()
    short[3] = short[2] + 1
    assert foot_map(short, PROFILE, SCALE) is None
    assert foot_map(PROFILE, short, SCALE) is None
