"""Batches of the corpus as the network meets them: cut, sped up or slowed down, augmented, normalised."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dreamactor_cli.models.speech_features import Statistics, normalise
from dreamactor_cli.models.speech_motion import STRIDE
from dreamactor_cli.training.speech.augment import augment
from dreamactor_cli.training.speech.corpus import Speech
from dreamactor_cli.training.speech.phonemes import SILENCE
from dreamactor_cli.training.speech.targets import Segment, make_targets

_FRAMES = 320  # of a cut, 3.2 s
_SPEED = (0.85, 1.2)


class Batch(NamedTuple):
    """What the network gets, and what it shall say.

    Attributes:
        inputs: (B, T, F).
        articulation: (B, M, 9).
        visemes: (B, M), i64.
    """

    inputs: Tensor
    articulation: Tensor
    visemes: Tensor


class MelExamples:
    """Cuts of a corpus; they run over the ends of utterances, so that pauses between them are learned too.

    Args:
        speech: to learn from.
        size: cuts in a batch.
    """

    def __init__(self, speech: Speech, size: int = 16) -> None:
        self._mel = torch.from_numpy(speech.mel)
        self._articulation = torch.from_numpy(speech.articulation)
        self._visemes = torch.from_numpy(speech.visemes)
        self._size = size

    def draw(self, seed: int) -> Batch:
        """A batch; torch's default generator is seeded for it."""
        torch.manual_seed(seed)
        cuts = [self._cut() for _ in range(self._size)]
        mel = torch.stack([cut[0] for cut in cuts])
        articulation = torch.stack([cut[1] for cut in cuts])[:, :, ::STRIDE].transpose(1, 2)
        visemes = torch.stack([cut[2] for cut in cuts])[:, ::STRIDE]
        heard = augment(mel)
        articulation = torch.where(heard.is_noise[:, None, None], _rest(), articulation)
        visemes = torch.where(heard.is_noise[:, None], 0, visemes)
        return Batch(torch.stack([_normalised(item) for item in heard.mel]), articulation, visemes)

    def _cut(self) -> tuple[Tensor, Tensor, Tensor]:
        """Log-mel (64, T), articulation (9, T) and visemes (T,) of a random place at a random speed."""
        low, high = _SPEED
        length = int(_FRAMES * (low + (high - low) * torch.rand(()).item()))
        start = int(torch.randint(0, len(self._mel) - length, ()))
        place = slice(start, start + length)
        mel, articulation = (_resampled(track[place].float().T) for track in (self._mel, self._articulation))
        nearest = torch.linspace(0, length - 1, _FRAMES).round().long()
        return mel, articulation, self._visemes[place][nearest].long()


def _resampled(track: Tensor) -> Tensor:
    """(C, n) -> (C, T)."""
    return functional.interpolate(track[None], _FRAMES, mode="linear", align_corners=True)[0]


def _normalised(mel: Tensor) -> Tensor:
    """Log-mel (64, T) to what the network gets, (T, 64)."""
    frames = np.ascontiguousarray(mel.T.numpy())
    return torch.from_numpy(normalise(frames, Statistics().add(frames)))


@cache
def _rest() -> Tensor:
    """Articulation of a mouth that has nothing to say, (9,)."""
    silence = make_targets([Segment(0.0, 4.0, SILENCE)], 400)
    return torch.from_numpy(silence.articulation[200])
