"""What kind of sound it is: speech, silence, or something that no mouth says.

Measured on windows of 1.28 s. Speech is loud and quiet by turns several times a second (dynamics), its spectrum takes many
shapes (spread) and changes fast (flux); steady noise lacks all three, music lacks dynamics or flux.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dreamactor_cli.contracts import F32

FRAME = 160  # samples whose level is taken
WINDOW = 128  # mel frames of 10 ms
HOP = 64
DB = 10 / np.log(10)  # decibels of a unit of log mel power
BANDS = slice(8, 48)  # of the mel bands: about 300 to 4000 Hz
RANGE = 7.0  # log mel power below the loudest frame of a window that counts as quiet
VOICED = 4.6  # below it, frames are loud enough for their spectrum to say anything

SILENT = -55.0  # dBFS of the loudest twentieth
LEAST_DYNAMICS, LEAST_SPREAD, LEAST_FLUX = 5.9, 5.2, 2.6  # dB; dB; dB in 10 ms
LEAST_SHARE = 0.4  # of the loud windows that must be like speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What was measured of a sound.

    Attributes:
        level: of its loudest twentieth, dBFS.
        dynamics: how much the level moves within a second, dB.
        spread: how much the shape of the spectrum varies, dB.
        flux: how fast the spectrum changes, dB in 10 ms.
        share: of the loud windows that are like speech, 0..1.
    """

    level: float
    dynamics: float
    spread: float
    flux: float
    share: float

    @property
    def silent(self) -> bool:
        """Nothing is to be heard."""
        return self.level < SILENT

    @property
    def audible(self) -> bool:
        """Somebody may be saying something; in silence and steady noise the mouth rests."""
        return not self.silent and self.spread >= LEAST_SPREAD

    def warnings(self, name: str) -> tuple[str, ...]:
        """What a user should know before wondering about a mouth; empty for speech."""
        if self.silent:
            return (f"{name} is silent ({self.level:.0f} dBFS): the mouth rests",)
        if self.share >= LEAST_SHARE:
            return ()
        figures = f"level moves by {self.dynamics:.1f} dB, spectrum by {self.spread:.1f} dB and {self.flux:.1f} dB in 10 ms"
        if not self.audible:
            return (f"{name} sounds like noise and not like speech ({figures}): the mouth rests",)
        said = f"{self.share:.0%} of it is like speech; {figures}"
        return (f"{name} sounds like music or singing more than like speech ({said}): the mouth may be wrong",)


class Listener:
    """Gathers what `Hearing` tells, block by block, in memory that hardly grows (28 bytes a second)."""

    def __init__(self) -> None:
        self._levels = np.zeros(1200, np.int64)  # histogram, tenths of a dB below full scale
        self._mel: F32 = np.empty((0, 64), np.float32)
        self._windows: list[tuple[float, float, float, float]] = []

    def add_samples(self, samples: F32) -> None:
        """Take in samples, -1..1, at 16 kHz."""
        whole = len(samples) // FRAME * FRAME
        frames = samples[:whole].reshape(-1, FRAME) if whole else samples.reshape(1, -1)
        power = np.square(frames).mean(1, dtype=np.float64)
        below = np.clip(-100 * np.log10(np.maximum(power, 1e-12)), 0, len(self._levels) - 1)
        self._levels += np.bincount(below.astype(int), minlength=len(self._levels))

    def add_mel(self, mel: F32) -> None:
        """Take in log-mel frames (n, 64), see `models.speech_features.MelStream`."""
        self._mel = np.concatenate([self._mel, mel])
        while len(self._mel) >= WINDOW:
            self._windows.append(_measure(self._mel[:WINDOW]))
            self._mel = self._mel[HOP:]

    def hearing(self) -> Hearing:
        """What the sound is like."""
        reached = np.searchsorted(np.cumsum(self._levels), 0.05 * self._levels.sum())
        windows = np.array(self._windows or [_measure(self._mel)] if len(self._mel) else self._windows).reshape(-1, 4)
        level = -0.1 * float(reached)
        if not len(windows):
            return Hearing(level=level, dynamics=0.0, spread=0.0, flux=0.0, share=0.0)
        loud = windows[windows[:, 0] > np.quantile(windows[:, 0], 0.9) - RANGE]
        like = (loud[:, 1:] >= (LEAST_DYNAMICS, LEAST_SPREAD, LEAST_FLUX)).all(1)
        dynamics, spread, flux = np.median(loud[:, 1:], axis=0).tolist()
        return Hearing(level=level, dynamics=dynamics, spread=spread, flux=flux, share=float(like.mean()))


def _measure(mel: F32) -> tuple[float, float, float, float]:
    """Loudest level (log mel power), then dynamics, spread and flux in dB, of frames (n, 64)."""
    level = np.log(np.exp(mel[:, BANDS]).mean(1))
    top = float(level.max())
    dynamics = float(np.maximum(level, top - RANGE).std())
    shape = mel - mel.mean(1, keepdims=True)
    heard = level > top - VOICED
    if heard.sum() < 2:
        return top, DB * dynamics, 0.0, 0.0
    spread = float(shape[heard].std(0).mean())
    flux = float(np.abs(np.diff(shape[:, ::4], axis=0))[heard[1:]].mean())
    return top, DB * dynamics, DB * spread, DB * flux
