"""Something to say in every language, the same for the same seed."""

import random

import pytest

from dreamactor_cli.training.speech.sentences import sentences, utterance


@pytest.mark.parametrize("language", sorted(sentences()))
def test_there_is_always_something_to_say(language: str) -> None:
    chance = random.Random(1)
    said = [utterance(language, chance) for _ in range(200)]
    assert min(map(len, said)) >= 2
    assert len(set(said)) > 100
    assert set(said) & set(sentences()[language])


def test_a_seed_says_the_same() -> None:
    assert [utterance("de", random.Random(3)) for _ in range(5)] == [utterance("de", random.Random(3)) for _ in range(5)]
