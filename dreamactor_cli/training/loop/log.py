"""Where the numbers of a training go: one JSON object a line always, TensorBoard where it is installed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.atomic import replacing, write_errors

_FITS = "one that can: pip install 'tensorboard<2.21'"


class TrainingLog:
    """Writes ``log.jsonl`` and, if the package ``tensorboard`` is there, event files into ``tensorboard``.

    Lines behind the first step that is written are of a run that was stopped, and go.

    Args:
        folder: of the run.
        enabled: False in all processes but the first.
    """

    def __init__(self, folder: Path, *, enabled: bool = True) -> None:
        self._folder, self._path = folder, folder / "log.jsonl"
        self._enabled, self._begun = enabled, False
        self._board: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._board is not None:
            self._board.close()

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Write down what a step measured."""
        if not self._enabled:
            return
        if not self._begun:
            self._begin(step)
        line = json.dumps({"step": step, **{name: float(f"{value:.6g}") for name, value in values.items()}})
        with write_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def _begin(self, step: int) -> None:
        with write_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        _cut(self._path, step - 1)
        self._board = _board(self._folder / "tensorboard", step)
        self._begun = True

    def picture(self, step: int, name: str, image: NDArray[np.uint8]) -> None:
        """Show a picture (H, W, 3)."""
        if self._board is not None:
            self._board.add_image(name, image, step, dataformats="HWC")


def _cut(path: Path, step: int) -> None:
    """Keep the lines up to a step."""
    if not path.exists():
        return
    kept = [line for line in path.read_text("utf-8").splitlines() if _step_of(line) <= step]
    with replacing(path) as beside:
        beside.write_text("".join(f"{line}\n" for line in kept), "utf-8")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # half a line of a crash


def _board(folder: Path, step: int) -> Any:
    if find_spec("tensorboard") is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:  # from 2.21 on it wants a protobuf that mediapipe cannot take
        warnings.warn(f"tensorboard cannot be used: {error!s:.200}; {_FITS}", RuntimeWarning, stacklevel=2)
        return None
    return SummaryWriter(str(folder), purge_step=step)
