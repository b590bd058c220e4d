"""What a mouth does in sounds and pauses."""

import numpy as np
import pytest

from dreamactor_cli.contracts import SPEECH_CHANNELS
from dreamactor_cli.models.speech_motion import RANGES, VISEMES
from dreamactor_cli.training.speech.phonemes import CONSONANTS, SILENCE, VISEME_OF, VOWELS, from_arpabet, from_ipa, from_russian
from dreamactor_cli.training.speech.targets import Segment, make_targets, open_wider_when_loud


def said(symbols: str, seconds: float = 0.1) -> dict[str, np.ndarray]:
    """Articulation by name of sounds of equal length."""
    segments = [Segment(i * seconds, (i + 1) * seconds, symbol) for i, symbol in enumerate(symbols)]
    made = make_targets(segments, round(len(symbols) * seconds * 100))
    return dict(zip(SPEECH_CHANNELS, made.articulation.T, strict=True))


@pytest.mark.parametrize("around", ["aa", "iu", "ɛɔ"])
def test_lips_close_for_p(around: str) -> None:
    mouth = said(f"{around[0]}p{around[1]}")
    assert mouth["aperture"][15] < 0.12
    assert mouth["closure"][15] > 0.75
    assert mouth["closure"][[2, 27]].max() < 0.2


def test_lip_tucks_for_f_and_tongue_shows_for_th() -> None:
    assert said("afa")["lip_tuck"][15] > 0.6
    assert said("aθa")["tongue"][15] > 0.4
    assert said("asa")["teeth"][15] > said("aka")["teeth"][15] + 0.2


def test_vowels_have_their_shapes() -> None:
    open_, spread, round_ = (said(f"t{vowel}t") for vowel in "aiu")
    assert open_["aperture"][15] > spread["aperture"][15] > round_["aperture"][15]
    assert open_["jaw"][15] > spread["jaw"][15]
    assert spread["width"][15] > 0.3 > -0.3 > round_["width"][15]
    assert round_["rounding"][15] > 0.5 > 0.1 > spread["rounding"][15]


def test_rounding_begins_before_its_vowel() -> None:
    assert said("tu")["rounding"][8] > said("ti")["rounding"][8] + 0.2


def test_lips_stay_parted_in_a_short_pause_and_close_in_a_long_one() -> None:
    short = make_targets([Segment(0, 0.3, "a"), Segment(0.3, 0.6, SILENCE), Segment(0.6, 0.9, "a")], 90).articulation[45]
    long = make_targets([Segment(0, 0.3, "a"), Segment(0.3, 2.3, SILENCE), Segment(2.3, 2.6, "a")], 260).articulation[130]
    aperture, closure = SPEECH_CHANNELS.index("aperture"), SPEECH_CHANNELS.index("closure")
    assert 0.25 < short[aperture] < 0.6
    assert short[closure] < 0.1
    assert long[aperture] < 0.15
    assert long[closure] > 0.3


def test_visemes_are_those_of_the_moment() -> None:
    made = make_targets([Segment(0, 0.1, SILENCE), Segment(0.1, 0.2, "p"), Segment(0.2, 0.3, "a")], 30)
    assert [VISEMES[made.visemes[at]] for at in (5, 15, 25)] == ["silence", "p", "a"]


def test_every_sound_has_a_viseme_and_a_shape_within_its_range() -> None:
    assert set(VISEME_OF) == {*VOWELS, *CONSONANTS, SILENCE}
    assert set(VISEME_OF.values()) == set(VISEMES)
    for symbol in VISEME_OF:
        made = make_targets([Segment(0, 1, symbol)], 100).articulation
        assert (made >= RANGES[:, 0]).all()
        assert (made <= RANGES[:, 1]).all()


def test_louder_is_wider() -> None:
    articulation = np.full((200, 9), 0.5, np.float32)
    mel = np.full((200, 64), -8, np.float32)
    mel[100:] = 0
    louder = open_wider_when_loud(articulation, mel)
    assert louder[150, 0] > 1.5 * louder[50, 0]
    np.testing.assert_array_equal(louder[:, 2:], articulation[:, 2:])


@pytest.mark.parametrize(
    ("ipa", "symbols"),
    [
        ("m", "p"),
        ("tʃ", "ʃ"),
        ("tʰ", "t"),
        ("aɪ", "aɪ"),
        ("ˈ", ""),
        ("ː", ""),
        ("ɲ", "k"),
        ("ts.h", "ʂ"),
        ("ỹ", "y"),
        ("kh", "k"),
    ],
)
def test_ipa(ipa: str, symbols: str) -> None:
    assert from_ipa(ipa) == symbols.replace("ʂ", "ʃ")


def test_other_alphabets() -> None:
    assert [from_arpabet(name) for name in ("ey", "m", "p", "pau", "xx")] == ["eɪ", "p", "ph", SILENCE, "ə"]
    assert [from_russian(name) for name in ("bb", "m", "ay", "pau", "xx")] == ["p", "p", "ə", SILENCE, "k"]
