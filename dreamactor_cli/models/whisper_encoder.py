"""Whisper's encoder as a frozen ear: what every layer makes of the sound, at 50 Hz (Radford et al. 2022).

The encoder hears windows of 30 s. Windows overlap, and what lies near an edge is dropped; their places depend on the clip
alone, so that the answer does not depend on the blocks that the sound comes in.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from whisper.audio import HOP_LENGTH, log_mel_spectrogram
from whisper.model import AudioEncoder, ModelDimensions

from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.models.speech_weights import WHISPER_NAMES

F32 = NDArray[np.float32]

_FRAME = 2 * HOP_LENGTH  # samples of a frame of the encoder
_MARGIN = 6  # a sixth of a window is dropped at either edge
_LARGEST = 8192  # of any size in a checkpoint; no file makes the process grow without bound
_PREFIX = "encoder."


def find_checkpoint(name: str) -> Path:
    """The checkpoint of a name such as ``tiny``, or of a path.

    Raises:
        MissingRequirement: there is no such file.
    """
    if name not in WHISPER_NAMES:
        if not Path(name).is_file():
            raise MissingRequirement(
                f"there is no Whisper checkpoint {name}", f"name a file, or one of {', '.join(WHISPER_NAMES[:4])}"
            )
        return Path(name)
    path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper" / f"{name}.pt"
    if not path.is_file():
        fetch = f"""python -c 'import whisper; whisper.load_model("{name}")'"""
        raise MissingRequirement(
            f"the weights of Whisper {name} are not at {path}", f"fetch them with: {fetch}, or copy the file there"
        )
    return path


class WhisperEncoder:
    """The encoder of a checkpoint in Whisper's own format, ``{"dims": ..., "model_state_dict": ...}``.

    Attributes:
        layers: number of layers, L.
        size: numbers a layer gives a frame, D.
        window: frames of a window.
        sha256: of the checkpoint, so that a head knows its encoder again.
    """

    def __init__(self, path: Path) -> None:
        """Load a checkpoint; nothing in it is executed.

        Raises:
            UnreadableInput: it is damaged or not one of Whisper's.
        """
        try:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
            dims = ModelDimensions(**{field.name: int(checkpoint["dims"][field.name]) for field in fields(ModelDimensions)})
            if not all(0 < value <= _LARGEST for name, value in vars(dims).items() if "audio" in name or name == "n_mels"):
                raise ValueError("its sizes are out of range")
            encoder = AudioEncoder(dims.n_mels, dims.n_audio_ctx, dims.n_audio_state, dims.n_audio_head, dims.n_audio_layer)
            state = checkpoint["model_state_dict"]
            encoder.load_state_dict({k.removeprefix(_PREFIX): v.float() for k, v in state.items() if k.startswith(_PREFIX)})
        except Exception as error:  # a file of a stranger fails in any way
            raise UnreadableInput(
                f"{path} is not a Whisper checkpoint", "name a .pt file as openai-whisper downloads it"
            ) from error
        with path.open("rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._encoder = encoder.eval()
        self._mels = dims.n_mels
        self.layers, self.size, self.window = dims.n_audio_layer, dims.n_audio_state, dims.n_audio_ctx
        self.margin = self.window // _MARGIN

    def hear(self, samples: F32) -> F32:
        """Layers of one window.

        Args:
            samples: (n,), at 16 kHz, at most ``window`` frames; the rest is silence.

        Returns:
            (window, L, D).
        """
        padded = np.pad(samples.astype(np.float32), (0, self.window * _FRAME - len(samples)))
        heard: list[torch.Tensor] = []
        hooks = [
            block.register_forward_hook(lambda _block, _inputs, output: heard.append(output[0])) for block in self._encoder.blocks
        ]
        try:
            with torch.inference_mode():
                mel = log_mel_spectrogram(padded, self._mels)
                self._encoder(mel[None])
                layers = [nn.functional.layer_norm(layer, (self.size,)) for layer in heard]
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(layers, 1).numpy()


class WhisperStream:
    """The encoder over a sound that comes in blocks; what comes out does not depend on the blocks."""

    def __init__(self, encoder: WhisperEncoder) -> None:
        self._encoder = encoder
        self._buffer: F32 = np.empty(0, np.float32)
        self._start = 0  # frame that the buffer begins with
        self._done = 0  # frames that were handed out
        self._samples = 0  # samples that came

    def push(self, samples: F32) -> F32:
        """The frames that are certain with these samples, (n, L, D).

        Args:
            samples: (N,), -1..1, mono at 16 kHz; what is not finite counts as silence.
        """
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32, copy=False)
        self._buffer = np.concatenate([self._buffer, samples])
        self._samples += len(samples)
        found = [self._nothing()]
        while len(self._buffer) >= self._encoder.window * _FRAME:
            found.append(self._window(self._encoder.window - self._encoder.margin))
            self._forget(self._done - self._encoder.margin)
        return np.concatenate(found)

    def finish(self) -> F32:
        """The frames that are left, (n, L, D); as many in all as `speech_motion` gives of the same sound."""
        if not self._samples:
            return self._nothing()
        total = (1 + self._samples // HOP_LENGTH + 1) // 2
        return self._window(min(total - self._start, self._encoder.window)) if total > self._done else self._nothing()

    def _window(self, stop: int) -> F32:
        """Frames that were not handed out, up to a frame of the window that the buffer begins with."""
        layers = self._encoder.hear(self._buffer[: self._encoder.window * _FRAME])
        kept = layers[self._done - self._start : stop]
        self._done = self._start + stop
        return kept

    def _forget(self, frame: int) -> None:
        self._buffer = self._buffer[(frame - self._start) * _FRAME :]
        self._start = frame

    def _nothing(self) -> F32:
        return np.empty((0, self._encoder.layers, self._encoder.size), np.float32)
