"""espeak-ng through its library: hundreds of formant voices in a hundred languages, with the time of every phoneme.

Synchronous synthesis; events of type 7 carry the phoneme in IPA and the sample it begins at (``speak_lib.h``).
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.errors import MissingRequirement
from dreamactor_cli.training.speech import voices
from dreamactor_cli.training.speech.phonemes import CONSONANTS, SILENCE, VOWELS, from_ipa, is_voiceless_lip_stop
from dreamactor_cli.training.speech.sentences import utterance
from dreamactor_cli.training.speech.targets import Segment

I16 = NDArray[np.int16]

LIBRARY = "libespeak-ng.so.1"
# Accents that speak the sentences of another name.
ACCENTS = {
    "en-gb-x-rp": "en-us", "en-gb-scotland": "en-us", "en-029": "en-us", "en-us-nyc": "en-us", "es-419": "es", "pt": "pt-br",
    "fr-be": "fr", "fr-ch": "fr",
}  # fmt: skip
VARIANTS = (
    "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "Alex", "Alicia", "Andrea", "Andy", "Annie",
    "anika", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "Gene", "grandma", "grandpa", "Henrique",
    "Hugo", "iven", "iven2", "iven3", "Jacky", "john", "kaukovalta", "klatt", "klatt2", "klatt3", "klatt4", "Lee", "linda",
    "marcelo", "Marco", "Mario", "max", "michel", "miguel", "Mike", "Nguyen", "norbert", "pablo", "paul", "pedro", "quincy",
    "rob", "robert", "sandro", "shelby", "steph", "travis", "victor", "zac", "croak", "whisper",
)  # fmt: skip

_OUTPUT_SYNCHRONOUS, _PHONEMES_AS_IPA = 2, 0x0001 | 0x0002
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4  # espeak_PARAMETER
_UTF8, _END_PAUSE = 1, 0x1000
_END_OF_LIST, _END_OF_CLAUSE, _END_OF_MESSAGE, _PHONEME = 0, 5, 6, 7  # espeak_EVENT_TYPE

_HOP = 0.004  # seconds of a step when the beginning of a closure is looked for
_LONGEST_CLOSURE, _SHORTEST_CLOSURE = 0.12, 0.03  # seconds before the burst
_RELEASE = 0.012  # seconds after the burst until the lips let go


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("uid", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p), ("id", _Id),
    ]  # fmt: skip


class _Phoneme(NamedTuple):
    """``text`` is IPA, empty for a pause; ``start`` in samples."""

    start: int
    text: str


class Espeak:
    """The library, one in a process.

    Raises:
        MissingRequirement: it is not installed.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise MissingRequirement(f"{LIBRARY} is not installed", voices.APT) from error
        self.rate = int(self._library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, None, _PHONEMES_AS_IPA))
        if self.rate <= 0:
            raise MissingRequirement("espeak-ng finds no data", voices.APT)
        self._blocks: list[I16] = []
        self._phonemes: list[_Phoneme] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = kind(self._take)  # lives as long as the library may call it
        self._library.espeak_SetSynthCallback(self._callback)

    def seed(self, number: int) -> None:
        """Seed the noise of its voices, which comes from C's ``rand``."""
        ctypes.CDLL(None).srand(number)

    def say(self, text: str, voice: str, *, rate: int, pitch: int, pitch_range: int) -> tuple[I16, list[_Phoneme]]:
        """Say a text; no samples if there is no such voice.

        Args:
            text: in the language of the voice.
            voice: ``language+variant``.
            rate: words a minute.
            pitch: 0..100.
            pitch_range: 0..100.
        """
        self._blocks, self._phonemes = [], []
        if self._library.espeak_SetVoiceByName(voice.encode()):
            return np.empty(0, np.int16), []
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_PITCH_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        said = text.encode()
        self._library.espeak_Synth(ctypes.c_char_p(said), len(said) + 1, 0, 0, 0, _UTF8 | _END_PAUSE, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate([np.empty(0, np.int16), *self._blocks]), self._phonemes

    def _take(self, samples: Any, count: int, events: Any) -> int:
        if count > 0 and samples:
            self._blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        at = 0
        while events[at].type != _END_OF_LIST:
            event = events[at]
            if event.type == _PHONEME:
                name = ctypes.string_at(ctypes.addressof(event) + _Event.id.offset, 8).split(b"\0")[0]
                self._phonemes.append(_Phoneme(event.sample, name.decode("utf-8", "ignore")))
            elif event.type in (_END_OF_CLAUSE, _END_OF_MESSAGE):
                self._phonemes.append(_Phoneme(event.sample, ""))
            at += 1
        return 0


@cache
def _espeak() -> Espeak:
    return Espeak()


def check() -> None:
    """Find out whether the synthesiser is there.

    Raises:
        MissingRequirement: it is not.
    """
    _espeak()


def speak(languages: Sequence[str], variants: Sequence[str], chance: random.Random) -> voices.Utterance | None:
    """Say something in a random voice; None if nothing usable came of it."""
    language = chance.choice(languages)
    text = utterance(ACCENTS.get(language, language), chance)
    voice = f"{language}+{chance.choice(variants)}" if chance.random() < 0.95 else language
    _espeak().seed(chance.getrandbits(31))
    samples, phonemes = _espeak().say(
        text, voice, rate=int(chance.triangular(95, 240, 165)), pitch=chance.randint(15, 85), pitch_range=chance.randint(15, 90)
    )
    rate = _espeak().rate
    segments = _segments(phonemes, samples, rate)
    if not voices.is_usable(len(samples) / rate, segments):
        return None
    return voices.finish(samples, rate, segments, chance)


def _segments(phonemes: Sequence[_Phoneme], samples: I16, rate: int) -> list[Segment]:
    """Timed sounds of timed phonemes."""
    total = len(samples) / rate
    quiet = _quiet_steps(samples, rate)
    starts = [phoneme.start / rate for phoneme in phonemes]
    found: list[Segment] = []
    for phoneme, start, end in zip(phonemes, starts, [*starts[1:], total]):
        if end - start < 1e-4 or phoneme.text.startswith("("):  # a switch to another language
            continue
        symbols = from_ipa(phoneme.text) if phoneme.text else SILENCE
        if not symbols:
            if found:
                found[-1] = found[-1]._replace(end=end)
        elif is_voiceless_lip_stop(phoneme.text) and found:
            closed = _closure_start(start, found[-1], quiet)
            found[-1] = found[-1]._replace(end=closed)
            released = min(start + _RELEASE, end)
            found += [Segment(closed, released, "p"), Segment(released, end, "h")]
        else:
            found += _share(symbols, start, end)
    return [segment for segment in found if segment.end > segment.start]


def _share(symbols: str, start: float, end: float) -> list[Segment]:
    """Sounds of one phoneme: the first half of a diphthong lasts longer, a consonant in a syllable less than its vowel."""
    weights = np.ones(len(symbols))
    if symbols[0] in VOWELS and symbols[-1] in VOWELS:
        weights[0] = 1.2
    if any(symbol in VOWELS for symbol in symbols):
        weights[[symbol in CONSONANTS for symbol in symbols]] = 0.6
    edges = start + np.concatenate([[0], np.cumsum(weights) / weights.sum()]) * (end - start)
    return [Segment(float(a), float(b), symbol) for a, b, symbol in zip(edges[:-1], edges[1:], symbols)]


def _quiet_steps(samples: I16, rate: int) -> NDArray[np.bool_]:
    """Whether each step of `_HOP` seconds is silent enough for a closure."""
    hop = int(_HOP * rate)
    count = len(samples) // hop
    level = np.sqrt((samples[: count * hop].reshape(count, hop).astype(np.float64) ** 2).mean(1))
    return level < max(20.0, 0.03 * np.percentile(level, 95)) if count else np.zeros(0, bool)


def _closure_start(burst: float, before: Segment, quiet: NDArray[np.bool_]) -> float:
    """When the lips closed for a p: the event of a voiceless stop is its burst, the silence before it belongs to it."""
    at = min(int(burst / _HOP), len(quiet))
    first = at
    while first > 0 and at - first < _LONGEST_CLOSURE / _HOP and quiet[first - 1]:
        first -= 1
    start = max(min((first + 1) * _HOP, burst - _SHORTEST_CLOSURE), burst - _LONGEST_CLOSURE)
    return max(start, before.start + 0.25 * (before.end - before.start))
