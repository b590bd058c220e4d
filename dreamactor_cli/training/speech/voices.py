"""What the synthesisers have in common: an utterance, and how the same voice becomes another one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from dreamactor_cli.models.speech_features import SAMPLE_RATE
from dreamactor_cli.training.speech.phonemes import SILENCE
from dreamactor_cli.training.speech.targets import Segment

F32 = NDArray[np.float32]

APT = (
    "apt-get install espeak-ng-data libespeak-ng1 flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts festvox-ru"
)

_FEWEST_SOUNDS = 8
_SHORTEST, _LONGEST = 0.8, 25.0  # seconds
_PITCH = (0.84, 1.19)  # a voice is moved between these, with its formants and its tempo
_ROUNDING = 1e-3  # seconds; a shorter gap is none
_PAUSES = (0.0, 0.0, 0.15, 0.4, 0.9, 1.8)  # seconds before an utterance


class Utterance(NamedTuple):
    """Something that was said.

    Attributes:
        samples: (N,), -1..1, at `SAMPLE_RATE`.
        segments: cover it from beginning to end.
    """

    samples: F32
    segments: tuple[Segment, ...]


def is_usable(seconds: float, segments: Sequence[Segment]) -> bool:
    """Whether a synthesiser said something that is worth learning from."""
    sounds = sum(segment.symbol != SILENCE for segment in segments)
    return _SHORTEST <= seconds <= _LONGEST and sounds >= _FEWEST_SOUNDS


def finish(samples: NDArray[np.generic], rate: int, segments: Sequence[Segment], chance: random.Random) -> Utterance:
    """Bring what a synthesiser said to our rate, in a voice between two and three tones lower or higher, with pauses around.

    Args:
        samples: (N,), of any scale.
        rate: Hz.
        segments: seconds of these samples.
        chance: source of randomness.
    """
    shift = float(np.exp(chance.uniform(*np.log(_PITCH)))) if chance.random() < 0.8 else 1.0
    ratio = Fraction(SAMPLE_RATE, rate) * Fraction(round(shift * 50), 50)
    sound = resample_poly(samples.astype(np.float32), ratio.numerator, ratio.denominator).astype(np.float32)
    sound *= 0.5 / (np.percentile(np.abs(sound), 99.5) + 1e-9)
    stretch = len(sound) / SAMPLE_RATE * rate / len(samples)
    before = chance.choice(_PAUSES)
    after = before / 2
    moved = [Segment(s.start * stretch + before, s.end * stretch + before, s.symbol) for s in segments]
    padded = np.pad(np.clip(sound, -1, 1), (round(before * SAMPLE_RATE), round(after * SAMPLE_RATE)))
    total = len(padded) / SAMPLE_RATE
    moved = [Segment(0.0, before, SILENCE), *moved, Segment(moved[-1].end, total, SILENCE)]
    return Utterance(padded.astype(np.float32), tuple(_join(moved, total)))


def spread(symbols: str, start: float, end: float) -> list[Segment]:
    """Sounds that share one stretch of time, as a diphthong's do, one after the other."""
    step = (end - start) / max(len(symbols), 1)
    return [Segment(start + i * step, start + (i + 1) * step, symbol) for i, symbol in enumerate(symbols)]


def _join(segments: Sequence[Segment], total: float) -> list[Segment]:
    """Cover the gaps with silence, and make one pause of neighbouring ones: how long it is decides what the lips do in it."""
    joined: list[Segment] = []
    for segment in segments:
        covered = joined[-1].end if joined else 0.0
        segment = segment._replace(end=min(segment.end, total))
        if segment.end <= segment.start:
            continue
        if segment.start > covered + _ROUNDING:
            joined.append(Segment(covered, segment.start, SILENCE))
        if joined and segment.symbol == joined[-1].symbol == SILENCE:
            joined[-1] = joined[-1]._replace(end=segment.end)
        else:
            joined.append(segment)
    return joined
