"""Sounds of speech as a mouth shows them, and how the synthesisers' phonemes map to them.

Sounds that look alike share a symbol: p, b and m are ``p``. The numbers are phonetic descriptions (jaw heights and lip shapes
of the IPA chart), not measurements of a speaker.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

SILENCE = "_"


class Vowel(NamedTuple):
    """What a vowel asks of the mouth: 0..1, width -1..1."""

    aperture: float
    jaw: float
    width: float
    rounding: float


class Consonant(NamedTuple):
    """What a consonant asks of the mouth, and how much it insists.

    Attributes:
        shape: in the order of `contracts.SPEECH_CHANNELS`.
        lips: dominance over opening and closure.
        spread: dominance over width and rounding.
    """

    shape: tuple[float, ...]
    lips: float
    spread: float


VOWELS = {
    "a": Vowel(1.0, 1.0, 0.1, 0.0), "æ": Vowel(0.92, 0.85, 0.4, 0.0), "ɑ": Vowel(1.0, 1.0, -0.05, 0.0),
    "ɐ": Vowel(0.82, 0.8, 0.1, 0.0), "ʌ": Vowel(0.75, 0.7, 0.0, 0.0), "ɒ": Vowel(0.68, 0.8, -0.35, 0.4),
    "ɔ": Vowel(0.5, 0.65, -0.5, 0.6), "ɛ": Vowel(0.78, 0.6, 0.45, 0.0), "œ": Vowel(0.42, 0.5, -0.45, 0.6),
    "ə": Vowel(0.5, 0.42, 0.05, 0.0), "ɜ": Vowel(0.5, 0.45, 0.05, 0.05), "ɚ": Vowel(0.45, 0.4, -0.15, 0.3),
    "ᵻ": Vowel(0.48, 0.35, 0.3, 0.0), "e": Vowel(0.68, 0.45, 0.65, 0.0), "ø": Vowel(0.28, 0.35, -0.7, 0.85),
    "ɵ": Vowel(0.28, 0.33, -0.5, 0.6), "o": Vowel(0.3, 0.45, -0.75, 0.85), "ɤ": Vowel(0.5, 0.4, 0.1, 0.0),
    "ɪ": Vowel(0.57, 0.35, 0.5, 0.0), "ʊ": Vowel(0.25, 0.3, -0.6, 0.7), "i": Vowel(0.56, 0.22, 0.85, 0.0),
    "y": Vowel(0.16, 0.2, -0.85, 1.0), "u": Vowel(0.12, 0.2, -1.0, 1.0), "ʉ": Vowel(0.16, 0.2, -0.8, 0.9),
    "ɯ": Vowel(0.4, 0.25, 0.15, 0.1), "ɨ": Vowel(0.5, 0.25, 0.4, 0.0),
}  # fmt: skip

CONSONANTS = {  # aperture, jaw, width, rounding, closure, upper lip, lip tuck, tongue, teeth
    "p": Consonant((0.0, 0.15, -0.1, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0), 8.0, 0.6),
    "β": Consonant((0.1, 0.2, 0.0, 0.2, 0.45, 0.0, 0.0, 0.0, 0.0), 3.0, 0.5),
    "f": Consonant((0.1, 0.15, 0.1, 0.0, 0.0, 0.3, 1.0, 0.0, 0.6), 5.0, 0.7),
    "θ": Consonant((0.3, 0.2, 0.15, 0.0, 0.0, 0.2, 0.0, 1.0, 0.6), 1.0, 0.4),
    "t": Consonant((0.33, 0.2, 0.15, 0.0, 0.0, 0.15, 0.0, 0.5, 0.5), 0.7, 0.25),
    "l": Consonant((0.38, 0.32, 0.1, 0.0, 0.0, 0.1, 0.0, 0.7, 0.4), 0.6, 0.25),
    "s": Consonant((0.4, 0.08, 0.35, 0.0, 0.0, 0.3, 0.0, 0.1, 1.0), 1.2, 0.7),
    "ʃ": Consonant((0.48, 0.1, -0.5, 0.65, 0.0, 0.55, 0.0, 0.0, 1.0), 1.3, 1.5),
    "ɕ": Consonant((0.42, 0.1, 0.3, 0.1, 0.0, 0.4, 0.0, 0.0, 1.0), 1.2, 0.8),
    "ɹ": Consonant((0.34, 0.25, -0.4, 0.5, 0.0, 0.25, 0.0, 0.2, 0.4), 0.9, 0.9),
    "r": Consonant((0.44, 0.28, 0.1, 0.0, 0.0, 0.15, 0.0, 0.5, 0.5), 0.5, 0.2),
    "k": Consonant((0.46, 0.32, 0.05, 0.0, 0.0, 0.1, 0.0, 0.1, 0.2), 0.35, 0.12),
    "h": Consonant((0.5, 0.4, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1), 0.15, 0.05),
    "j": Consonant((0.4, 0.2, 0.6, 0.0, 0.0, 0.15, 0.0, 0.2, 0.4), 1.0, 1.2),
    "w": Consonant((0.06, 0.2, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0), 2.4, 3.0),
    "ɥ": Consonant((0.1, 0.2, -0.9, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0), 2.2, 3.0),
}  # fmt: skip

# Viseme (a name of `speech_motion.VISEMES`) by symbols.
_VISEMES = {
    "silence": SILENCE, "p": "pβ", "f": "f", "th": "θ", "t": "tlr", "s": "s", "sh": "ʃɕ", "r": "ɹ", "k": "kh", "j": "j",
    "w": "wɥ", "a": "aæɑɐʌɒ", "e": "ɛe", "o": "ɔoœøɵ", "i": "iɪɨᵻ", "u": "uʊyʉ", "schwa": "əɜɚɤɯ",
}  # fmt: skip
VISEME_OF = {symbol: name for name, symbols in _VISEMES.items() for symbol in symbols}

_IPA_GROUPS = {
    "p": "pbmɓ", "β": "ɸβ", "f": "fvʋɱ", "θ": "θð", "t": "tdnɗʈɖɳʣʦ", "l": "lɫɭʎɬ", "s": "sz", "ʃ": "ʃʒʂʐ", "ɕ": "ɕʑçʝ",
    "ɹ": "ɹɻ", "r": "rɾɽ", "k": "kgɡŋxɣqɢɴcɟɲʁχʀɰ", "h": "hɦʔħʕ", "j": "j", "w": "wʍ", "ɥ": "ɥ",
}  # fmt: skip
_IPA = {sign: symbol for symbol, signs in _IPA_GROUPS.items() for sign in signs} | {vowel: vowel for vowel in VOWELS}
_VOICELESS_LIPS = "p"

# What espeak-ng 1.51 writes in ASCII where it means IPA, above all in Pinyin.
_ESPEAK_SPELLING = (("onɡ", "ʊŋ"), ('u"', "ʉ"), ("ts.h", "tʂ"), ("s.h", "tʂ"), ("s.", "ʂ"), ("r.", "ɽ"), ("i.", "ɨ"))

# The label of an English p includes its aspiration, in which the lips are already apart.
_ARPABET = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "eh": "ɛ", "er": "ɚ", "ey": "eɪ",
    "ih": "ɪ", "iy": "i", "ow": "oʊ", "oy": "ɔɪ", "uh": "ʊ", "uw": "u", "b": "p", "p": "ph", "m": "p", "em": "p", "f": "f",
    "v": "f", "th": "θ", "dh": "θ", "t": "t", "d": "t", "dx": "t", "n": "t", "nx": "t", "en": "t", "l": "l", "el": "l", "s": "s",
    "z": "s", "sh": "ʃ", "zh": "ʃ", "ch": "ʃ", "jh": "ʃ", "r": "ɹ", "k": "k", "g": "k", "ng": "k", "hh": "h", "hv": "h",
    "y": "j", "w": "w", "pau": SILENCE, "h#": SILENCE, "brth": SILENCE,
}  # fmt: skip
_RUSSIAN_VOWELS = {
    "a": "a", "aa": "a", "ae": "ə", "ay": "ə", "i": "i", "ii": "i", "y": "ɨ", "yy": "ɨ", "e": "ɛ", "ee": "e", "o": "o", "oo": "o",
    "u": "u", "uu": "u", "ur": "ʊ", "yo": "o", "ye": "ɛ",
}  # fmt: skip
_RUSSIAN_GROUPS = {
    "p": "b p m", "f": "v f", "t": "t d n", "l": "l", "r": "r", "s": "s z c", "ʃ": "sh zh", "ɕ": "ch sch", "k": "k g h", "j": "j",
    SILENCE: "pau # _ h#",
}  # fmt: skip
# A doubled consonant is the palatalised one, which looks the same.
_RUSSIAN = _RUSSIAN_VOWELS | {
    form: symbol for symbol, names in _RUSSIAN_GROUPS.items() for name in names.split() for form in (name, name + name)
}  # fmt: skip


def from_ipa(text: str) -> str:
    """Symbols of what espeak-ng writes for one phoneme; empty if it is only a mark, such as stress or length."""
    text = unicodedata.normalize("NFD", text)
    for written, meant in _ESPEAK_SPELLING:
        text = text.replace(written, meant)
    symbols = ""
    for sign in text:
        symbol = _IPA.get(sign, "")
        if symbol == "h" and symbols and symbols[-1] in CONSONANTS:
            continue  # aspiration
        if symbols.endswith("t") and symbol in ("ʃ", "ɕ", "s"):  # an affricate looks like its second half
            symbols = symbols[:-1]
        if symbol and not symbols.endswith(symbol):
            symbols += symbol
    return symbols


def is_voiceless_lip_stop(text: str) -> bool:
    """Whether espeak-ng's phoneme is a p, whose closure is silent."""
    return text.startswith(_VOICELESS_LIPS)


def from_arpabet(name: str) -> str:
    """Symbols of a phoneme of flite's and festival's English voices; a schwa for one that is unknown."""
    return _ARPABET.get(name, "ə")


def from_russian(name: str) -> str:
    """Symbols of a phoneme of festival's ``msu_ru`` voice; a velar, which shows nothing, for one that is unknown."""
    return _RUSSIAN.get(name, "k")
