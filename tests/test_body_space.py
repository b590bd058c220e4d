"""What a picture shows of a body."""

from __future__ import annotations

import numpy as np
import pytest

from dreamactor_cli.body_space import (
    ANKLES,
    ELBOWS,
    KNEES,
    NUM_JOINTS,
    denies_face,
    guessed_joints,
    shown_joints,
)
from dreamactor_cli.contracts import Body


def body(**scores: float) -> Body:
    """Joints in the middle of a picture of 100 x 100 px, seen well but for those named by number."""
    score = np.ones((1, NUM_JOINTS), np.float32)
    for name, value in scores.items():
        score[0, int(name[1:])] = value
    return Body(
        joints_2d=np.full((1, NUM_JOINTS, 2), 50, np.float32), joints_3d=np.zeros((1, NUM_JOINTS, 3), np.float32), score=score
    )


@pytest.mark.parametrize(("left", "right", "seen"), [(0.3, 0.9, True), (0.3, 0.3, False), (0.1, 0.9, False)])
def test_who_shows_one_knee_shows_two(left: float, right: float, seen: bool) -> None:
    shown = shown_joints(body(j25=left, j26=right), 100, 100)
    assert shown[list(KNEES)].tolist() == [seen, right >= 0.5]


def test_an_elbow_is_seen_for_itself() -> None:
    assert shown_joints(body(j13=0.3), 100, 100)[list(ELBOWS)].tolist() == [False, True]


def test_a_knee_outside_of_the_picture_is_not_seen() -> None:
    one = body(j25=0.3)
    one.joints_2d[0, 25] = [50, 120]
    assert shown_joints(one, 100, 100)[list(KNEES)].tolist() == [False, True]
    assert not guessed_joints(one, 100, 100)[KNEES[0]]


def test_where_one_ankle_is_guessed_so_is_the_other() -> None:
    assert guessed_joints(body(j27=0.2, j28=0.27), 100, 100)[list(ANKLES)].all()
    assert not guessed_joints(body(j27=0.2, j28=0.2), 100, 100)[list(ANKLES)].any()


@pytest.mark.parametrize(
    ("y", "score", "denied"), [(50, 1.0, False), (44, 1.0, False), (36, 1.0, True), (36, 0.8, False), (15, 1.0, False)]
)
def test_a_face_beside_the_nose_of_its_body_is_none(y: float, score: float, denied: bool) -> None:
    """Unless the body is not sure of it, or is somebody else's."""
    assert denies_face(body(j0=score), np.array([50.0, y]), 10.0, 100, 100) is denied


def test_who_shows_no_body_keeps_the_face() -> None:
    portrait = body(**{f"j{joint}": 0.0 for joint in range(11, NUM_JOINTS)})
    assert not denies_face(portrait, np.array([50.0, 36.0]), 10.0, 100, 100)
    assert not denies_face(None, np.array([50.0, 36.0]), 10.0, 100, 100)
