"""Feet that stand do not slide: contacts found in the driver, and a shift of the whole body that keeps them in the result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SLOW = 0.25  # lengths of a leg a second below which a foot may stand
LOW = 0.12  # lengths of a leg that a standing foot may be higher than the lowest one
SHORTEST = 0.1  # seconds; a foot that stands for less is on its way
STIFFNESS = 40.0  # what a change of the shift's speed costs against a foot that slides
RETURN = 0.01  # what the shift itself costs: it dies away where nobody stands
PINNED = 1e6  # the anchor frame stays where it is


def contacts(feet: Array, leg: Array, fps: float) -> NDArray[np.bool_]:
    """Where feet stand, (T, F).

    Args:
        feet: (T, F, 2) px, smoothed.
        leg: length of a leg, (T,) px.
        fps: frames a second.
    """
    if len(feet) < 2:
        return np.ones(feet.shape[:2], bool)
    speed = np.linalg.norm(np.gradient(feet, axis=0), axis=2) * fps / leg[:, None]
    lowest = feet[..., 1].max(1, keepdims=True)
    stands = (speed < SLOW) & (feet[..., 1] > lowest - LOW * leg[:, None])
    shortest = max(2, round(SHORTEST * fps))
    for foot in stands.T:
        for start, stop in runs(foot):
            foot[start:stop] = stop - start >= shortest
    return stands


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches of a mask (T,) that are true, as (start, stop)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def standing_shift(feet: Array, stands: NDArray[np.bool_], anchor: int) -> Array:
    """The smooth shift (T, 2) px of the whole body that keeps standing feet in their places, and the anchor frame as it is.

    Least squares over the shift of every frame and the place of every stand: a foot plus the shift lies at its place, and the
    shift's speed changes little.

    Args:
        feet: of the result without the shift, (T, F, 2) px.
        stands: (T, F).
        anchor: frame whose shift is 0.
    """
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    frames = len(feet)
    places = [(foot, start, stop) for foot in range(stands.shape[1]) for start, stop in runs(stands[:, foot])]
    if not places or frames < 2:
        return np.zeros((frames, 2))
    second = sparse.diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2], shape=(max(frames - 2, 0), frames))
    pinned = np.full(frames, RETURN)
    pinned[anchor] += PINNED
    matrix = sparse.block_diag(
        [STIFFNESS * (second.T @ second) + sparse.diags_array(pinned), sparse.csr_array((len(places),) * 2)]
    )
    rows, columns, values = [], [], []
    right = np.zeros((frames + len(places), 2))
    for k, (foot, start, stop) in enumerate(places):
        at, place = np.arange(start, stop), np.full(stop - start, frames + k)
        one = np.ones(stop - start)
        rows += [at, place, at, place]
        columns += [at, place, place, at]
        values += [one, one, -one, -one]
        right[at] -= feet[start:stop, foot]
        right[frames + k] += feet[start:stop, foot].sum(0)
    normal = matrix + sparse.coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), matrix.shape)
    return np.asarray(spsolve(normal.tocsc(), right))[:frames]
