"""ARKit weights measured from canonical landmarks.

A few dozen distances on the face (lip gap, corner height, brow height, lid way, ...) are compared with what each blendshape
of the basis does to them, and the weights between 0 and 1 that explain them best are taken. Distances between neighbours
hardly feel an error of the head pose, which single landmarks do. What no landmark shows is 0.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import BLENDSHAPES

Array = NDArray[np.floating]

UNSEEN = ("cheekPuff", "jawForward", "tongueOut")
SWEEPS = 60
NOISE = 0.015  # of a distance, inter-ocular units

# Cost of using a blendshape: what is common explains a distance before what is rare.
RARE = {
    "mouthDimple": 4.0, "mouthPress": 3.0, "mouthRoll": 4.0, "mouthShrug": 5.0, "mouthStretch": 3.0, "mouthClose": 2.5,
    "noseSneer": 2.5, "cheekSquint": 2.5, "eyeSquint": 1.2, "mouthFunnel": 1.5, "mouthFrown": 1.2, "mouthUpperUp": 1.5,
    "mouthLowerDown": 1.5, "eyeWide": 1.2,
}  # fmt: skip
QUADRATIC, LINEAR = 0.6, 0.6

# A real closed eye keeps about a fifth of the lid gap in the mesh; up to the middle the mesh is right.
BLINK_SEEN, BLINK_MEANT = (0.0, 0.4, 0.78), (0.0, 0.4, 1.0)
LID_HIDES_IRIS = (0.3, 0.6)  # of the open gap: between them the iris fades out
LID_GAP_RANGE = (0.10, 0.24)  # of open eyes, inter-ocular units; an identity with closed eyes is taken as the lower one

X, Y, Z = 0, 1, 2
NOSE = (2, 94, 4)  # what the mouth is measured from
EYE_CORNERS = (362, 263)
IRIS_CENTER = (473,)
UPPER_LID, LOWER_LID = (385, 386, 387), (380, 374, 373)


class Distance(NamedTuple):
    """Mean coordinate of some landmarks less that of others, in one axis.

    Attributes:
        weight: how far it is to be trusted.
    """

    axis: int
    of: tuple[int, ...]
    less: tuple[int, ...]
    weight: float = 1.0


# Of the person's left side (the picture's right) and of the middle; the left ones are mirrored.
MIDDLE = (
    Distance(Y, (14,), (13,), 1.5), Distance(Y, (152, 175), NOSE, 1.5), Distance(Y, (17,), NOSE), Distance(Y, (0,), NOSE),
    Distance(Y, (13,), (0,)), Distance(Y, (17,), (14,)), Distance(Z, (0, 17, 13, 14), (61, 291), 0.5),
    Distance(Z, (0, 17), NOSE, 0.5), Distance(X, (152, 175), (168, 6), 0.8), Distance(X, (0, 17, 13, 14), NOSE),
    Distance(Y, (200, 18), (152, 175), 0.7),
)  # fmt: skip
LEFT = (
    Distance(Y, (291, 308), NOSE), Distance(X, (291, 308), NOSE), Distance(Y, (402, 318), (311, 310)),
    Distance(Y, (405, 321), NOSE), Distance(Y, (269, 270), NOSE), Distance(Y, (269,), (0,)), Distance(Y, (405,), (17,)),
    Distance(Y, (280, 330), EYE_CORNERS, 0.8), Distance(Y, (327, 294), (4, 1), 1.2), Distance(X, (327, 294), (4, 1), 0.7),
    Distance(Y, (285, 336), EYE_CORNERS), Distance(X, (285, 336), (168, 9)), Distance(Y, (282, 334), EYE_CORNERS),
    Distance(Y, (276, 300, 283), EYE_CORNERS), Distance(X, IRIS_CENTER, EYE_CORNERS, 1.2), Distance(Y, IRIS_CENTER, EYE_CORNERS),
)  # fmt: skip
LID_WAYS = (Distance(Y, UPPER_LID, EYE_CORNERS, 1.5), Distance(Y, LOWER_LID, EYE_CORNERS, 1.5))


def _mirrored(d: Distance) -> Distance:
    m = head_space.mirror()
    return d._replace(of=tuple(int(m[v]) for v in d.of), less=tuple(int(m[v]) for v in d.less))


@cache
def _distances() -> tuple[Distance, ...]:
    """All distances; the last four are the lids: left upper and lower, right upper and lower."""
    sides = LEFT + tuple(_mirrored(d) for d in LEFT)
    return MIDDLE + sides + LID_WAYS + tuple(_mirrored(d) for d in LID_WAYS)


@cache
def _places(*, less: bool) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
    """Of distances with as many landmarks: which they are (k,), and where in a row of 478 x 3 these stand (count, k)."""
    sides = [[3 * landmark + d.axis for landmark in (d.less if less else d.of)] for d in _distances()]
    groups = []
    for count in sorted({len(side) for side in sides}):
        chosen = [k for k, side in enumerate(sides) if len(side) == count]
        groups.append((np.array(chosen), np.array([sides[k] for k in chosen]).T))
    return tuple(groups)


def _means(shapes: Array, *, less: bool) -> Array:
    """Mean coordinates of one end of each distance, (N, K)."""
    rows = shapes.reshape(len(shapes), -1)
    out = np.empty((len(rows), len(_distances())), rows.dtype)
    for chosen, places in _places(less=less):
        total = rows[:, places[0]]
        for more in places[1:]:
            total = total + rows[:, more]
        out[:, chosen] = total / len(places)
    return out


def _take(shapes: Array) -> Array:
    """Distances of shapes (N, 478, 3), (N, K)."""
    return _means(shapes, less=False) - _means(shapes, less=True)


def _lid_gap(shape: Array) -> Array:
    """Height of the person's left and right eye of a shape (478, 3), (2,)."""
    upper, lower, upper_right, lower_right = _take(shape[None])[0, -4:]
    return np.array([lower - upper, lower_right - upper_right])


class _System(NamedTuple):
    """Response (K, 52) of the weighted distances, its Gram matrix with costs, and the linear cost."""

    response: Array
    gram: Array
    linear: Array


@cache
def _system() -> _System:
    from dreamactor_cli.controls.blendshapes import basis

    trust = np.array([d.weight for d in _distances()]) / NOISE
    response = _take(basis()).T * trust[:, None]
    cost = np.array([next((c for stem, c in RARE.items() if name.startswith(stem)), 1.0) for name in BLENDSHAPES])
    return _System(response, response.T @ response + QUADRATIC * cost * np.eye(len(cost)), LINEAR * cost)


def _solve(right: Array) -> Array:
    """Minimise 1/2 w G w - r w over 0 <= w <= 1 for each row of r (T, 52), by coordinate descent."""
    gram = _system().gram
    own = np.diag(gram)[:, None]
    target = np.ascontiguousarray(right.T / own)
    coupling = np.where(np.eye(len(gram)) > 0, 0.0, gram / own)
    weights, zeros, ones = np.zeros_like(right), np.zeros(len(right)), np.ones(len(right))
    seen = [i for i, name in enumerate(BLENDSHAPES) if name not in UNSEEN]
    for _ in range(SWEEPS):
        for i in seen:
            best = target[i] - weights.dot(coupling[i])
            np.maximum(best, zeros, out=best)  # three thousand times: `clip` alone would take twice as long as all of it
            np.minimum(best, ones, out=best)
            weights[:, i] = best
    return weights


def _fade_hidden_irises(moved: Array) -> None:
    """Scale the ways of the irises (in place) by how open the lids are: behind a closed lid the mesh only guesses."""
    gaps = _lid_gap(head_space.template())
    for side, place in enumerate((len(MIDDLE), len(MIDDLE) + len(LEFT))):
        upper, lower = moved[:, 2 * side - 4], moved[:, 2 * side - 3]
        part = 1.0 + (lower - upper) / gaps[side]
        iris = [place + k for k, d in enumerate(LEFT) if d.of == IRIS_CENTER]
        moved[:, iris] *= np.interp(part, LID_HIDES_IRIS, (0.0, 1.0))[:, None]


def measure(canonical: Array, identity: Array) -> NDArray[np.float32]:
    """ARKit weights of a face, relative to the identity.

    Args:
        canonical: (T, 478, 3), inter-ocular units; frames with not-a-number are measured as 0.
        identity: the person's neutral canonical shape, (478, 3). If its eyes are shut, open ones of a usual height are
            assumed instead.

    Returns:
        (T, 52), 0..1, in the order of `BLENDSHAPES`.
    """
    shapes = np.asarray(canonical, np.float64)
    neutral = np.nan_to_num(np.asarray(identity, np.float64))
    good = np.isfinite(shapes).all(axis=(1, 2))
    moved = _take(np.where(good[:, None, None], shapes, neutral)) - _take(neutral[None])
    own = _lid_gap(neutral)
    opened = np.clip(own, *LID_GAP_RANGE)
    moved[:, [-4, -2]] += np.maximum(opened - own, 0.0)
    moved[:, -4:] *= np.repeat(_lid_gap(head_space.template()) / opened, 2)
    _fade_hidden_irises(moved)
    system = _system()
    trust = np.array([d.weight for d in _distances()]) / NOISE
    weights = _solve((moved * trust) @ system.response - system.linear)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        column = BLENDSHAPES.index(name)
        weights[:, column] = np.interp(weights[:, column], BLINK_SEEN, BLINK_MEANT)
    weights[~good] = 0.0
    return weights.astype(np.float32)
