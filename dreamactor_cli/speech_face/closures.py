"""When the lips really meet: p, b and m, picked as peaks and not by a threshold.

A network that was trained on averages closes lips half-way. People see a half-closed p at once, so the most likely
moments, about as many as speech has, are closed for good.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PER_SECOND = 1.2  # visible closures in speech, of all languages that were looked at
CERTAIN = 0.5  # a closure as clear as this counts however many there are
LEAST = 0.12  # below it there is none
APERTURE_SHARE = 0.35  # how much an opening speaks against a closure
APART = 0.11  # s between two closures
HOLD, RAMP = 0.03, 0.06  # s that the lips touch at least, and that they take to meet and to part


def closure_score(closure: Array, aperture: Array) -> Array:
    """How likely each frame is a closure, (T,); both 0..1."""
    return closure - APERTURE_SHARE * aperture


def pick(closure: Array, aperture: Array, activity: Array, fps: float) -> NDArray[np.int64]:
    """Frames at which the lips meet, ascending.

    Args:
        closure, aperture: articulation, (T,).
        activity: how much is speech, (T,).
        fps: frames a second.
    """
    score = closure_score(closure, aperture)
    padded = np.pad(score, 1, constant_values=-np.inf)
    peaks = np.flatnonzero((score >= padded[:-2]) & (score > padded[2:]) & (closure >= LEAST) & (activity > 0.2))
    most = round(PER_SECOND * float(activity.sum()) / fps)
    apart = APART * fps
    chosen: list[int] = []
    taken = np.zeros(len(score), bool)
    for frame in peaks[np.argsort(-score[peaks], kind="stable")].tolist():
        if len(chosen) >= most and closure[frame] < CERTAIN:
            continue
        low, high = int(np.ceil(frame - apart)), int(np.floor(frame + apart))
        if not taken[max(low, 0) : high + 1].any():
            chosen.append(frame)
            taken[frame] = True
    return np.array(sorted(chosen), np.int64)


def pressed(frames: NDArray[np.int64], closure: Array, fps: float) -> Array:
    """How far the lips are brought together, (T,): 1 at the frames and where the closure lasts, falling off beside them."""
    out = np.zeros(len(closure))
    reach = int(np.ceil((HOLD + RAMP) * fps)) + 1
    for frame in frames.tolist():
        first = last = frame
        enough = max(0.75 * closure[frame], LEAST)
        while first > 0 and closure[first - 1] >= enough:
            first -= 1
        while last < len(closure) - 1 and closure[last + 1] >= enough:
            last += 1
        near = np.arange(max(first - reach, 0), min(last + reach + 1, len(closure)))
        distance = np.maximum(np.maximum(first - near, near - last), 0) / fps
        ease = np.clip((HOLD / 2 + RAMP - distance) / RAMP, 0, 1)
        out[near] = np.maximum(out[near], ease * ease * (3 - 2 * ease))
    return out
