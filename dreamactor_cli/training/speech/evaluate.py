"""How well a network does on voices and languages it never heard, beside what loudness alone would tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import SPEECH_CHANNELS
from dreamactor_cli.models.speech_features import Statistics, frame_levels, normalise
from dreamactor_cli.models.speech_motion import MOTION_RATE, STRIDE, MotionStream, SpeechMotion
from dreamactor_cli.training.speech.corpus import Speech

F32 = NDArray[np.float32]
_QUIET = 8.0  # below the loud frames, log power; less is silence to who goes by loudness


class Score(NamedTuple):
    """Figures of one set of utterances.

    Attributes:
        correlation: Pearson r of each articulation, by name, over all frames.
        visemes: share of the frames whose viseme is right.
        loudness: r of the loudness, in decibels, with the aperture.
        seconds: of speech.
    """

    correlation: dict[str, float]
    visemes: float
    loudness: float
    seconds: float


def evaluate(model: SpeechMotion, speech: Speech) -> Score:
    """Judge a network by the utterances of a corpus that it never heard."""
    said, seen, loud = [], [], []
    for utterance in utterances(speech):
        mel = utterance.mel.astype(np.float32)
        stream = MotionStream(model)
        for articulation, visemes in (stream.push(normalise(mel, Statistics().add(mel))), stream.finish()):
            said.append(articulation)
            seen.append(visemes.argmax(1))
        loud.append(loudness(mel))
    every_other = np.concatenate([np.arange(length) % STRIDE == 0 for length in speech.lengths])
    meant, right = speech.articulation[every_other].astype(np.float32), speech.visemes[every_other]
    return score(np.concatenate(said), np.concatenate(seen), meant, right, np.concatenate(loud))


def score(said: F32, seen: NDArray[np.integer], meant: F32, right: NDArray[np.integer], loud: F32) -> Score:
    """Figures of what was heard.

    Args:
        said: (M, 9), articulation.
        seen: (M,), visemes.
        meant: (M, 9).
        right: (M,).
        loud: (M,), of `loudness`.
    """
    correlation = {name: pearson(said[:, i], meant[:, i]) for i, name in enumerate(SPEECH_CHANNELS)}
    return Score(correlation, float((seen == right).mean()), pearson(loud, meant[:, 0]), len(said) / MOTION_RATE)


def loudness(mel: F32) -> F32:
    """Level of every other frame of log-mels (T, 64) below the loud ones, no deeper than silence."""
    level = frame_levels(mel)[::STRIDE]
    return np.maximum(level - np.percentile(level, 95), -_QUIET)


def utterances(speech: Speech) -> Iterator[Speech]:
    """The utterances of a corpus one by one, without their sound."""
    start = 0
    for length in speech.lengths.tolist():
        part = slice(start, start + length)
        yield Speech(speech.mel[part], speech.articulation[part], speech.visemes[part], np.array([length]), speech.sound[:0])
        start += length


def pearson(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Correlation; 0 where one of them is constant."""
    a, b = a.astype(np.float64) - a.mean(), b.astype(np.float64) - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / size) if size > 0 else 0.0
