"""Clips on disk, so that making them and learning from them do not wait for each other, and a clip is made once.

A shard is one safetensors file of clips of the same size and length. It is read row by row, so that memory does not grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from dreamactor_cli.atomic import replacing
from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.tensor_file import Array, TensorFile, TensorWriter
from dreamactor_cli.training.diffusion.clips import TrainingClip

_NAMES = tuple(field.name for field in fields(TrainingClip))


def write_shard(path: Path, clips: Sequence[TrainingClip], about: dict[str, str]) -> None:
    """Write clips of one size and length.

    Raises:
        DiskFull, UsageError: it cannot be written.
    """
    rows = {name: [getattr(clip, name) for clip in clips] for name in _NAMES}
    write_arrays(path, {name: np.stack(values) for name, values in rows.items()}, about)


def write_arrays(path: Path, arrays: dict[str, Array], about: dict[str, str]) -> None:
    """Write arrays beside their name, and move them into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layout: Any = {name: (value.dtype, value.shape) for name, value in arrays.items()}
    with replacing(path) as beside, TensorWriter(beside, layout, about) as writer:
        for name, value in arrays.items():
            writer.put(name, value)


class Shard:
    """Clips of a file, read when they are asked for.

    Attributes:
        size: height and width, px.
        frames: of a clip.
        references: of a clip.
    """

    def __init__(self, path: Path) -> None:
        """Open a shard.

        Raises:
            UnreadableInput: it is damaged, or none.
        """
        self.path = path
        self._file = TensorFile(path)
        lacking = set(_NAMES) - set(self._file.entries)
        if lacking:
            raise UnreadableInput(f"{path} is not a shard of training clips", "remove it, and it is made again")
        _, self.frames, *size, _ = self._file.entries["frames"].shape
        self.size: tuple[int, int] = (size[0], size[1])
        self.references = self._file.entries["references"].shape[1]

    def __len__(self) -> int:
        return self._file.entries["frames"].shape[0]

    def read(self, name: str, row: int) -> Any:
        """One array of a clip; see `TrainingClip`."""
        return self._file.read(name, row, row + 1)[0]

    def clip(self, row: int) -> TrainingClip:
        """A whole clip."""
        return TrainingClip(**{name: self.read(name, row) for name in _NAMES})
