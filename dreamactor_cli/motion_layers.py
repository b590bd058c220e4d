"""Life that nobody key-frames: blinks, saccades and sway. Deterministic, zero at time 0, and periodic, so that loops close."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

QUIET = 0.4  # seconds without a blink or a saccade at either end
CLOSING, CLOSED, OPENING = 0.09, 0.06, 0.17  # seconds of a blink
SACCADE = 0.05  # seconds that a saccade takes
FIXATION = (0.5, 1.7)  # seconds that the eyes rest
SACCADE_RANGE = (0.22, 0.1)  # widest glance of layer strength 1, as parts of the whole way of the eyes, x and y

# Channel -> amplitude and slowest period in seconds of the sway at strength 1. Degrees, inter-ocular units.
SWAY = {
    "headYaw": (1.3, 4.1), "headPitch": (0.8, 3.3), "headRoll": (0.9, 5.2), "headX": (0.012, 4.6),
    "torsoX": (0.015, 5.0), "torsoRoll": (0.25, 4.4),
}  # fmt: skip
BREATH = {"torsoY": -0.016, "headPitch": -0.25}  # at the height of a breath
BREATH_PERIOD = 3.6  # seconds
WHOLE_WAY = (40.0, 18.0)  # degrees that the eyes turn at the end of their way, across and up or down


def _smoothstep(x: Array) -> Array:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def blinks(times: Array, period: float, per_minute: float, seed: int) -> Array:
    """How closed the eyes are, 0..1.

    Args:
        times: seconds within the period, (T,).
        period: seconds after which everything comes again.
        per_minute: how many blinks; they come at uneven intervals.
        seed: of the intervals.
    """
    room = period - 2 * QUIET - (CLOSING + CLOSED + OPENING)
    count = round(per_minute * period / 60)
    out = np.zeros_like(times)
    if room <= 0 or count < 1:
        return out
    random = np.random.default_rng([seed, 1])
    starts = QUIET + room * (np.arange(count) + 0.5 + random.uniform(-0.35, 0.35, count)) / count
    for start in starts:
        shut = _smoothstep((times - start) / CLOSING)
        again = _smoothstep((times - start - CLOSING - CLOSED) / OPENING)
        out = np.maximum(out, shut - again)
    return out


def saccades(times: Array, period: float, strength: float, seed: int) -> Array:
    """Small glances, (T, 2), picture's right and down, as parts of the whole way of the eyes."""
    random = np.random.default_rng([seed, 2])
    out = np.zeros((len(times), 2))
    start, looking = QUIET, np.zeros(2)
    while start < period - QUIET:
        stop = start + random.uniform(*FIXATION)
        target = random.uniform(-1, 1, 2) * SACCADE_RANGE * strength if stop < period - QUIET else np.zeros(2)
        if random.random() < 0.4:
            target = np.zeros(2)  # the eyes come back to who they look at
        out += _smoothstep((times - start) / SACCADE)[:, None] * (target - looking)
        start, looking = stop, target
    return out - _smoothstep((times - period + QUIET) / SACCADE)[:, None] * looking


def sway(times: Array, period: float, strength: float, seed: int) -> dict[str, Array]:
    """Slow drift of head and torso and a breath, by channel, (T,) each."""
    random = np.random.default_rng([seed, 3])
    out: dict[str, Array] = {}
    turn = 2 * np.pi * times / period
    for channel, (amplitude, slowest) in SWAY.items():
        base = max(1, round(period / slowest))
        values = np.zeros_like(times)
        for harmonic, share in ((base, 0.7), (base + 1, 0.4), (2 * base + 1, 0.15)):
            phase = random.uniform(0, 2 * np.pi)
            values += share * (np.sin(harmonic * turn + phase) - np.sin(phase))
        out[channel] = strength * amplitude * values
    breath = (1 - np.cos(max(1, round(period / BREATH_PERIOD)) * turn)) / 2
    for channel, amplitude in BREATH.items():
        out[channel] = out.get(channel, 0.0) + strength * amplitude * breath
    return out


def eye_contact(yaw: Array, pitch: Array, strength: float) -> Array:
    """How the eyes turn against the head to stay with the camera, (T, 2), as parts of their whole way.

    Args:
        yaw: of the head, degrees, (T,).
        pitch: of the head, degrees, (T,).
        strength: 1 keeps the eyes on the camera while they can reach it, 0 lets them go with the head.
    """
    return strength * np.clip(np.stack([yaw / WHOLE_WAY[0], -pitch / WHOLE_WAY[1]], 1), -1.0, 1.0)
