"""The synthesisers say when each sound begins; skipped where they are not installed."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from dreamactor_cli.models.speech_features import SAMPLE_RATE, frame_levels, log_mel
from dreamactor_cli.training.speech import espeak, festival, flite
from dreamactor_cli.training.speech.phonemes import SILENCE
from dreamactor_cli.training.speech.targets import Segment
from dreamactor_cli.training.speech.voices import Utterance, finish, is_usable

pytestmark = pytest.mark.usefixtures("synthesisers")


def said(source: str, count: int) -> Iterator[Utterance]:
    chance = random.Random(4)
    for _ in range(count):
        if source == "espeak":
            found = espeak.speak(["de", "ja", "cmn-latn-pinyin"], ["f1", "klatt2"], chance)
        else:
            found = flite.speak(["slt"], chance)
        if found:
            yield found


@pytest.fixture(scope="module", params=["espeak", "flite", "kal", "msu_ru"])
def utterances(request: pytest.FixtureRequest) -> list[Utterance]:
    source = request.param
    if source in festival.VOICES:
        return list(festival.speak(source, random.Random(4)))
    return list(said(source, 8))


def test_sounds_cover_an_utterance(utterances: list[Utterance]) -> None:
    assert len(utterances) >= 4
    for samples, segments in utterances:
        assert segments[0].start == 0
        assert segments[-1].end == pytest.approx(len(samples) / SAMPLE_RATE, abs=0.002)
        assert all(a.end == pytest.approx(b.start, abs=0.002) for a, b in zip(segments, segments[1:]))
        assert is_usable(len(samples) / SAMPLE_RATE, segments)
        assert np.abs(samples).max() <= 1


def test_vowels_are_louder_than_pauses(utterances: list[Utterance]) -> None:
    vowels, pauses = [], []
    for samples, segments in utterances:
        level = frame_levels(log_mel(samples))
        for segment in segments:
            middle = level[round((segment.start + segment.end) * 50)] - np.percentile(level, 95)
            if segment.symbol in "aɑɛ":
                vowels.append(middle)
            elif segment.symbol == SILENCE and segment.end - segment.start > 0.15:
                pauses.append(middle)
    assert np.median(vowels) > np.median(pauses) + 3


def test_a_voice_that_is_not_there_says_nothing() -> None:
    samples, phonemes = espeak.Espeak().say("hello", "no-such-language", rate=160, pitch=50, pitch_range=50)
    assert len(samples) == len(phonemes) == 0


def test_sounds_move_with_the_voice() -> None:
    """A click stays in its segment when the voice becomes lower, slower and padded."""
    samples = np.zeros(22_050)
    samples[11_025] = 1
    segments = [Segment(0, 0.49, SILENCE), Segment(0.49, 0.51, "a"), Segment(0.51, 1, SILENCE)]
    for seed in range(8):
        made = finish(samples, 22_050, segments, random.Random(seed))
        click = np.abs(made.samples).argmax() / SAMPLE_RATE
        (vowel,) = (segment for segment in made.segments if segment.symbol == "a")
        assert vowel.start <= click <= vowel.end
