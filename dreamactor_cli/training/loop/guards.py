"""What a long training must survive: signals, losses that are no numbers, and memory that runs out."""

from __future__ import annotations

import gc
import math
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

import torch

from dreamactor_cli.errors import JobFailed

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)


class StopAsked:
    """Lets a step end before a signal ends the run: half a step of the optimizer would be no state to save.

    ::

        with StopAsked() as stop:
            for step in ...:
                ...
                if stop.received:
                    save()
                    raise Stopped(128 + stop.received)

    Attributes:
        received: number of the signal that was first; 0 for none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt  # asked twice: do not wait for the step
        self.received = self.received or number


class Numbers:
    """Watches losses and gradients: a step that is no number is left out, and too many in a row end the run.

    Args:
        most: steps in a row that may be left out.
    """

    def __init__(self, most: int = 10) -> None:
        self._most, self._row = most, 0
        self.skipped = 0

    def usable(self, loss: float, norm: float) -> bool:
        """Whether a step may be taken.

        Raises:
            JobFailed: it went wrong too often in a row.
        """
        if math.isfinite(loss) and math.isfinite(norm):
            self._row = 0
            return True
        self._row += 1
        self.skipped += 1
        if self._row > self._most:
            raise JobFailed(
                f"the loss was no number in {self._row} steps in a row", "go on from the last checkpoint with a lower --rate"
            )
        return False


def free_memory() -> None:
    """Give back what a failed step held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
