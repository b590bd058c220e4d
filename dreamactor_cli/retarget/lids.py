"""Eyelids and lips of another person: amplitudes that fit that person's eyes, and lips that do not cross."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.controls import blendshapes
from dreamactor_cli.person_space import smoothstep
from dreamactor_cli.retarget.regions import IRISES

Array = NDArray[np.float64]

LEFT_GAP = ((160, 144), (159, 145), (158, 153))  # upper and lower lid, picture's left eye
RIGHT_GAP = ((385, 380), (386, 374), (387, 373))
SHUT = (0.65, 0.95)  # measured blink between which an eye goes from as it is to shut
GAIN_LIMITS = (0.5, 2.0)
LIP_PAIRS = ((80, 88), (81, 178), (82, 87), (13, 14), (312, 317), (311, 402), (310, 318))


def _gap(shape: Array, pairs: tuple[tuple[int, int], ...]) -> float:
    """Mean distance between lids, in the units of the shape (478, 3)."""
    return float(np.mean([np.linalg.norm(shape[a] - shape[b]) for a, b in pairs]))


def _ratio(mine: float, theirs: float) -> float:
    return float(np.clip(mine / max(theirs, 1e-6), *GAIN_LIMITS))


def mouth_opening(canonical: Array) -> Array:
    """Distance between the inner lips of canonical faces (T, 478, 3), (T,)."""
    upper, lower = (canonical[:, [pair[k] for pair in LIP_PAIRS[2:5]], 1] for k in (0, 1))
    return (lower - upper).mean(1)


def eye_gains(driver: Array, reference: Array) -> Array:
    """Factors on the driver's expression, (478, 3), from both canonical faces (478, 3).

    Lids move up and down in proportion to the opening of the eyes, so that the driver's full blink closes the reference's
    eyes; irises move sideways in proportion to their width.
    """
    gains = np.ones((head_space.NUM_LANDMARKS, 3))
    template = head_space.template()
    sides = (
        (head_space.EYE_LEFT, LEFT_GAP, (33, 133), head_space.IRIS_LEFT),
        (head_space.EYE_RIGHT, RIGHT_GAP, (362, 263), head_space.IRIS_RIGHT),
    )
    for contour, pairs, (inner, outer), iris in sides:
        opening = _ratio(_gap(reference, pairs), _gap(driver, pairs))
        width = _ratio(_gap(reference, ((inner, outer),)), _gap(driver, ((inner, outer),)))
        center = template[list(contour)].mean(0)
        near = np.exp(-((np.linalg.norm((template - center)[:, :2], axis=1) / 0.3) ** 2))
        near[list(contour)] = 1
        near[list(IRISES)] = 0
        gains[:, 1] += near * (opening - 1)
        gains[list(iris), 0] = width
        gains[list(iris), 1] = width
    return gains


def close_lids(canonical: Array, blink: Array) -> Array:
    """Canonical faces (T, 478, 3) whose eyes are really shut where the driver's are.

    The landmark network leaves a gap of about a quarter in a shut eye; the measured blink tells that it is shut.

    Args:
        blink: weights of eyeBlinkLeft and eyeBlinkRight beyond the anchor frame's, (T, 2).
    """
    shut = smoothstep(blink, *SHUT)
    if not shut.any():
        return canonical
    out = canonical.copy()
    for side, place in enumerate((np.arange(head_space.NUM_LANDMARKS), head_space.mirror())):
        amount = shut[:, side, None, None]
        upper, lower = place[list(blendshapes.UPPER_LID)], place[list(blendshapes.LOWER_LID)]
        meeting = out[:, lower] + blendshapes.LID_MEETING * (out[:, upper] - out[:, lower])
        lids = ((upper, blendshapes.UPPER_ROWS), (lower, blendshapes.LOWER_ROWS))
        for margin, rows in lids:
            way = amount * (meeting - canonical[:, margin])
            out[:, margin] += way
            for row, share in zip(rows, blendshapes.SKIN_FOLLOWS, strict=True):
                out[:, place[list(row)]] += share * way
    return out


def keep_lips_apart(canonical: Array, reference: Array) -> Array:
    """Canonical faces (T, 478, 3) in which the lower lip never rises above the upper lip further than in the reference."""
    out = canonical
    for upper, lower in LIP_PAIRS:
        floor = min(0.0, float(reference[lower, 1] - reference[upper, 1]))
        overlap = floor - (canonical[:, lower, 1] - canonical[:, upper, 1])
        crossing = np.maximum(overlap, 0)
        if crossing.any():
            out = out.copy() if out is canonical else out
            out[:, upper, 1] -= crossing / 2
            out[:, lower, 1] += crossing / 2
    return out
