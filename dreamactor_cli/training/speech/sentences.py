"""What the synthesisers say: own sentences, shuffled words, invented words and numbers."""

from __future__ import annotations

import random
import re
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_LONGEST_WORD = 14
# Words of these cannot be taken apart by letters: tones are digits, or a character is a syllable.
_NO_INVENTED = ("cmn-latn-pinyin", "ja", "ko", "ar", "hi")
# Numbers of these espeak-ng 1.51 says otherwise from one process to the next, and all that follows, too.
_NO_NUMBERS = ("ar",)


@cache
def sentences() -> dict[str, tuple[str, ...]]:
    """Sentences by language."""
    text = Path(__file__).with_name("sentences.toml").read_text("utf-8")
    return {language: tuple(lines) for language, lines in tomllib.loads(text).items()}


def utterance(language: str, chance: random.Random) -> str:
    """Something to say, seldom the same twice.

    Args:
        language: a key of `sentences`.
        chance: source of randomness.
    """
    known = sentences()[language]
    kind = chance.random()
    if kind < 0.4:
        return chance.choice(known)
    if kind < 0.5 and language not in _NO_NUMBERS:
        numbers = (chance.choice((chance.randint(0, 99), chance.randint(100, 9999))) for _ in range(chance.randint(2, 4)))
        return ", ".join(map(str, numbers)) + "."
    words = [word for line in known for word in re.sub(r"[.,?!¿।。、]", " ", line).split()]
    if kind < 0.75 or language in _NO_INVENTED:
        return " ".join(chance.choices(words, k=chance.randint(5, 12))) + chance.choice(".?!,")
    said = (_invented(language, chance) if chance.random() < 0.7 else chance.choice(words) for _ in range(chance.randint(5, 11)))
    return " ".join(said) + chance.choice(".?!")


def _invented(language: str, chance: random.Random) -> str:
    """A word that the language might have: each letter follows the two or three before it as in the sentences."""
    followers = _followers(language)
    word = "^^^"
    while len(word) < _LONGEST_WORD + 3:
        context = word[-3:] if word[-3:] in followers and chance.random() < 0.5 else word[-2:]
        letter = chance.choice(followers.get(context, "$"))
        if letter == "$":
            break
        word += letter
    return word[3:]


@cache
def _followers(language: str) -> dict[str, Sequence[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in sentences()[language]:
        for word in re.findall(r"[^\W\d_]+", line.lower()):
            padded = f"^^^{word}$"
            for at in range(3, len(padded)):
                found[padded[at - 3 : at]].append(padded[at])
                found[padded[at - 2 : at]].append(padded[at])
    return dict(found)
