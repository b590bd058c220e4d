"""A driver of which everything is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dreamactor_cli.contracts import Controls

YAW = (0, 20, -15, 8)  # degrees
JAW = (0, 0.8, 0.1, 0.6)


@pytest.fixture(scope="session")
def driver(perform: Callable[..., Controls]) -> Controls:
    """Two seconds of head turns, speech, blinks, sway and a field, with noise like a tracker's; 50 frames."""
    clean = perform(
        2.0, headYaw=YAW, headPitch=(0, -6, 5), headX=(0, 0.3, 0), headZ=(0, 0.15), jawOpen=JAW, eyeBlink=(0, 1, 0, 1, 0),
        torsoRoll=(0, 3, 0), torsoX=(0, 0.2, 0.1),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    face, head = clean.face, clean.head
    assert face is not None
    assert head is not None

    def noisy(values: np.ndarray, sigma: float) -> np.ndarray:
        return (values + rng.normal(0, sigma, values.shape)).astype(np.float32)

    field = rng.normal(0, 0.1, (1, 15, 17, 2)) * np.sin(np.arange(50) / 7)[:, None, None, None]
    return replace(
        clean, face=replace(face, expression=noisy(face.expression, 0.003), gaze=noisy(face.gaze, 0.01)),
        head=replace(
            head, center=noisy(head.center, 0.2), radius=noisy(head.radius, 0.1), field=field.astype(np.float32),
            torso_2d=noisy(head.torso_2d, 1e-4), head_2d=noisy(head.head_2d, 1e-3),
        ),
    )  # fmt: skip
