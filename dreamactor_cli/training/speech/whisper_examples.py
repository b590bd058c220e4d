"""Batches of what Whisper's encoder makes of the corpus, and how a head on it is judged."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from dreamactor_cli.models.speech_features import HOP, SAMPLE_RATE
from dreamactor_cli.models.speech_motion import STRIDE, MotionStream
from dreamactor_cli.models.whisper_encoder import WhisperEncoder, WhisperStream
from dreamactor_cli.models.whisper_motion import WhisperMotion
from dreamactor_cli.training.speech.corpus import Speech
from dreamactor_cli.training.speech.evaluate import Score, loudness, score
from dreamactor_cli.training.speech.examples import Batch

F32 = NDArray[np.float32]

_FRAMES = 160  # of a cut, 3.2 s
_BLOCK = 60 * SAMPLE_RATE
_NOISE = (-45.0, -15.0)  # decibels of the noise that is added to what is learned from, against the loudest sample


class WhisperExamples:
    """Cuts of a corpus as the encoder hears it in noise.

    Args:
        speech: to learn from, with its sound.
        encoder: hears it once.
        size: cuts in a batch.
    """

    def __init__(self, speech: Speech, encoder: WhisperEncoder, size: int = 16) -> None:
        sound = _sound(speech)
        self._layers = torch.from_numpy(_hear(encoder, sound + _noise(len(sound))))
        articulation, visemes = _meant(speech)
        self._articulation, self._visemes = torch.from_numpy(articulation), torch.from_numpy(visemes)
        self._size = size

    def draw(self, seed: int) -> Batch:
        """A batch; torch's default generator is seeded for it."""
        torch.manual_seed(seed)
        starts = torch.randint(0, len(self._visemes) - _FRAMES, (self._size,)).tolist()
        places = [slice(start, start + _FRAMES) for start in starts]
        return Batch(
            torch.stack([self._layers[place].float() for place in places]),
            torch.stack([self._articulation[place] for place in places]),
            torch.stack([self._visemes[place].long() for place in places]),
        )


def evaluate_whisper(model: WhisperMotion, encoder: WhisperEncoder, speech: Speech) -> Score:
    """Judge a head by a corpus that it never heard, as `evaluate.evaluate` judges a network."""
    stream = MotionStream(model)
    parts = [stream.push(_hear(encoder, _sound(speech)).astype(np.float32)), stream.finish()]
    articulation, visemes = (np.concatenate(column) for column in zip(*parts))
    meant, right = _meant(speech)
    count = len(right)
    mel = speech.mel[_kept(speech)].astype(np.float32)
    return score(articulation[:count], visemes[:count].argmax(1), meant, right, loudness(mel)[:count])


def _kept(speech: Speech) -> NDArray[np.bool_]:
    """Which frames have sound of their own: an utterance's last one begins where its sound ends."""
    kept = np.ones(len(speech.visemes), bool)
    kept[np.cumsum(speech.lengths) - 1] = False
    return kept


def _meant(speech: Speech) -> tuple[F32, NDArray[np.uint8]]:
    """Articulation (M, 9) and visemes (M,) at the rate of the encoder."""
    kept = _kept(speech)
    return speech.articulation[kept][::STRIDE].astype(np.float32), speech.visemes[kept][::STRIDE]


def _sound(speech: Speech) -> F32:
    """Samples of all utterances, `HOP` a kept frame."""
    sound = speech.sound.astype(np.float32) / 32767
    if len(sound) != int((speech.lengths - 1).sum()) * HOP:
        raise ValueError("the corpus was made without its sound")
    return sound


def _noise(count: int) -> F32:
    """White noise whose loudness changes every few seconds."""
    chance = np.random.default_rng(0)
    level = chance.uniform(*_NOISE, count // (4 * SAMPLE_RATE) + 2)
    smooth = np.interp(np.arange(count), np.arange(len(level)) * 4 * SAMPLE_RATE, level)
    return (chance.standard_normal(count) * 10 ** (smooth / 20)).astype(np.float32)


def _hear(encoder: WhisperEncoder, sound: F32) -> NDArray[np.float16]:
    """Layers of the encoder, (M, L, D); half precision, since an hour of them takes gigabytes."""
    stream = WhisperStream(encoder)
    blocks = [stream.push(sound[at : at + _BLOCK]).astype(np.float16) for at in range(0, len(sound), _BLOCK)]
    return np.concatenate([*blocks, stream.finish().astype(np.float16)])
