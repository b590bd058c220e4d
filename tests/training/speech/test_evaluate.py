"""The weights that ship, judged by voices and languages that they never heard."""

from collections.abc import Mapping

import numpy as np
import pytest

from dreamactor_cli.models import speech_weights
from dreamactor_cli.training.speech.corpus import Speech, join
from dreamactor_cli.training.speech.evaluate import Score, evaluate, pearson

NAMES = ("both", "languages", "recorded", "voices")


@pytest.fixture(scope="module")
def scores(held_out: Mapping[str, Speech]) -> Mapping[str, Score]:
    model = speech_weights.load()
    return {name: evaluate(model, speech) for name, speech in held_out.items()}


def test_shipped_weights_hear_who_they_never_heard(held_out: Mapping[str, Speech]) -> None:
    judged = evaluate(speech_weights.load(), join(list(held_out.values())))
    assert judged.seconds > 30
    assert judged.correlation["aperture"] >= 0.80
    assert judged.correlation["aperture"] >= judged.loudness + 0.15
    assert judged.visemes >= 0.65
    assert judged.correlation["width"] >= 0.70
    assert judged.correlation["closure"] >= 0.60


@pytest.mark.parametrize("name", NAMES)
def test_no_set_is_left_behind(scores: Mapping[str, Score], name: str) -> None:
    assert scores[name].correlation["aperture"] >= max(0.70, scores[name].loudness + 0.15)
    assert scores[name].visemes >= 0.60


def test_other_speech_is_no_match(held_out: Mapping[str, Speech]) -> None:
    shifted = {name: speech._replace(articulation=np.roll(speech.articulation, 300, 0)) for name, speech in held_out.items()}
    judged = [evaluate(speech_weights.load(), speech).correlation["aperture"] for speech in shifted.values()]
    assert np.abs(judged).max() < 0.4


def test_correlation() -> None:
    ramp = np.arange(10.0)
    assert pearson(ramp, 3 * ramp - 1) == pytest.approx(1)
    assert pearson(ramp, -ramp) == pytest.approx(-1)
    assert pearson(ramp, np.ones(10)) == 0
