"""A head on Whisper's frozen encoder that tells what a mouth does: the stronger ear, for who has the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dreamactor_cli.models.speech_motion import MotionStream, Trunk
from dreamactor_cli.models.whisper_encoder import WhisperEncoder, WhisperStream

F32 = NDArray[np.float32]

_DILATIONS = (1, 2, 4)  # the encoder has heard the whole window already


class WhisperMotion(nn.Module):
    """Layers of the encoder to articulation.

    Args:
        layers: of the encoder, L.
        size: numbers a layer gives a frame, D.
        channels: width of the residual stream.
        dilations: one block for each.
    """

    stride = 1

    def __init__(self, layers: int, size: int, channels: int = 96, dilations: Sequence[int] = _DILATIONS) -> None:
        super().__init__()
        self.layers, self.size = layers, size
        self.mix = nn.Parameter(torch.zeros(layers))
        self.stem = nn.Linear(size, channels)
        self.trunk = Trunk(channels, dilations)

    @property
    def reach(self) -> int:
        """Frames on either side that a motion frame depends on."""
        return self.trunk.reach

    def forward(self, layers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hear.

        Args:
            layers: (B, M, L, D), of `WhisperEncoder`.

        Returns:
            Articulation (B, M, 9) and viseme logits (B, M, 17), as `speech_motion.SpeechMotion`.
        """
        mixed = torch.einsum("bmld,l->bmd", layers, self.mix.softmax(0))
        articulation, logits = self.trunk(self.stem(mixed))
        return articulation, logits


class WhisperHearing:
    """Sound to articulation, block by block.

    Args:
        encoder: the ear.
        head: trained on this encoder, in evaluation mode.
    """

    def __init__(self, encoder: WhisperEncoder, head: WhisperMotion) -> None:
        self._ear, self._motion = WhisperStream(encoder), MotionStream(head)

    def push(self, samples: F32) -> tuple[F32, F32]:
        """The motion frames that are certain with these samples.

        Args:
            samples: (N,), -1..1, mono at 16 kHz.

        Returns:
            Articulation (m, 9) and probabilities of the visemes (m, 17), as `speech_motion.MotionStream`.
        """
        return self._motion.push(self._ear.push(samples))

    def finish(self) -> tuple[F32, F32]:
        """The motion frames that are left."""
        heard, rest = self._motion.push(self._ear.finish()), self._motion.finish()
        return np.concatenate([heard[0], rest[0]]), np.concatenate([heard[1], rest[1]])
