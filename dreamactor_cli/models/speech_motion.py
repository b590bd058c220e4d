"""The network that hears what a mouth does: log-mel at 100 Hz to articulation and visemes at 50 Hz.

A non-causal temporal convolution network (Bai et al. 2018) of gated residual blocks. Every layer looks at a fixed number of
neighbours and every normalisation at one frame, so that the answer for a window with `REACH` frames around it is the answer
for the whole sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from dreamactor_cli.contracts import SPEECH_CHANNELS
from dreamactor_cli.models.speech_features import NUM_MELS
from dreamactor_cli.models.threads import torch_threads

F32 = NDArray[np.float32]

MOTION_RATE = 50  # Hz
STRIDE = 2  # mel frames to a motion frame
NUM_CHANNELS = len(SPEECH_CHANNELS)
# Classes of sounds that look alike: silence, then consonants, then vowels by the shape of the lips.
VISEMES = (
    "silence", "p", "f", "th", "t", "s", "sh", "r", "k", "j", "w", "a", "e", "o", "i", "u", "schwa",
)  # fmt: skip

_DILATIONS = (1, 2, 4, 8, 1, 2, 4, 8)
_STEM, _KERNEL = 5, 3
RANGES = np.array([(-1.0 if name == "width" else 0.0, 1.0) for name in SPEECH_CHANNELS], np.float32)  # (9, 2)


class _Block(nn.Module):
    """Norm, dilated convolution over time, gate, and back onto the residual stream.

    The convolution is a matrix product with three shifted copies side by side, which is twice as fast on a CPU.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(channels)
        self.time = nn.Linear(_KERNEL * channels, channels)
        self.gate = nn.Linear(channels, 2 * channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(self.norm(x), (0, 0, self.dilation, self.dilation))
        frames = x.shape[1]
        shifted = [padded[:, at * self.dilation : at * self.dilation + frames] for at in range(_KERNEL)]
        return x + functional.glu(self.gate(functional.silu(self.time(torch.cat(shifted, -1)))), -1)


class Trunk(nn.Module):
    """What follows whatever hears: blocks over time, and the two answers.

    Args:
        channels: width of the residual stream.
        dilations: one block for each.
    """

    def __init__(self, channels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.channels, self.dilations = channels, tuple(dilations)
        self.blocks = nn.ModuleList([_Block(channels, dilation) for dilation in self.dilations])
        self.norm = nn.LayerNorm(channels)
        self.articulation = nn.Linear(channels, NUM_CHANNELS)
        self.visemes = nn.Linear(channels, len(VISEMES))

    @property
    def reach(self) -> int:
        """Frames on either side that a frame depends on."""
        return sum(self.dilations) * (_KERNEL // 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, M, C) to articulation (B, M, 9), columns `contracts.SPEECH_CHANNELS`, and logits of `VISEMES` (B, M, 17)."""
        for block in self.blocks:
            x = block(x)
        x = functional.silu(self.norm(x))
        return self.articulation(x), self.visemes(x)


class SpeechMotion(nn.Module):
    """Log-mel to articulation.

    Args:
        channels: width of the residual stream.
        dilations: one block for each.
    """

    stride = STRIDE

    def __init__(self, channels: int = 96, dilations: Sequence[int] = _DILATIONS) -> None:
        super().__init__()
        self.stem = nn.Conv1d(NUM_MELS, channels, _STEM, stride=STRIDE, padding=_STEM // 2)
        self.trunk = Trunk(channels, dilations)

    @property
    def reach(self) -> int:
        """Mel frames on either side of ``STRIDE * t`` that the motion frame t depends on; even."""
        return _STEM // 2 + STRIDE * self.trunk.reach

    def forward(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hear.

        Args:
            mel: (B, T, 64), of `speech_features.normalise`.

        Returns:
            Articulation (B, ceil(T / 2), 9), columns `contracts.SPEECH_CHANNELS`, not yet held to its `RANGES`; logits of
            `VISEMES`, (B, ceil(T / 2), 17).
        """
        articulation, logits = self.trunk(self.stem(mel.transpose(1, 2)).transpose(1, 2).contiguous())
        return articulation, logits


class Hears(Protocol):
    """A network that `MotionStream` can run: `SpeechMotion`, or one over other features."""

    @property
    def stride(self) -> int:
        """Input frames to a motion frame."""

    @property
    def reach(self) -> int:
        """Input frames on either side that a motion frame depends on; a multiple of ``stride``."""

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T, ...) to articulation (B, M, 9) and viseme logits (B, M, 17)."""


class MotionStream:
    """A network over a sound that comes in blocks; what comes out does not depend on the blocks.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: Hears) -> None:
        self._model = model
        self._inputs: F32 | None = None
        self._start = 0  # input frame that the buffer begins with; a multiple of the stride
        self._done = 0  # motion frames that were handed out

    def push(self, inputs: F32) -> tuple[F32, F32]:
        """The motion frames that are certain with these input frames.

        Args:
            inputs: (n, ...), the next of the clip; for `SpeechMotion` normalised mel frames, (n, 64).

        Returns:
            Articulation (m, 9) within `RANGES`, and probabilities of `VISEMES`, (m, 17), at `MOTION_RATE`.
        """
        self._inputs = inputs if self._inputs is None else np.concatenate([self._inputs, inputs])
        certain = (self._start + len(self._inputs) - self._model.reach - 1) // self._model.stride + 1
        return self._take(max(certain, self._done))

    def finish(self) -> tuple[F32, F32]:
        """The motion frames that are left; of T mel frames there are ``ceil(T / 2)`` in all."""
        total = self._start + (0 if self._inputs is None else len(self._inputs))
        return self._take(-(-total // self._model.stride))

    def _take(self, stop: int) -> tuple[F32, F32]:
        if stop <= self._done or self._inputs is None:
            return np.empty((0, NUM_CHANNELS), np.float32), np.empty((0, len(VISEMES)), np.float32)
        stride = self._model.stride
        first = self._start // stride
        with torch_threads(1), torch.inference_mode():
            articulation, logits = self._model(torch.from_numpy(self._inputs)[None])
            kept = slice(self._done - first, stop - first)
            moved = np.clip(articulation[0, kept].numpy(), RANGES[:, 0], RANGES[:, 1])
            visemes = logits[0, kept].softmax(-1).numpy()
        self._done = stop
        start = max(0, stride * stop - self._model.reach)
        self._inputs, self._start = self._inputs[start - self._start :], start
        return moved, visemes
