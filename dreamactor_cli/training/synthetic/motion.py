"""What people do: speech, moods, blinks, looks, nods, gestures, walking and turning, by chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import BLENDSHAPES
from dreamactor_cli.training.synthetic.rig import Performance

Array = NDArray[np.float64]
Rng = np.random.Generator

# Faces that moods make. A stem without a side stands for both.
_MOODS: dict[str, dict[str, float]] = {
    "smile": {"mouthSmile": 0.9, "cheekSquint": 0.5, "eyeSquint": 0.3},
    "laugh": {"mouthSmile": 0.9, "jawOpen": 0.45, "cheekSquint": 0.6, "eyeSquint": 0.4},
    "surprise": {"jawOpen": 0.5, "browInnerUp": 0.9, "browOuterUp": 0.9, "eyeWide": 0.8},
    "anger": {"browDown": 0.95, "mouthPress": 0.5, "noseSneer": 0.4},
    "sadness": {"mouthFrown": 0.9, "browInnerUp": 0.9},
    "kiss": {"mouthPucker": 0.95},
    "disgust": {"noseSneer": 0.9, "mouthUpperUp": 0.6, "browDown": 0.4},
    "smirk left": {"mouthSmileLeft": 0.9},
    "smirk right": {"mouthSmileRight": 0.9},
    "doubt left": {"browOuterUpLeft": 0.95, "browDownRight": 0.4},
    "doubt right": {"browOuterUpRight": 0.95, "browDownLeft": 0.4},
    "brows": {"browInnerUp": 0.8, "browOuterUp": 0.9},
    "stretch": {"mouthStretch": 0.9},
    "awe": {"mouthFunnel": 0.9, "jawOpen": 0.2},
    "rest": {},
}
# Blendshapes that are tried one by one, so that the model learns to tell them apart.
_SINGLE = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight", "jawLeft", "jawRight", "jawOpen", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "mouthRollLower", "mouthShrugLower", "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
_COLUMN = {name: i for i, name in enumerate(BLENDSHAPES)}


def columns(stem: str) -> list[int]:
    """Columns of a blendshape, of both sides where the name says none."""
    return [_COLUMN[stem]] if stem in _COLUMN else [_COLUMN[stem + side] for side in ("Left", "Right")]


def track(rng: Rng, times: Array, gaps: tuple[float, float], draw: Callable[[], float | Array]) -> Array:
    """A curve through random keys: eased from one to the next, at times held.

    Args:
        times: seconds, ascending, (T,).
        gaps: shortest and longest time between two keys.
        draw: one key.

    Returns:
        (T,) or (T, ...) as the keys are.
    """
    at, keys = [float(times[0]) - rng.uniform(0, gaps[1])], [np.asarray(draw(), np.float64)]
    while at[-1] <= times[-1]:
        at.append(at[-1] + rng.uniform(*gaps))
        keys.append(keys[-1] if rng.random() < 0.2 else np.asarray(draw(), np.float64))
    values = np.stack(keys)
    k = np.searchsorted(at, times, side="right") - 1
    start = np.asarray(at)
    part = (times - start[k]) / (start[k + 1] - start[k])
    part = (part * part * (3 - 2 * part)).reshape(-1, *[1] * (values.ndim - 1))
    return values[k] * (1 - part) + values[k + 1] * part


def _moods(rng: Rng, times: Array, weights: Array) -> None:
    names = list(_MOODS)
    for _ in range(rng.integers(2, 5)):
        mood = _MOODS[names[rng.integers(len(names))]]
        amount = np.clip(track(rng, times, (0.35, 1.1), lambda: rng.normal(0.5, 0.6)), 0, 1.1)
        for stem, weight in mood.items():
            for column in columns(stem):
                weights[:, column] += amount * weight
    for _ in range(rng.integers(0, 4)):
        column = _COLUMN[_SINGLE[rng.integers(len(_SINGLE))]]
        weights[:, column] += np.clip(track(rng, times, (0.3, 0.9), lambda: rng.normal(0.3, 0.6)), 0, 1)


def _speech(rng: Rng, times: Array, weights: Array) -> None:
    """Syllables of the jaw, four to seven a second, with lips that round, spread, part and close."""
    loud = rng.uniform(0.6, 1.4)

    def add(stem: str, gaps: tuple[float, float], mean: float, spread: float, most: float) -> None:
        curve = np.clip(track(rng, times, gaps, lambda: rng.normal(mean, spread)), 0, most)
        for column in columns(stem):
            weights[:, column] += curve

    add("jawOpen", (0.08, 0.25), 0.34 * loud, 0.38 * loud, 1.0)
    add("mouthPucker", (0.12, 0.35), -0.1, 0.4, 0.8)
    add("mouthFunnel", (0.12, 0.35), -0.15, 0.35, 0.7)
    add("mouthStretch", (0.12, 0.35), -0.1, 0.35, 0.7)
    add("mouthLowerDown", (0.1, 0.3), -0.1, 0.35, 0.7)
    add("mouthUpperUp", (0.1, 0.3), -0.1, 0.3, 0.6)
    add("mouthPress", (0.1, 0.3), -0.25, 0.35, 0.7)


def _blinks(rng: Rng, times: Array, weights: Array) -> None:
    closed = np.zeros(len(times))
    at = times[0] + rng.uniform(0, 1.5)
    while at < times[-1]:
        closed = np.maximum(closed, np.clip(1.3 - np.abs(times - at) / rng.uniform(0.09, 0.16), 0, 1))
        at += rng.uniform(0.5, 2.2)
    both = columns("eyeBlink")
    weights[:, both] += closed[:, None]
    if rng.random() < 0.15:  # a wink, or drowsy eyes
        which = both if rng.random() < 0.4 else [both[rng.integers(2)]]
        weights[:, which] += np.clip(track(rng, times, (0.3, 1), lambda: rng.normal(0.2, 0.6)), 0, 1)[:, None]


def _face(rng: Rng, times: Array, gaze: Array) -> Array:
    weights = np.zeros((len(times), len(BLENDSHAPES)))
    _moods(rng, times, weights)
    if rng.random() < 0.7:
        _speech(rng, times, weights)
    _blinks(rng, times, weights)
    for name in ("jawOpen", "mouthPucker", "mouthFunnel"):  # a mouth that is round is not wide open too
        weights[:, _COLUMN[name]] = np.clip(weights[:, _COLUMN[name]], 0, 1)
    round_lips = np.maximum(weights[:, _COLUMN["mouthPucker"]], weights[:, _COLUMN["mouthFunnel"]])
    weights[:, _COLUMN["jawOpen"]] *= 1 - 0.6 * round_lips
    for stem in ("mouthSmile", "mouthStretch"):
        weights[:, columns(stem)] *= (1 - 0.7 * round_lips)[:, None]
    # A shut eye is neither wide nor squinting, and lids follow the look.
    lid = 1 - np.clip(weights[:, columns("eyeBlink")], 0, 1)
    weights[:, columns("eyeWide")] *= lid
    weights[:, columns("eyeSquint")] *= lid
    weights[:, columns("eyeLookDown")] = np.clip(-gaze[:, 1] / 0.6, 0, 1)[:, None]
    weights[:, columns("eyeLookUp")] = np.clip(gaze[:, 1] / 0.6, 0, 1)[:, None]
    return np.clip(weights, 0, 1)


def _wrists(rng: Rng, times: Array, side: int, framing: str) -> Array:
    """Places of a wrist: beside the body, before it, or raised, (T, 3)."""
    outward = 1.0 if side == 0 else -1.0
    busy = {"face": 0.1, "bust": 0.55, "half": 0.75, "full": 0.55}[framing]
    at_rest = rng.random() > busy

    def place() -> Array:
        kind = rng.random() if not at_rest else 0.0
        if kind < 0.25:
            return np.array([outward * rng.uniform(0.2, 0.34), -rng.uniform(0.88, 0.95), rng.uniform(-0.03, 0.18)])
        if kind < 0.85:
            high = -0.1 if framing != "bust" else 0.15
            return np.array([outward * rng.uniform(-0.3, 0.45), rng.uniform(-0.55, high), rng.uniform(0.42, 0.7)])
        return np.array([outward * rng.uniform(0.15, 0.6), rng.uniform(0.2, 0.75), rng.uniform(0.1, 0.45)])

    wrist = track(rng, times, (0.35, 1.2), place)
    inside = np.clip((0.14 - outward * wrist[:, 0]) / 0.2, 0, 1)  # the way between two places must not lead through the body
    wrist[:, 2] += np.maximum(0.38 - wrist[:, 2], 0) * inside
    return wrist


def _walk(rng: Rng, times: Array, framing: str) -> tuple[Array, Array, Array, Array, Array]:
    """Legs (thigh, knee, ankle), place and swing of the arms of somebody who stands, shifts the weight or walks on the spot."""
    zero = np.zeros(len(times))
    if framing != "full" or rng.random() < 0.45:
        thigh = np.abs(np.stack([track(rng, times, (0.5, 1.5), lambda: rng.normal(0, 0.1)) for _ in range(2)], 1))
        spread = np.full((len(times), 2), abs(rng.normal(0, 0.05)))
        knee = thigh * 1.8
        place = np.stack([track(rng, times, (0.6, 1.5), lambda: rng.normal(0, 0.02)), zero, zero], 1)
        return np.stack([thigh, spread], -1), knee, knee - thigh, place, np.zeros((len(times), 2))
    stride, rate = rng.uniform(0.2, 0.5), rng.uniform(0.7, 1.1)
    phase = 2 * np.pi * (rate * times + rng.random())
    swing = np.stack([np.sin(phase), np.sin(phase + np.pi)], 1)
    thigh = stride * swing + 0.08
    # The knee bends while its leg swings forward.
    knee = 0.12 + 1.6 * stride * np.clip(np.stack([np.cos(phase), np.cos(phase + np.pi)], 1), 0, 1) ** 1.5
    drop = -0.5 * stride**2 * np.abs(np.sin(phase)) - 0.01
    drift = track(rng, times, (1.0, 2.0), lambda: rng.normal(0, 0.1))
    place = np.stack([drift, drop, zero], 1)
    return np.stack([thigh, zero[:, None] * swing], -1), knee, 0.4 * (knee - thigh), place, swing * stride


def _turn(rng: Rng, times: Array, framing: str) -> Array:
    """Of the whole person: mostly to the camera, at times far away from it."""
    spread = {"face": 0.18, "bust": 0.25, "half": 0.4, "full": 0.5}[framing]
    turn = track(rng, times, (0.8, 2.0), lambda: rng.normal(0, spread))
    if rng.random() < {"face": 0.1, "bust": 0.15, "half": 0.25, "full": 0.3}[framing]:
        goal = rng.choice([-1, 1]) * rng.uniform(0.7, 1.3 if framing in ("face", "bust") else 3.1)
        start = rng.uniform(times[0], times[-1])
        part = np.clip((times - start) / rng.uniform(0.8, 2.0), 0, 1)
        turn = turn + goal * part * part * (3 - 2 * part)
    return turn


def perform(rng: Rng, times: Array, framing: str) -> Performance:
    """Something somebody does.

    Args:
        times: seconds, ascending, (T,); far apart for single moments.
        framing: what the camera sees of it, one of `clip.FRAMINGS`.
    """

    def smooth(spread: float, mean: float = 0.0, gaps: tuple[float, float] = (0.4, 1.4)) -> Array:
        return track(rng, times, gaps, lambda: rng.normal(mean, spread))

    gaze = np.stack([np.clip(smooth(0.27, gaps=(0.25, 1.2)), -0.6, 0.6), np.clip(smooth(0.14, gaps=(0.25, 1.2)), -0.4, 0.35)], 1)
    turn = _turn(rng, times, framing)
    yaw = np.clip(smooth(0.38, rng.normal(0, 0.15)), -0.95, 0.95)
    head = np.stack([yaw, np.clip(smooth(0.16), -0.45, 0.45), np.clip(smooth(0.12), -0.35, 0.35)], 1)
    thigh, knee, ankle, place, swing = _walk(rng, times, framing)
    wrist = np.stack([_wrists(rng, times, side, framing) for side in range(2)], 1)
    hanging = np.clip((-wrist[..., 1] - 0.7) / 0.15, 0, 1)
    wrist[..., 2] -= hanging * swing
    curl = [track(rng, times, (0.3, 1.0), lambda: rng.uniform(-0.05, 1.0) + rng.normal(0, 0.2, 5)) for _ in range(2)]
    return Performance(
        weights=_face(rng, times, gaze), gaze=gaze, head=head,
        spine=np.stack([smooth(0.1), smooth(0.05), smooth(0.05)], 1), turn=turn, place=place, wrist=wrist,
        elbow=np.clip(np.stack([smooth(0.2, 0.5) for _ in range(2)], 1), 0.1, 1.2),
        twist=np.stack([smooth(0.5) for _ in range(2)], 1), bend=np.stack([smooth(0.2) for _ in range(2)], 1),
        curl=np.clip(np.stack(curl, 1), -0.05, 1.15), thigh=thigh, knee=knee, ankle=ankle,
    )  # fmt: skip
