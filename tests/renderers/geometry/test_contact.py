"""Lids and lips that were driven past each other."""

from __future__ import annotations

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.renderers.geometry.contact import apart

UPPER, LOWER = (159, 386, 13), (145, 374, 14)  # the middle of both eyes and of the lips


def _face(degrees: float) -> np.ndarray:
    """The template in px, rolled; lids and lips are open."""
    angle = np.radians(degrees)
    roll = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return head_space.template() @ roll.T * 100 + 250


@pytest.mark.parametrize("degrees", [0.0, 35.0, -80.0])
def test_what_overlaps_meets_halfway(degrees: float) -> None:
    face = _face(degrees)
    driven = face.copy()
    for up, down in zip(UPPER, LOWER, strict=True):
        driven[up], driven[down] = face[down], face[up]
    met = apart(driven)
    for up, down in zip(UPPER, LOWER, strict=True):
        gap = face[down, :2] - face[up, :2]
        assert abs((met[down, :2] - met[up, :2]) @ gap) / (gap @ gap) < 0.1
        np.testing.assert_allclose(met[up, :2] + met[down, :2], driven[up, :2] + driven[down, :2])
    others = np.setdiff1d(np.arange(478), (*UPPER, *LOWER))
    np.testing.assert_array_equal(met[others], driven[others])


def test_an_open_face_is_left_as_it_is() -> None:
    face = _face(20.0)
    face[list(head_space.INNER_LIPS[1:10]), 1] -= 8  # the template's lips touch
    assert apart(face) is face
