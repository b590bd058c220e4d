"""Controls in the pixels of a picture that was scaled and cropped."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from dreamactor_cli.contracts import Controls, Head
from dreamactor_cli.person_space import still_field
from dreamactor_cli.picture_space import move_controls


def test_maps_of_the_flow_move_with_the_picture() -> None:
    """Where a map takes a point is the same point of the scaled and cropped picture."""
    turn = np.array([[[0.9, -0.1, 12.0], [0.1, 0.9, -7.0]]], np.float32)
    head = Head(
        rotation=np.eye(3, dtype=np.float32)[None], center=np.array([[80.0, 60.0]], np.float32), radius=np.ones(1, np.float32),
        score=np.ones(1, np.float32), head_2d=turn, torso_2d=turn, field=still_field(1),
    )  # fmt: skip
    controls = Controls(num_frames=1, fps=Fraction(1), width=200, height=300, head=head)
    scale, corner, point = 0.5, np.array([20.0, 30.0]), np.array([100.0, 140.0])

    def place(p: np.ndarray) -> np.ndarray:
        return p * scale + (0.5 * scale - 0.5) - corner

    moved = move_controls(controls, scale, corner).head
    assert moved is not None
    np.testing.assert_allclose(moved.center[0], place(np.array([80.0, 60.0])), atol=1e-5)
    for maps in (moved.torso_2d, moved.head_2d):
        there = maps[0, :, :2] @ place(point) + maps[0, :, 2]
        np.testing.assert_allclose(there, place(turn[0, :, :2] @ point + turn[0, :, 2]), atol=1e-4)
