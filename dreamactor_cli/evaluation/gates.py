"""The gates that look at numbers: each gives one `contracts.Finding`.

Every limit was set on renders of the geometry renderer: good results lie well below it, made-up bad ones well above; the
tests hold both sides. A value above its limit fails.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from dreamactor_cli.contracts import F32, Finding
from dreamactor_cli.evaluation.driver import DriverMotion

FROZEN_SPARK = 2.0  # grey levels below which a frame repeats the one before: what an encoder adds to a still
FROZEN_TRAVEL = 0.08  # inter-ocular units that the driver must move meanwhile, well above the noise of a tracker
FROZEN_LIMIT = 0.5  # s
BLACK = 20.0  # brightness of a frame's lightest parts
DARK_REFERENCE = 60.0  # a picture as dark as this is not judged
LENGTH_LIMIT = 0.1  # s: two AAC packets and two frames; an ear notices 45 ms, but not at the end of a clip
COLOUR_LIMIT = 5.0  # CIE76; a step that is seen side by side is 2.3
COLOUR_PARTS = 5  # of the clip, each against the first
SEAM_AROUND = 6  # frames before and after that tell what is usual
SEAM_FLOOR = 0.5  # grey levels: changes below it are no jump, however still the rest is
SEAM_LIMIT = 2.5  # real renders reach 1.5, a shift by a twentieth of the picture 3


def frame_count(found: int, asked: int) -> Finding:
    """As many frames as were asked for."""
    off = abs(found - asked)
    said = f"the output has {found} frames and not {asked}; render it again" if off else ""
    return Finding(gate="frame-count", passed=not off, value=float(off), limit=0.0, unit="frames", message=said)


def av_length(video: Fraction, audio: Fraction | None, *, sound_expected: bool) -> Finding | None:
    """Sound as long as the pictures; None where there is no sound and there should be none."""
    if audio is None:
        if not sound_expected:
            return None
        said = "the driver has sound and the output has none; render it again"
        return Finding(gate="av-length", passed=False, value=float(video), limit=LENGTH_LIMIT, unit="s", message=said)
    off = abs(float(video - audio))
    passed = off <= LENGTH_LIMIT
    what = "longer" if audio > video else "shorter"
    said = "" if passed else f"the sound is {off:.2f} s {what} than the pictures; see whether the driver's own sound is that long"
    return Finding(gate="av-length", passed=passed, value=round(off, 3), limit=LENGTH_LIMIT, unit="s", message=said)


def frozen_frames(spark: F32, fps: Fraction, driver: DriverMotion) -> Finding:
    """The longest time for which the output stands still while the driver moves.

    Args:
        spark: (T,), change of the pixels that change most, grey levels.
    """
    frames = min(len(spark), len(driver.points))
    still = np.concatenate([[False], spark[1:frames] < FROZEN_SPARK, [False]])
    edges = np.flatnonzero(np.diff(still.astype(int)))
    longest, where = 0, 0
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):  # frames start+1 .. stop repeat `start`
        if stop - start > longest and driver.travel(start, stop + 1) > FROZEN_TRAVEL:
            longest, where = stop - start, start
    seconds = float(longest / fps)
    passed = seconds <= FROZEN_LIMIT
    said = (
        ""
        if passed
        else f"the picture stands still for {seconds:.1f} s from {float(where / fps):.1f} s on while the driver moves"
    )
    return Finding(
        gate="frozen-frames", passed=passed, value=round(seconds, 2), limit=FROZEN_LIMIT, unit="s",
        message=said and f"{said}; render it again, or see whether the driver's face is covered there",
    )  # fmt: skip


def black_frames(light: F32, reference_light: float | None) -> Finding | None:
    """Frames in which nothing is lit; None where the reference is that dark itself.

    Args:
        light: (T,), 99th percentile of each frame's brightness, 0..255.
        reference_light: the same of the reference; None if it is not known.
    """
    if reference_light is not None and reference_light < DARK_REFERENCE:
        return None
    black = np.flatnonzero(light < BLACK)
    said = f"{len(black)} frames are black, the first is frame {black[0]}; render it again" if len(black) else ""
    return Finding(gate="black-frames", passed=not len(black), value=float(len(black)), limit=0.0, unit="frames", message=said)


def colour_drift(colour: F32) -> Finding | None:
    """How far the colours of the whole picture wander from those of the clip's beginning; None for a very short clip.

    Of each pixel the colour over a fifth of the clip is compared with that over the first fifth; the median over the pixels
    leaves out what moves. Cannot see a drift of less than half of the picture, like of the face alone.

    Args:
        colour: (K, h, w, 3), L*a*b* of evenly spread frames.
    """
    if len(colour) < COLOUR_PARTS:
        return None
    parts = [part.mean(0) for part in np.array_split(colour, COLOUR_PARTS)]
    drifts = [float(np.linalg.norm(np.median((part - parts[0]).reshape(-1, 3), 0))) for part in parts[1:]]
    worst = max(drifts)
    passed = worst <= COLOUR_LIMIT
    said = "" if passed else f"the colours wander by {worst:.1f} (a step of 2.3 is visible); try another seed or shorter segments"
    return Finding(gate="colour-drift", passed=passed, value=round(worst, 2), limit=COLOUR_LIMIT, unit="ΔE", message=said)


def seam_jumps(change: F32, driver: DriverMotion | None, segment: int | None) -> Finding | None:
    """The largest jump from one frame to the next that the driver does not make; None for a very short clip.

    A jump is a change that many times larger than usual around it, divided by how much faster than usual the driver is
    there. Cannot see seams that are crossfaded.

    Args:
        change: (T,), mean change to the frame before, grey levels.
        segment: frames of a renderer's segment, to say whether the jump lies on a border; None if it has none.
    """
    if len(change) < 2 * SEAM_AROUND:
        return None
    jumps = _unusual(change, SEAM_FLOOR)
    if driver is not None and len(driver.points) == len(change):
        pace = _unusual(driver.speed(), 0.01)
        near = np.max([pace, np.roll(pace, 1), np.roll(pace, -1)], axis=0)
        jumps = jumps / np.maximum(near, 1)
    at = int(jumps.argmax())
    passed = bool(jumps[at] <= SEAM_LIMIT)
    where = " on the border of two segments" if segment and at % segment == 0 else ""
    said = "" if passed else f"the picture jumps at frame {at}{where}; try more --smoothing, another seed, or keep to one scene"
    value = round(float(jumps[at]), 2)
    return Finding(gate="seam-jumps", passed=passed, value=value, limit=SEAM_LIMIT, unit="x", message=said)


def _unusual(values: F32, floor: float) -> np.ndarray:
    """How many times larger than the median around it each value is, (T,); 0 in frame 0, which has no change."""
    out = np.zeros(len(values))
    for t in range(1, len(values)):
        near = np.concatenate([values[max(t - SEAM_AROUND, 1) : t], values[t + 1 : t + 1 + SEAM_AROUND]])
        out[t] = values[t] / (np.median(near) + floor)
    return out
