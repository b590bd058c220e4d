"""Articulation made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli.contracts import SPEECH_CHANNELS, Controls, Speech


@pytest.fixture(scope="session")
def say() -> Callable[..., Controls]:
    """``say(frames, aperture=..., closure={40: 1.0}, activity=...)``: channels as one value, a row, or values by frame."""

    def make(
        frames: int,
        fps: int = 25,
        activity: float | Sequence[float] = 1.0,
        **channels: float | Sequence[float] | Mapping[int, float],
    ) -> Controls:
        articulation = np.zeros((frames, len(SPEECH_CHANNELS)), np.float32)
        for name, given in channels.items():
            column = articulation[:, SPEECH_CHANNELS.index(name)]
            if isinstance(given, Mapping):
                for frame, value in given.items():
                    column[frame] = value
            else:
                column[:] = given
        active = np.broadcast_to(np.float32(activity), (frames,)).copy()
        speech = Speech(articulation=articulation, activity=active)
        return Controls(num_frames=frames, fps=Fraction(fps), width=1, height=1, speech=speech)

    return make
