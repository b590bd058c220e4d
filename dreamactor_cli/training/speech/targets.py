"""From timed sounds to what the mouth does: coarticulation by dominance functions (Cohen & Massaro 1993).

Every sound pulls each articulator towards its target with a strength that falls off exponentially around it; the articulator
is where the weighted mean of the targets lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from dreamactor_cli.contracts import SPEECH_CHANNELS
from dreamactor_cli.models.speech_features import FRAME_RATE, frame_levels
from dreamactor_cli.models.speech_motion import VISEMES
from dreamactor_cli.training.speech.phonemes import CONSONANTS, SILENCE, VISEME_OF, VOWELS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_LIPS, _JAW = SPEECH_CHANNELS.index("aperture"), SPEECH_CHANNELS.index("jaw")
_FAR = 0.5  # seconds beyond which a sound is not felt
_SMOOTH = 0.018  # seconds; lips have mass

# Seconds in which the pull falls to 1/e before and after a sound, in the order of the channels.
_BEFORE_VOWEL = (0.055, 0.07, 0.08, 0.11, 0.02, 0.06, 0.03, 0.04, 0.05)
_AFTER_VOWEL = (0.05, 0.07, 0.07, 0.08, 0.02, 0.06, 0.03, 0.04, 0.05)
_BEFORE_CONSONANT = (0.04, 0.06, 0.07, 0.11, 0.018, 0.05, 0.03, 0.03, 0.04)
_AFTER_CONSONANT = (0.04, 0.06, 0.06, 0.07, 0.018, 0.05, 0.03, 0.03, 0.04)
_LIP_SOUND = 0.028  # the lips' own sounds pull more briefly
_BEFORE_PAUSE, _AFTER_PAUSE = (0.06,) * 9, (0.07,) * 9

# In a short pause the lips stay parted; they close only in one that lasts. The largest single factor on real speakers.
_PARTED = (0.33, 0.2, 0.0, 0.0, 0.0, 0.05, 0.0, 0.0, 0.1)
_CLOSED = (0.03, 0.03, 0.0, 0.0, 0.6, 0.0, 0.0, 0.0, 0.0)
_LONG_PAUSE = 0.5  # seconds
_STAYS_PARTED, _OPENS_EARLY = 0.25, 0.2  # seconds at the ends of a long pause
_CLOSING = 0.12  # seconds


class Segment(NamedTuple):
    """A sound, in seconds; ``symbol`` is one of `phonemes`."""

    start: float
    end: float
    symbol: str


class _Pull(NamedTuple):
    """What a sound asks for: target, strength, and reach before and after, (9,) each."""

    target: F64
    strength: F64
    before: F64
    after: F64


class Targets(NamedTuple):
    """What the network shall say, at the rate of the mel frames.

    Attributes:
        articulation: (T, 9), columns `SPEECH_CHANNELS`.
        visemes: (T,), numbers of `VISEMES`.
    """

    articulation: F32
    visemes: NDArray[np.uint8]


def make_targets(segments: Sequence[Segment], frames: int) -> Targets:
    """Articulation of a sequence of sounds.

    Args:
        segments: in order, without gaps.
        frames: T, at `FRAME_RATE`.
    """
    times = np.arange(frames) / FRAME_RATE
    weighted, weights = np.zeros((frames, 9)), np.full((frames, 9), 1e-6)
    visemes = np.zeros(frames, np.uint8)
    for segment in segments:
        first, last = np.searchsorted(times, [segment.start - _FAR, segment.end + _FAR])
        near = slice(int(first), int(last))
        for target, dominance in _dominances(segment, times[near]):
            weighted[near] += dominance * target
            weights[near] += dominance
        inside = slice(*np.searchsorted(times, [segment.start, segment.end]))
        visemes[inside] = VISEMES.index(VISEME_OF[segment.symbol])
    smooth = gaussian_filter1d(weighted / weights, _SMOOTH * FRAME_RATE, axis=0)
    return Targets(smooth.astype(np.float32), visemes)


def open_wider_when_loud(articulation: F32, mel: F32) -> F32:
    """Lips and jaw by the loudness of the moment: half a second of shouting opens them further than murmuring does."""
    level = frame_levels(mel) * (10 / np.log(10))
    loudness = gaussian_filter1d(np.maximum(level - np.percentile(level, 95), -25.0), 0.1 * FRAME_RATE)
    factor = 1 + np.clip((loudness + 8) / 20, -0.35, 0.25)
    scaled = articulation.copy()
    scaled[:, [_LIPS, _JAW]] *= factor[:, None]
    return scaled


def _dominances(segment: Segment, times: F64) -> list[tuple[F64, F64]]:
    """Targets (9,) of a sound, each with its dominance at some times, (n, 9)."""
    length = segment.end - segment.start
    pull = _pull(segment.symbol, length)
    distance = np.maximum(0, np.maximum(segment.start - times, times - segment.end))[:, None]
    reach = np.where((times < segment.start)[:, None], pull.before, pull.after)
    dominances = [(pull.target, pull.strength * np.exp(-distance / reach) * np.clip(length / 0.05, 0.5, 1.3))]
    if segment.symbol == SILENCE and length > _LONG_PAUSE:
        start, end = segment.start + _STAYS_PARTED, segment.end - _OPENS_EARLY
        distance = np.maximum(0, np.maximum(start - times, times - end))[:, None]
        strength = 3 * min(1.0, (length - _LONG_PAUSE) / 0.4 + 0.2)
        dominances.append((np.array(_CLOSED), np.repeat(strength * np.exp(-distance / _CLOSING), 9, 1)))
    return dominances


def _pull(symbol: str, length: float) -> _Pull:
    """What a sound of some length, seconds, asks for."""
    if symbol == SILENCE:
        strength = np.array([1.0, 1.0, 0.6, 0.6, 1.0, 1.0, 1.0, 1.0, 1.0]) * (0.25 if length < 0.12 else min(1.0, length / 0.35))
        return _Pull(np.array(_PARTED), strength, np.array(_BEFORE_PAUSE), np.array(_AFTER_PAUSE))
    if symbol in VOWELS:
        vowel = VOWELS[symbol]
        shown = 0.25 if vowel.width > -0.2 else 0.0
        target = np.array([*vowel, 0.0, 0.1 + 0.25 * max(vowel.width, 0), 0.0, 0.1, shown])
        return _Pull(target, np.full(9, np.clip(length / 0.09, 0.45, 1.4)), np.array(_BEFORE_VOWEL), np.array(_AFTER_VOWEL))
    shape, lips, spread = CONSONANTS[symbol]
    closure = max(lips, 1) if symbol in "pβ" else 0.6
    tuck = 3.0 if symbol == "f" else 0.5
    strength = np.array([lips, min(lips, 1), spread, spread, closure, 0.8, tuck, 0.8, 0.8])
    before, after = np.array(_BEFORE_CONSONANT), np.array(_AFTER_CONSONANT)
    if symbol in "pfβ":
        before[_LIPS] = after[_LIPS] = _LIP_SOUND
    return _Pull(np.array(shape), strength, before, after)
