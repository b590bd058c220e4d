"""Motion curves at one rate, read at another, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from dreamactor_cli.contracts import F32


class Resampler:
    """Linear interpolation of rows that come in blocks; what comes out does not depend on the blocks.

    Args:
        rate: of the rows, Hz; row i is of time i / rate.
        fps: of the frames; frame k is of time k / fps.
        frames: how many are wanted; the last row stands for what lies behind it.
    """

    def __init__(self, rate: Fraction, fps: Fraction, frames: int) -> None:
        self._step = rate / fps
        self._frames = frames
        self._done = 0
        self._rows: F32 | None = None
        self._first = 0  # number of the first row that is held

    def push(self, rows: F32) -> Iterator[F32]:
        """Frames (m, C) that lie between the rows so far; rows: (n, C)."""
        if not len(rows):
            return
        self._rows = rows if self._rows is None else np.concatenate([self._rows, rows])
        last = self._first + len(self._rows) - 1
        # Frame k needs row floor(k * step) + 1, which must be there.
        yield from self._read(int(-((-last) // self._step)))

    def finish(self) -> Iterator[F32]:
        """The frames that are left."""
        yield from self._read(self._frames)

    def _read(self, stop: int) -> Iterator[F32]:
        stop = min(stop, self._frames)
        if self._rows is None or stop <= self._done:
            return
        places = np.arange(self._done, stop, dtype=np.int64) * self._step.numerator  # in parts of a row
        low = places // self._step.denominator - self._first
        part = (places % self._step.denominator / self._step.denominator).astype(np.float32)[:, None]
        end = len(self._rows) - 1
        before, after = self._rows[np.minimum(low, end)], self._rows[np.minimum(low + 1, end)]
        self._done = stop
        kept = min(max(int(self._done * self._step) - self._first, 0), end)
        self._rows, self._first = self._rows[kept:], self._first + kept
        yield (before + part * (after - before)).astype(np.float32)
