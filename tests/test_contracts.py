"""Signals check themselves, and are cut into windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dreamactor_cli.contracts import (
    BLENDSHAPES,
    SPEECH_CHANNELS,
    Appearance,
    Body,
    Controls,
    ControlStream,
    Hands,
    Reference,
    Speech,
)


def test_a_window_cuts_what_has_frames_and_keeps_the_rest(perform: Callable[..., Controls]) -> None:
    whole = perform(0.4, jawOpen=[0, 1])
    part = whole.window(3, 7)
    assert (part.num_frames, part.fps, part.width, part.height) == (4, whole.fps, 400, 300)
    assert part.face is not None
    assert whole.face is not None
    np.testing.assert_array_equal(part.face.landmarks, whole.face.landmarks[3:7])
    np.testing.assert_array_equal(part.face.identity, whole.face.identity)
    assert part.hands is None
    assert part.head is not None
    assert part.head.num_frames == 4


@pytest.mark.parametrize(("start", "stop", "frames"), [(-5, 3, 3), (8, 99, 2), (0, 10, 10), (4, 4, 0)])
def test_a_window_is_clipped_to_the_clip(perform: Callable[..., Controls], start: int, stop: int, frames: int) -> None:
    assert perform(0.4).window(start, stop).num_frames == frames


def test_controls_are_a_stream(perform: Callable[..., Controls]) -> None:
    assert isinstance(perform(0.2), ControlStream)


def test_signals_are_listed_by_name(perform: Callable[..., Controls]) -> None:
    assert list(perform(0.2).signals()) == ["face", "head", "body"]


def _hands(**changes: Any) -> Hands:
    arrays = {
        "joints_2d": np.zeros((3, 2, 21, 2), np.float32), "joints_3d": np.zeros((3, 2, 21, 3), np.float32),
        "score": np.zeros((3, 2), np.float32),
    }  # fmt: skip
    return Hands(**(arrays | changes))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"score": np.zeros((4, 2), np.float32)}, ValueError, "Hands.score"),
        ({"score": np.zeros((3, 2, 1), np.float32)}, ValueError, "Hands.score"),
        ({"joints_3d": np.zeros((3, 2, 20, 3), np.float32)}, ValueError, "Hands.joints_3d"),
        ({"joints_2d": np.zeros((3, 2, 21, 2))}, TypeError, "float64"),
        ({"joints_2d": [[1.0]]}, TypeError, "must be an array"),
    ],
)
def test_a_signal_refuses_what_has_another_shape(changes: dict[str, Any], error: type[Exception], says: str) -> None:
    assert _hands().num_frames == 3
    with pytest.raises(error, match=says):
        _hands(**changes)


def test_pictures_of_appearance_are_bytes() -> None:
    mouth, shading = np.zeros((2, 48, 96, 3), np.uint8), np.zeros((2, 64, 64, 3), np.uint8)
    assert Appearance(mouth=mouth, shading=shading).num_frames == 2
    with pytest.raises(TypeError, match="uint8"):
        Appearance(mouth=mouth.astype(np.float32), shading=shading)


def test_speech_has_a_column_a_channel(perform: Callable[..., Controls]) -> None:
    whole = perform(0.2)
    columns = np.zeros((whole.num_frames, len(SPEECH_CHANNELS)), np.float32)
    speech = Speech(articulation=columns, activity=columns[:, 0])
    assert replace(whole, speech=speech).window(1, 3).speech.num_frames == 2  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="articulation"):
        Speech(articulation=columns[:, 1:], activity=columns[:, 0])


def test_controls_refuse_signals_of_other_lengths(perform: Callable[..., Controls]) -> None:
    joints = np.zeros((3, 33, 2), np.float32)
    body = Body(joints_2d=joints, joints_3d=np.zeros((3, 33, 3), np.float32), score=np.zeros((3, 33), np.float32))
    with pytest.raises(ValueError, match="body"):
        replace(perform(0.2), body=body)


@pytest.mark.parametrize("changes", [{"width": 0}, {"height": 0}, {"fps": Fraction(0)}, {"num_frames": -1}])
def test_controls_refuse_a_clip_without_size_or_rate(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="need"):
        Controls(**({"num_frames": 1, "fps": Fraction(25), "width": 2, "height": 2} | changes))


def test_a_reference_has_a_matte_and_a_frame_an_image(reference: Reference) -> None:
    with pytest.raises(ValueError, match="matte"):
        replace(reference, matte=reference.matte[:, 1:])
    with pytest.raises(ValueError, match="one frame an image"):
        replace(reference, images=np.repeat(reference.images, 2, 0), matte=np.repeat(reference.matte, 2, 0))
    with pytest.raises(ValueError, match="uint8"):
        replace(reference, images=reference.images.astype(np.float32))


def test_contracts_do_not_change(perform: Callable[..., Controls]) -> None:
    with pytest.raises(FrozenInstanceError):
        perform(0.2).fps = Fraction(30)  # type: ignore[misc]


def test_there_are_52_blendshapes_and_each_once() -> None:
    assert len(set(BLENDSHAPES)) == len(BLENDSHAPES) == 52
