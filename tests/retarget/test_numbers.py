"""Blendshapes and gaze of the reference in motion."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli.contracts import BLENDSHAPES, Controls, Face, Preset, Reference
from dreamactor_cli.retarget.numbers import blendshape_shares
from dreamactor_cli.retarget.transfer import RetargetedStream

JAW, BLINK, BROW = (BLENDSHAPES.index(name) for name in ("jawOpen", "eyeBlinkLeft", "browInnerUp"))


@pytest.fixture
def move(reference: Reference, perform: Callable[..., Controls]) -> Callable[..., Face]:
    """``move(jawOpen=[0, 1], expression_scale=0.5)``: the reference's face, moved by half a second of curves."""
    fields = set(Preset.__dataclass_fields__)

    def moved(**given: object) -> Face:
        curves = {name: values for name, values in given.items() if name not in fields}
        preset = Preset(smoothing=0, **{name: value for name, value in given.items() if name in fields})  # type: ignore[arg-type]
        driver = perform(0.4, **curves)
        face = RetargetedStream(reference.controls, driver, preset, Fraction(25)).window(0, 10).face
        assert face is not None
        return face

    return moved


def test_all_of_it(move: Callable[..., Face]) -> None:
    face = move(jawOpen=[0, 0.8, 0.8], eyeBlinkLeft=[0, 0.5, 0.5])
    assert face.blendshapes[-1, [JAW, BLINK]] == pytest.approx([0.8, 0.5], abs=0.02)


def test_a_part_of_it(move: Callable[..., Face]) -> None:
    mouth = move(jawOpen=[0, 0.8, 0.8], eyeBlinkLeft=[0, 0.5, 0.5], region=("mouth",)).blendshapes[-1]
    eyes = move(jawOpen=[0, 0.8, 0.8], eyeBlinkLeft=[0, 0.5, 0.5], region=("eyes",)).blendshapes[-1]
    assert mouth[JAW] > 0.6 > 0.1 > mouth[BLINK]
    assert eyes[BLINK] > 0.4 > 0.1 > eyes[JAW]


def test_more_and_less_of_it(move: Callable[..., Face]) -> None:
    assert move(jawOpen=[0, 0.8, 0.8], expression_scale=0.5).blendshapes[-1, JAW] == pytest.approx(0.4, abs=0.02)
    assert move(jawOpen=[0, 0.8, 0.8], expression_scale=3.0).blendshapes[-1, JAW] == 1.0


def test_what_the_anchor_frame_shows_is_the_start(move: Callable[..., Face]) -> None:
    assert move(browInnerUp=[0.5, 0.9, 0.9]).blendshapes[[0, -1], BROW] == pytest.approx([0, 0.4], abs=0.02)
    assert move(browInnerUp=[0.5, 0.9, 0.9], motion="absolute").blendshapes[0, BROW] == pytest.approx(0.5, abs=0.02)


def test_the_gaze_begins_where_the_picture_looks(move: Callable[..., Face], reference: Reference) -> None:
    face = reference.controls.face
    assert face is not None
    looked = move(eyeLookOutLeft=[0, 1], eyeLookInRight=[0, 1])
    assert np.allclose(looked.gaze[0], face.gaze[0], atol=1e-3)
    assert (looked.gaze[-1, :, 0] - looked.gaze[0, :, 0] > 0.1).all()
    still = move(eyeLookOutLeft=[0, 1], eyeLookInRight=[0, 1], region=("mouth",))
    assert np.abs(still.gaze - face.gaze[0]).max() < 0.02


def test_every_blendshape_belongs_somewhere() -> None:
    assert (blendshape_shares(("all",)) == 1).all()
    together = np.maximum(blendshape_shares(("eyes",)), blendshape_shares(("mouth",)))
    assert (together <= 1 + 1e-9).all()
    assert together[[JAW, BLINK, BROW]].min() > 0.7
