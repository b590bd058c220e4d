"""What was said, word by word and in time, by Whisper (Radford et al. 2022), for who has its weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import whisper
from numpy.typing import NDArray

from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.models.whisper_encoder import find_checkpoint

F32 = NDArray[np.float32]

RATE = 16_000  # Hz
PIECE = 600 * RATE  # samples that are transcribed at a time: an hour in flat memory
SEARCH = 30 * RATE  # samples at the end of a piece in which the quietest moment is sought, to cut no word
QUIET = RATE // 5  # samples of such a moment


class Word(NamedTuple):
    """One word, seconds from the beginning of the sound; the text may begin with a space."""

    text: str
    start: float
    end: float


class Transcriber:
    """Whisper, ready to write down what it hears.

    Args:
        name: such as ``tiny``, or a checkpoint file.

    Attributes:
        language: of what was heard first, a code such as ``en``; empty before.

    Raises:
        MissingRequirement: the weights are not there.
        UnreadableInput: the file is none of Whisper's.
    """

    def __init__(self, name: str) -> None:
        path = find_checkpoint(name)
        try:
            self._model = whisper.load_model(str(path), device="cpu")
        except Exception as error:
            hint = "name a .pt file as openai-whisper downloads it"
            raise UnreadableInput(f"{path} is not a Whisper checkpoint", hint) from error
        heads = whisper._ALIGNMENT_HEADS.get(Path(name).stem)  # which heads follow the sound is not told in the file
        if heads is not None and name == Path(name).stem:
            self._model.set_alignment_heads(heads)
        self.language = ""

    def words(self, blocks: Iterator[F32]) -> Iterator[Word]:
        """Words of a sound that comes in blocks of samples (n,), mono at 16 kHz."""
        held: F32 = np.empty(0, np.float32)
        begun = 0
        for block in blocks:
            held = np.concatenate([held, block])
            while len(held) > PIECE:
                cut = _quietest(held[:PIECE])
                yield from self._piece(held[:cut], begun / RATE)
                held, begun = held[cut:], begun + cut
        if len(held):
            yield from self._piece(held, begun / RATE)

    def _piece(self, samples: F32, offset: float) -> Iterator[Word]:
        heard: dict[str, Any] = whisper.transcribe(
            self._model, samples, word_timestamps=True, temperature=0.0, condition_on_previous_text=False, verbose=None,
            fp16=False, language=self.language or None,
        )  # fmt: skip
        self.language = self.language or str(heard["language"])
        end = offset + len(samples) / RATE
        for segment in heard["segments"]:
            for word in segment.get("words", ()):
                first = min(offset + float(word["start"]), end)
                yield Word(str(word["word"]), first, min(max(offset + float(word["end"]), first), end))


def _quietest(samples: F32) -> int:
    """Middle of the quietest moment near the end, in samples."""
    tail = samples[-SEARCH:]
    count = len(tail) // QUIET
    power = np.square(tail[: count * QUIET]).reshape(count, QUIET).mean(1)
    return len(samples) - len(tail) + int(power.argmin()) * QUIET + QUIET // 2
