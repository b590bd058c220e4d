"""What is drawn over a clip, and where."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from dreamactor_cli.contracts import U8, Body, Controls, Face, Hands, Head
from dreamactor_cli.preview import FACE_COLOUR, HELD_COLOUR, SPHERE_COLOUR, draw

SIZE = 200  # px


def _controls(score: float) -> Controls:
    """Two frames: a face of points around (100, 80), a sphere of radius 50, an arm and a hand."""
    turn = np.linspace(0, 2 * np.pi, 478, endpoint=False)
    landmarks = np.stack([100 + 30 * np.cos(turn), 80 + 40 * np.sin(turn), 0 * turn], -1)
    joints = np.zeros((2, 33, 2), np.float32)
    joints[:, 11], joints[:, 13] = (40, 150), (10, 190)
    visible = np.zeros((2, 33), np.float32)
    visible[:, [11, 13]] = score
    fingers = np.full((2, 2, 21, 2), 180, np.float32) + np.arange(21, dtype=np.float32)[:, None] / 2
    scores = np.full(2, score, np.float32)
    similarity = np.tile(np.eye(2, 3, dtype=np.float32), (2, 1, 1))
    return Controls(
        num_frames=2, fps=Fraction(25), width=SIZE, height=SIZE,
        face=Face(
            landmarks=np.tile(landmarks, (2, 1, 1)).astype(np.float32), expression=np.zeros((2, 478, 3), np.float32),
            identity=np.zeros((478, 3), np.float32), blendshapes=np.zeros((2, 52), np.float32),
            gaze=np.zeros((2, 2, 2), np.float32), score=scores,
        ),
        head=Head(
            rotation=np.tile(np.eye(3, dtype=np.float32), (2, 1, 1)), center=np.full((2, 2), 90, np.float32),
            radius=np.full(2, 50, np.float32), score=scores, head_2d=similarity,
            torso_2d=similarity, field=np.zeros((2, 15, 17, 2), np.float32),
        ),
        body=Body(joints_2d=joints, joints_3d=np.zeros((2, 33, 3), np.float32), score=visible),
        hands=Hands(
            joints_2d=fingers, joints_3d=np.zeros((2, 2, 21, 3), np.float32), score=np.array([[0, score]] * 2, np.float32)
        ),
    )  # fmt: skip


def _near(pixel: U8, colour: tuple[int, int, int]) -> bool:
    """The colour, but for the smoothing of edges."""
    return bool(np.abs(pixel.astype(int) - colour).max() <= 60)


def test_signals_are_drawn_where_they_are_and_nowhere_else() -> None:
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    drawn = draw(frame, _controls(1.0), 1)
    assert not frame.any()
    assert _near(drawn[90, 40], SPHERE_COLOUR)  # the left end of the sphere
    assert _near(drawn[40, 85], FACE_COLOUR)  # the upper edge of the face box
    assert drawn[170, 25].any()  # half way along the upper arm
    assert drawn[185, 185].any()  # the right hand
    assert not drawn[:30].any()
    assert not drawn[195:, 60:170].any()


def test_what_is_held_is_grey_and_what_is_unseen_is_not_drawn() -> None:
    drawn = draw(np.zeros((SIZE, SIZE, 3), np.uint8), _controls(0.0), 0)
    assert _near(drawn[90, 40], HELD_COLOUR)
    assert not drawn[165:].any()


def test_points_far_outside_the_picture_are_harmless() -> None:
    controls = _controls(1.0)
    assert controls.face is not None
    assert controls.head is not None
    controls.face.landmarks[:] = 1e9
    controls.head.radius[:] = 1e9
    assert draw(np.zeros((SIZE, SIZE, 3), np.uint8), controls, 0).shape == (SIZE, SIZE, 3)
