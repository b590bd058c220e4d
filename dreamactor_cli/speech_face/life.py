"""The life of a face that speaks: blinks, glances, and a head that moves with what is said.

Statistics of 22 talking people (see ``docs/lipsync.md``): 26 blinks a minute in speech and 17 at rest, at log-normal
intervals; a head whose turns have standard deviations of 2.8 degrees of pitch, 4.4 of yaw and 2.6 of roll, two thirds of
their power below 0.5 Hz, and which is a fifth faster in speech than in pauses; small nods where a syllable is stressed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import motion_layers
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.speech_face.tracks import MouthTracks, smooth

Array = NDArray[np.float64]

BLINKS = (17.0, 26.0)  # a minute, at rest and in speech
BLINK_SPREAD = 0.75  # of the logarithm of the intervals
SHORTEST = 0.4  # s between two blinks
BLINK = (0.08, 0.05, 0.15)  # s of closing, closed, opening

FIXATION = (0.9, 0.55)  # s: median, and spread of the logarithm, of the time that the eyes rest
GLANCE = (0.16, 0.09)  # largest glance across and up or down, as parts of the whole way of the eyes
AT_CAMERA = 0.55  # share of fixations that look at the camera
SACCADE = 0.045  # s
EYE_CONTACT = 0.85  # of a head turn that the eyes make up for

TURNS = {"headPitch": 2.8, "headYaw": 4.4, "headRoll": 2.6}  # standard deviations, degrees
TRAVEL = {"headX": 0.035, "headY": 0.02, "torsoX": 0.012}  # inter-ocular units
BANDS = ((0.06, 0.5, 0.66), (0.5, 1.0, 0.21), (1.0, 2.0, 0.11), (2.0, 3.5, 0.02))  # Hz from, to, share of the power
TONES = 10  # sine waves a band
SPEED = (0.9, 1.1)  # of the head's clock, in pauses and in speech
ARRIVAL = 2.0  # s in which the head comes from the picture's pose into its own motion
BREATH = {"torsoY": -0.016, "headPitch": -0.25}  # at the height of a breath
BREATH_PERIOD = 3.7  # s

CALM = 0.25  # s; what of speech and silence is faster does not show in the head
NOD = 1.1  # degrees at a stressed syllable
BROW = 0.22  # weight of browInnerUp at some of them
STRESS = (0.16, 0.12)  # s: a nod's half width; and by how much it follows
STRESSED_APART = 0.7  # s between stressed syllables
STRESSED_SHARE = 0.5  # of the syllables far enough apart


def life(tracks: MouthTracks, *, fps: float, seed: int, head_motion: float) -> dict[str, Array]:
    """Curves of blinks, glances and head for a clip, by the names of `motion.CURVE_NAMES`, (T,) each.

    Args:
        tracks: of the mouth; speech quickens the head and the blinks.
        fps: frames a second.
        seed: of all that is random.
        head_motion: factor on turns and travel of the head; 0 keeps it still.
    """
    times = np.arange(len(tracks)) / fps
    activity = smooth(1 - tracks.rest, CALM * fps)
    head = _head(times, activity, seed)
    stressed = _stressed(tracks, fps, np.random.default_rng([seed, 14]))
    head["headPitch"] = head["headPitch"] + NOD * _bumps(times, stressed)
    out = {name: head_motion * values for name, values in head.items()}
    out["eyeBlink"] = _blinks(times, activity, np.random.default_rng([seed, 11]))
    glances = _glances(times, np.random.default_rng([seed, 12]))
    glances += motion_layers.eye_contact(out["headYaw"], out["headPitch"], EYE_CONTACT)
    out["gazeX"], out["gazeY"] = glances.T
    raised = np.random.default_rng([seed, 15]).random(len(stressed)) < 0.4
    out["browInnerUp"] = BROW * min(1.0, 0.4 + head_motion) * _bumps(times, stressed[raised])
    return out


def _blinks(times: Array, activity: Array, random: np.random.Generator) -> Array:
    """How closed the eyes are, (T,)."""
    rest, speech = (rate / 60 for rate in BLINKS)
    step = times[1] - times[0] if len(times) > 1 else 0.04
    due = np.cumsum(rest + (speech - rest) * activity) * step  # blinks that are due by each frame, on average
    median = np.exp(-(BLINK_SPREAD**2) / 2)  # of intervals whose mean is 1
    out = np.zeros_like(times)
    closing, closed, opening = BLINK
    at, last = median * random.lognormal(0, BLINK_SPREAD) * random.uniform(0.3, 1), -1.0
    while len(due) and at < due[-1]:
        begin = float(np.interp(at, due, times))
        if begin - last >= SHORTEST and begin > 0.2:
            last = begin
            near = slice(*np.searchsorted(times, (begin, begin + closing + closed + opening)))
            since = times[near] - begin
            shut = smoothstep(since, 0, closing) - smoothstep(since, closing + closed, closing + closed + opening)
            out[near] = np.maximum(out[near], shut)
        at += median * random.lognormal(0, BLINK_SPREAD)
    return out


def _glances(times: Array, random: np.random.Generator) -> Array:
    """Where the eyes look, (T, 2), as parts of their whole way, picture's right and down."""
    moments, places = [0.0], [np.zeros(2)]
    now, median = 0.0, FIXATION[0]
    while now < (times[-1] if len(times) else 0.0):
        now += median * random.lognormal(0, FIXATION[1]) + 0.2
        target = np.zeros(2) if random.random() < AT_CAMERA else random.uniform(-1, 1, 2) * GLANCE
        moments += [now, now + SACCADE]
        places += [places[-1], target]
    return np.stack([np.interp(times, moments, np.array(places)[:, k]) for k in (0, 1)], 1)


def _head(times: Array, activity: Array, seed: int) -> dict[str, Array]:
    """Turns in degrees and travel in inter-ocular units, by channel, 0 in the first frame."""
    slow, fast = SPEED
    step = times[1] - times[0] if len(times) > 1 else 0.04
    clock = np.cumsum(slow + (fast - slow) * activity) * step
    arriving = np.exp(-times / ARRIVAL)
    out = {}
    for number, (name, deviation) in enumerate({**TURNS, **TRAVEL}.items()):
        noise = _noise(clock, np.random.default_rng([seed, 13, number]))
        out[name] = deviation * (noise - noise[:1] * arriving)
    breath = (1 - np.cos(2 * np.pi * times / BREATH_PERIOD)) / 2
    for name, height in BREATH.items():
        out[name] = out.get(name, 0.0) + height * breath
    return out


def _noise(clock: Array, random: np.random.Generator) -> Array:
    """A curve of standard deviation 1 with the power of `BANDS`, (T,)."""
    out = np.zeros_like(clock)
    for low, high, share in BANDS:
        tones = np.exp(random.uniform(np.log(low), np.log(high), TONES))
        phases = random.uniform(0, 2 * np.pi, TONES)
        for tone, phase in zip(tones, phases, strict=True):
            out += np.sqrt(2 * share / TONES) * np.sin(2 * np.pi * tone * clock + phase)
    return out


def _stressed(tracks: MouthTracks, fps: float, random: np.random.Generator) -> Array:
    """Times of stressed syllables, where the mouth opens widest, s."""
    opening = tracks.opening
    spoken = opening[tracks.rest < 0.5]
    high = max(float(np.quantile(spoken, 0.7)), 0.02) if len(spoken) else np.inf
    padded = np.pad(opening, 1)
    peaks = np.flatnonzero((opening >= padded[:-2]) & (opening > padded[2:]) & (opening >= high))
    chosen: list[float] = []
    for moment in (peaks / fps).tolist():
        if not chosen or moment - chosen[-1] >= STRESSED_APART:
            chosen.append(moment)
    return np.array(chosen)[random.random(len(chosen)) < STRESSED_SHARE]


def _bumps(times: Array, moments: Array) -> Array:
    """1 shortly after each moment, falling off to both sides, (T,)."""
    out = np.zeros_like(times)
    width, late = STRESS
    for moment in moments.tolist():
        near = slice(*np.searchsorted(times, (moment + late - 3 * width, moment + late + 3 * width)))
        out[near] += np.exp(-(((times[near] - moment - late) / width) ** 2))
    return out
