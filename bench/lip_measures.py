"""What `lips.py` measures with: the mouth of a real face, what sound alone says of it, and how two curves agree.

All curves are at `RATE` frames a second from the first picture on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import ControlStream
from dreamactor_cli.controls.extract import extract_controls
from dreamactor_cli.media import SAMPLE_RATE, read_sound

Array = NDArray[np.float64]

RATE = 25  # frames a second
MAX_LAG = 3  # frames
SHIFT_STEP = 3  # frames between two circular shifts that are tried
TOLERANCE = 2  # frames between a closure and the one that is taken for it
UPPER, LOWER = (13, 82, 312), (14, 87, 317)
CORNERS = (61, 291)
SPEAKING = 28.0  # dB below the loud frames that still count as speech


@dataclass(frozen=True, slots=True)
class Mouth:
    """A real mouth; (T,), inter-ocular units."""

    aperture: Array
    width: Array


def mouth_of(stream: ControlStream) -> Mouth:
    """Lip aperture and width in the controls of a video, as our own extraction has them."""
    apertures, widths = [], []
    for start in range(0, stream.num_frames, 256):
        face = stream.window(start, start + 256).face
        assert face is not None
        shape = (face.identity + face.expression).astype(np.float64)
        apertures.append(np.linalg.norm(shape[:, UPPER] - shape[:, LOWER], axis=2).mean(1))
        widths.append(np.linalg.norm(shape[:, CORNERS[0]] - shape[:, CORNERS[1]], axis=1))
    seconds = stream.num_frames / stream.fps
    wanted = np.arange(max(1, int(seconds * RATE))) / RATE
    times = np.arange(stream.num_frames) / float(stream.fps)
    return Mouth(np.interp(wanted, times, np.concatenate(apertures)), np.interp(wanted, times, np.concatenate(widths)))


def real_mouth(clip: Path, cache: Cache, workers: int | None = None) -> Mouth:
    """The mouth that a clip shows."""
    return mouth_of(extract_controls(clip, signals=("face",), cache=cache, workers=workers).stream)


def samples_of(clip: Path) -> Array:
    """The sound of a clip, (N,), 16 kHz."""
    return np.concatenate(list(read_sound(clip, Fraction(0)))).astype(np.float64)


def energy(samples: Array, frames: int, window: float = 0.06) -> Array:
    """RMS around each frame, (T,)."""
    total = np.concatenate([[0.0], np.cumsum(samples**2)])
    middle = np.arange(frames) / RATE
    low, high = (np.clip(((middle + s * window / 2) * SAMPLE_RATE).astype(int), 0, len(samples)) for s in (-1, 1))
    return np.sqrt((total[high] - total[low]) / np.maximum(high - low, 1))


def formants(samples: Array, frames: int) -> tuple[Array, Array]:
    """Aperture from F1 and width from F2 by linear prediction, the classic rule, (T,) each."""
    import librosa
    from scipy.ndimage import gaussian_filter1d

    emphasised = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    low = librosa.resample(emphasised, orig_sr=SAMPLE_RATE, target_sr=10000)
    found = np.tile([400.0, 1500.0], (frames, 1))
    window = np.hamming(300)
    noise = np.random.default_rng(0).standard_normal(300) * 1e-8
    for k in range(frames):
        middle = round(k / RATE * 10000)
        piece = low[max(0, middle - 150) : middle + 150]
        if len(piece) == 300 and np.abs(piece).max() > 1e-4:
            found[k] = _resonances(librosa.lpc(piece * window + noise, order=12), found[k])
    rms = energy(samples, frames)
    level = 20 * np.log10(rms / (np.percentile(rms, 95) + 1e-6) + 1e-4)
    gate = np.clip((level + 35) / 35, 0, 1)
    aperture = gaussian_filter1d(gate * np.clip((found[:, 0] - 200) / 600, 0, 1.3), 1.0)
    width = gaussian_filter1d(gate * (np.clip(found[:, 1], 700, 2500) - 1500) / 800, 1.5)
    return aperture, width


def _resonances(coefficients: Array, otherwise: Array) -> Array:
    """First two formants in Hz of a prediction filter."""
    roots = np.roots(coefficients)
    roots = roots[roots.imag > 0]
    frequency = np.angle(roots) * 10000 / 2 / np.pi
    bandwidth = -np.log(np.abs(roots) + 1e-9) * 10000 / np.pi
    good = np.sort(frequency[(frequency > 150) & (bandwidth < 500)])
    return good[:2] if len(good) >= 2 else otherwise


def speaking(samples: Array, frames: int) -> NDArray[np.bool_]:
    """Whether somebody speaks around each frame, (T,)."""
    level = 20 * np.log10(energy(samples, frames, 0.05) + 1e-4)
    loud = (level > np.percentile(level, 95) - SPEAKING).astype(float)
    return np.asarray(np.convolve(loud, np.ones(13), "same") >= 5)


def correlation(a: Array, b: Array) -> float:
    """Pearson's r."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-12))


def at_best_lag(predicted: Array, real: Array, most: int = MAX_LAG) -> tuple[float, int]:
    """Best r within so many frames, and its lag: above 0 the prediction comes late."""
    return max((at_lag(predicted, real, lag), lag) for lag in range(-most, most + 1))


def at_lag(predicted: Array, real: Array, lag: int) -> float:
    """r at one lag in frames: above 0 the prediction comes late."""
    size = min(len(predicted), len(real))
    return correlation(predicted[max(lag, 0) : size + min(lag, 0)], real[max(-lag, 0) : size - max(lag, 0)])


def at_common_lag(pairs: Sequence[tuple[Array, Array]], most: int = MAX_LAG) -> tuple[float, int]:
    """Best median r that one lag within so many frames gives to all pairs of curves, and that lag."""
    return max((float(np.median([at_lag(*pair, lag) for pair in pairs])), lag) for lag in range(-most, most + 1))


def by_search(predicted: Array, real: Array, most: int = MAX_LAG) -> float:
    """What the search of `at_best_lag` adds to r where there is nothing to find.

    The mean over circular shifts of the prediction by a second and more, which leave both curves as they are and take what
    they do at the same time: the best r around a shift, less the r at the shift itself. That is around zero, but below it where
    both curves begin and end in silence. NaN where curves are too short to be shifted.
    """
    size = min(len(predicted), len(real))
    shifted = [np.roll(predicted[:size], shift) for shift in range(RATE, size - RATE + 1, SHIFT_STEP)]
    added = [at_best_lag(curve, real[:size], most)[0] - correlation(curve, real[:size]) for curve in shifted]
    return float(np.mean(added)) if added else float("nan")


def closures_of(aperture: Array, spoken: NDArray[np.bool_]) -> list[int]:
    """Frames at which a real mouth shuts for a moment within speech."""
    shut = aperture < max(0.02, 0.16 * np.percentile(aperture, 90))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], shut.astype(int), [0]])))
    events = []
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        frame = first + int(np.argmin(aperture[first:stop]))
        if stop - first <= 8 and spoken[min(frame, len(spoken) - 1)] and 2 < frame < len(aperture) - 3:
            events.append(frame)
    return events


def highest(score: Array, count: int) -> list[int]:
    """The frames of the highest peaks, at least three frames apart."""
    peaks = [k for k in range(2, len(score) - 2) if score[k] >= score[k - 2 : k + 3].max()]
    chosen: list[int] = []
    for frame in sorted(peaks, key=lambda k: -score[k]):
        if len(chosen) < count and all(abs(frame - other) >= 3 for other in chosen):
            chosen.append(frame)
    return chosen


def matched(real: Sequence[int], found: Sequence[int]) -> int:
    """How many of the real events have one of their own within `TOLERANCE`."""
    left, hits = list(found), 0
    for frame in sorted(real):
        near = [other for other in left if abs(other - frame) <= TOLERANCE]
        if near:
            hits += 1
            left.remove(min(near, key=lambda other: abs(other - frame)))
    return hits
