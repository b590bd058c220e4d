"""Log-mel features of speech: the one definition that training and extraction share.

Sound is mono at `SAMPLE_RATE`. Frame t is centred at ``t / FRAME_RATE`` seconds. Frames do not depend on how the sound was
cut into blocks (`MelStream`). The normalisation depends on the whole clip; its statistics are gathered in a first pass in
constant memory (`Statistics`), so that a second pass may normalise window by window and get what the whole clip would.

Filters and spectrum are those of `librosa.filters.mel(htk=True, norm=None)` and `librosa.stft`, as a test holds them to: only
to import librosa takes longer than to hear ten minutes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

F32 = NDArray[np.float32]

SAMPLE_RATE = 16_000  # Hz
HOP = 160  # samples
FRAME_RATE = SAMPLE_RATE // HOP  # Hz
NUM_MELS = 64

_FFT, _WINDOW = 512, 400  # samples
_BAND = (60.0, 7600.0)  # Hz
_PRE_EMPHASIS = 0.97
_BLOCK = 60 * SAMPLE_RATE  # samples that `log_mel` works on at a time

_SILENCE = 1e-10  # mel power; what a digital zero counts as
_QUIETEST = -10.0  # log mel power; below it (about -60 dBFS) nothing is speech, however quiet the clip
_LOUD = 0.95  # quantile of the frames' level that counts as the clip's level
_ACTIVE = float(np.log(1e3))  # frames within 30 dB of the clip's level make the mean
_FLOOR = float(np.log(1e-5))  # below the clip's level
_SCALE, _LIMIT = 3.0, 3.0
_LEVELS = np.arange(-24.0, 16.0, 0.1)  # lower edges of the histogram's bins, log mel power


@cache
def _filters() -> F32:
    """The mel filters, (64, 257): triangles at even places of the mel scale."""
    low, high = (2595 * np.log10(1 + frequency / 700) for frequency in _BAND)
    corners = 700 * (10 ** (np.linspace(low, high, NUM_MELS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    rising = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    return np.maximum(np.minimum(rising, falling), 0).astype(np.float32)


@cache
def _window() -> F32:
    """A Hann window of 400 samples in the middle of 512."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    return np.pad(hann, (_FFT - _WINDOW) // 2).astype(np.float32)


class MelStream:
    """Log-mel frames of a sound that comes in blocks."""

    def __init__(self) -> None:
        self._last = np.float32(0)  # the sample before the next one
        self._any = False
        self._buffer: F32 = np.zeros(_FFT // 2, np.float32)

    def push(self, samples: F32) -> F32:
        """The frames that are complete with these samples.

        Args:
            samples: (N,), -1..1, mono at `SAMPLE_RATE`; what is not finite counts as silence.

        Returns:
            (n, 64), natural logarithm of the mel power.
        """
        if not len(samples):
            return np.empty((0, NUM_MELS), np.float32)
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32, copy=False)
        before = np.concatenate([[self._last], samples[:-1]])
        self._last, self._any = samples[-1], True
        self._buffer = np.concatenate([self._buffer, samples - np.float32(_PRE_EMPHASIS) * before])
        return self._take()

    def finish(self) -> F32:
        """The frames that reach over the end of the sound, (n, 64); of N samples there are ``1 + N // HOP`` in all."""
        if not self._any:
            return np.empty((0, NUM_MELS), np.float32)
        self._buffer = np.concatenate([self._buffer, np.zeros(_FFT // 2, np.float32)])
        return self._take()

    def _take(self) -> F32:
        count = max(0, (len(self._buffer) - _FFT) // HOP + 1)
        if not count:
            return np.empty((0, NUM_MELS), np.float32)
        ready = self._buffer[: (count - 1) * HOP + _FFT]
        spectrum = rfft(np.lib.stride_tricks.sliding_window_view(ready, _FFT)[::HOP] * _window(), axis=1)
        self._buffer = self._buffer[count * HOP :]
        power = (spectrum.real**2 + spectrum.imag**2) @ _filters().T
        return np.log(np.maximum(power, _SILENCE)).astype(np.float32, copy=False)


def log_mel(samples: F32) -> F32:
    """Log-mel frames of a whole sound.

    Args:
        samples: (N,), -1..1, mono at `SAMPLE_RATE`.

    Returns:
        (1 + N // HOP, 64), natural logarithm of the mel power; (0, 64) of no samples.
    """
    stream = MelStream()
    blocks = [stream.push(samples[start : start + _BLOCK]) for start in range(0, len(samples), _BLOCK)]
    return np.concatenate([*blocks, stream.finish()])


class Statistics:
    """How loud a clip is and how it is coloured, gathered block by block in constant memory.

    Attributes:
        level: log mel power that 5 % of the frames exceed, to a tenth.
        mean: (64,), the mean log-mel of the frames within 30 dB of ``level`` that are not silence.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(len(_LEVELS), np.int64)
        self._sums = np.zeros((len(_LEVELS), NUM_MELS))

    def add(self, mel: F32) -> Statistics:
        """Take in frames of `MelStream`, (n, 64); returns itself."""
        if len(mel):
            bins = np.clip(np.searchsorted(_LEVELS, frame_levels(mel), "right") - 1, 0, len(_LEVELS) - 1)
            order = np.argsort(bins, kind="stable")
            found, first = np.unique(bins[order], return_index=True)
            self._sums[found] += np.add.reduceat(mel[order].astype(np.float64), first)
            self._counts += np.bincount(bins, minlength=len(_LEVELS))
        return self

    @property
    def level(self) -> float:
        """See the class."""
        total = int(self._counts.sum())
        if not total:
            return _QUIETEST
        at = int(np.searchsorted(np.cumsum(self._counts), _LOUD * total))
        return max(float(_LEVELS[at]), _QUIETEST)

    @property
    def mean(self) -> NDArray[np.float64]:
        """See the class."""
        quiet = max(self.level - _ACTIVE, _QUIETEST)
        active = quiet < _LEVELS
        count = int(self._counts[active].sum())
        return self._sums[active].sum(0) / count if count else np.full(NUM_MELS, self.level)


def frame_levels(mel: F32) -> F32:
    """Logarithm of the mean mel power of frames, (n, 64) -> (n,)."""
    return np.log(np.exp(mel).mean(1))


def normalise(mel: F32, statistics: Statistics) -> F32:
    """What the network gets: level and half of the colour taken out.

    Args:
        mel: (n, 64), frames of `MelStream`.
        statistics: of the whole clip.

    Returns:
        (n, 64), -3..3.
    """
    level = statistics.level
    mean = np.maximum(statistics.mean - level, _FLOOR)
    centred = np.logaddexp(mel - np.float32(level), np.float32(_FLOOR)) - (0.5 * mean + 0.5 * mean.mean()).astype(np.float32)
    return np.clip(centred / np.float32(_SCALE), -_LIMIT, _LIMIT).astype(np.float32)
