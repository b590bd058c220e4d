"""Which drivers' bodies are wanted, and what is told of framings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli.body_space import shows_body
from dreamactor_cli.contracts import Controls, Job, Preset, RendererSpec
from dreamactor_cli.pipeline import body_signals
from dreamactor_cli.retarget.shown import driven
from tests.retarget.bodies import hide, open_hands, picture, pose

SPEC = RendererSpec(name="x", version="1", needs=("face", "head"), reference_needs=(), body_needs=("body", "hands"))
LEGS, ARMS = tuple(range(25, 33)), tuple(range(13, 23))


def wanted(reference: Controls, *region: str, spec: RendererSpec = SPEC) -> tuple[str, ...]:
    job = Job(id="a", references=(), output=Path("a.mp4"), preset=Preset(region=region or ("all",)))
    return body_signals(job, spec, reference)


def test_a_portrait_pays_for_no_body() -> None:
    assert wanted(hide(picture(pose()), *ARMS, 23, 24, *LEGS)) == ()
    assert wanted(replace(picture(pose()), body=None)) == ()
    # Joints below the edge of the picture are guessed by the network, however sure it is of them.
    reference = picture(pose(), size=(600, 700))
    assert wanted(replace(reference, height=150)) == ()


def test_a_body_is_wanted_where_it_shows_and_moves() -> None:
    body = picture(pose())
    assert wanted(body) == ("body",)
    with_hands = replace(body, hands=open_hands(pose(), body))
    assert wanted(with_hands) == ("body", "hands")
    assert wanted(with_hands, "body") == ("body",)
    assert wanted(with_hands, "hands") == ("body", "hands")
    assert wanted(with_hands, "face", "head") == ()
    assert wanted(with_hands, spec=replace(SPEC, body_needs=())) == ()
    faceless = picture(pose(), face=False)
    assert wanted(faceless, "head") == ("body",)
    assert wanted(faceless, "face") == ()


@pytest.mark.parametrize(
    ("seen", "shows"),
    [((11, 23), True), ((11, 15), True), ((11, 13, 14), True), ((11, 12, 13), False), ((23, 24, 25), False), ((), False)],
)
def test_what_counts_as_a_body(seen: tuple[int, ...], shows: bool) -> None:
    reference = hide(picture(pose()), *(k for k in range(11, 33) if k not in seen))
    assert shows_body(reference.body, reference.width, reference.height) is shows


def test_what_only_one_of_them_shows_is_told() -> None:
    every, no_legs = np.ones(33, bool), np.ones(33, bool)
    no_legs[list(LEGS)] = False
    no_arms = every.copy()
    no_arms[list(ARMS)] = False
    assert driven(every, every, ("all",)).notices == ()
    (told,) = driven(every, no_legs, ("all",)).notices
    assert told.endswith("head, torso, arms and hands move; the driver does not show legs, which stay at rest")
    (told,) = driven(no_arms, every, ("all",)).notices
    assert told.endswith("head, torso and legs move; the picture does not show the driver's arms or hands")
    assert driven(every, no_legs, ("hands",)).notices == ()  # nobody asked for legs
    assert driven(every, no_legs, ("all",)).stands
    assert not driven(every, every, ("all",)).stands


def test_a_limb_moves_whose_end_the_picture_only_tells_about() -> None:
    every = np.ones(33, bool)
    cut = every.copy()
    cut[[16, 18, 20, 22]] = False
    forearm, hand = 6, 18
    assert not driven(cut, every, ("all",)).bones[forearm]
    found = driven(cut, every, ("all",), every).bones
    assert found[forearm]
    assert not found[hand]  # neither of its ends is seen
