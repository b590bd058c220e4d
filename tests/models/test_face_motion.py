"""Motion tokens from what a face does, from its picture, and from speech."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from dreamactor_cli.contracts import Controls
from dreamactor_cli.models.conditions import FACE_CHANNELS, face_values
from dreamactor_cli.models.face_motion import FaceMotionEncoder, token_frames


@pytest.fixture(scope="module")
def encoder() -> FaceMotionEncoder:
    torch.manual_seed(0)
    return FaceMotionEncoder(motion_dim=24, hidden=32, crop_channels=4).requires_grad_(False)


@pytest.mark.parametrize(
    "given",
    [{"face": (2, 5, 56)}, {"crop": (2, 5, 3, 40, 40)}, {"speech": (2, 5, 9)}, {"face": (2, 5, 56), "speech": (2, 5, 9)}],
)
def test_every_input_gives_one_token_a_frame(encoder: FaceMotionEncoder, given: dict[str, tuple[int, ...]]) -> None:
    tokens = encoder(**{name: torch.rand(shape) for name, shape in given.items()})
    assert tokens.shape == (2, 5, 24)
    assert torch.isfinite(tokens).all()


def test_each_input_counts(encoder: FaceMotionEncoder) -> None:
    face, speech = torch.rand(1, 3, 56), torch.rand(1, 3, 9)
    both = encoder(face=face, speech=speech)
    assert not torch.allclose(both, encoder(face=face))
    assert not torch.allclose(both, encoder(speech=speech))


def test_a_token_depends_on_its_own_frame_alone(encoder: FaceMotionEncoder) -> None:
    face = torch.rand(1, 4, 56)
    other = face.clone()
    other[:, 2] = 0
    changed = (encoder(face=face) != encoder(face=other)).any(-1)[0]
    assert changed.tolist() == [False, False, True, False]


def test_nothing_gives_no_token(encoder: FaceMotionEncoder) -> None:
    with pytest.raises(ValueError, match="needs a face"):
        encoder()


def test_frames_of_tokens() -> None:
    assert token_frames(6).tolist() == [0, 1, 1, 1, 1, 2]


def test_face_values(perform: object) -> None:
    controls = perform(1, jawOpen=[0, 1, 0])  # type: ignore[operator]
    values = face_values(controls)
    assert values is not None
    assert values.shape == (25, FACE_CHANNELS)
    assert np.array_equal(values[:, :52], controls.face.blendshapes)
    assert np.array_equal(values[:, 52:], controls.face.gaze.reshape(25, 4))
    assert face_values(Controls(num_frames=1, fps=Fraction(1), width=8, height=8)) is None
