"""ARKit blendshapes as displacements of the canonical face.

The basis is procedural: ``tools/build_blendshapes.py`` makes it from the anatomy of each movement. ARKit's left is the
person's left, the right of an unmirrored picture (landmarks 263, 291, ...). Weights are measured in `blendshape_measure`.

Lids are the one part where the person matters more than the movement: a blink must close *this* eye, whatever its height.
So a retargeter splits an expression: the displacement of the lids is replaced by ``weight * close_eyes(identity)`` with the
weight of ``eyeBlinkLeft`` / ``eyeBlinkRight``, which closes exactly at 1, and everything else is added as it is.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import BLENDSHAPES
from dreamactor_cli.controls.blendshape_measure import measure

__all__ = ["basis", "close_eyes", "displacement", "index", "measure"]

Array = NDArray[np.floating]

# Lids of the picture's right eye (the person's left): margin from the inner to the outer corner, corners left out, then the
# two rows of skin beyond it, column by column.
UPPER_LID = (398, 384, 385, 386, 387, 388, 466)
UPPER_ROWS = ((414, 286, 258, 257, 259, 260, 467), (413, 441, 442, 443, 444, 445, 342))
LOWER_LID = (382, 381, 380, 374, 373, 390, 249)
LOWER_ROWS = ((341, 256, 252, 253, 254, 339, 255), (453, 452, 451, 450, 449, 448, 261))

LID_MEETING = 0.2  # where closed lids meet: part of the way from the lower lid to the upper one
SKIN_FOLLOWS = (0.55, 0.15)  # of the lid's way, in the rows beyond it


@cache
def basis() -> Array:
    """Displacement at weight 1, inter-ocular units, (52, 478, 3)."""
    from safetensors.numpy import load_file

    stored = load_file(str(Path(__file__).with_name("blendshape_basis.safetensors")))["basis"]
    return stored.astype(np.float64)


def index(name: str) -> int:
    """Column of a blendshape."""
    return BLENDSHAPES.index(name)


def displacement(weights: Array) -> Array:
    """Canonical displacement of blendshapes: linear in the weights, but lids that meet go no further.

    Args:
        weights: (T, 52), 0..1, in the order of `BLENDSHAPES`; not-a-number counts as 0.

    Returns:
        (T, 478, 3), inter-ocular units. It is a difference, sized for the template and fit for other people's neutral shapes
        because the unit is the same; the lids are the exception (see `close_eyes`).
    """
    clean = np.nan_to_num(np.asarray(weights, np.float64), nan=0.0, posinf=1.0, neginf=0.0)
    out = np.tensordot(clean, basis(), axes=1)
    _keep_lids_apart(out)
    return out


def _keep_lids_apart(moved: Array) -> None:
    """Stop upper and lower lid (in place) where they meet: a blink and a squint add up to more than a shut eye."""
    shape = head_space.template()
    for place in (np.arange(len(shape)), head_space.mirror()):
        upper, lower = place[list(UPPER_LID)], place[list(LOWER_LID)]
        crossing = np.maximum((shape[upper, 1] + moved[:, upper, 1]) - (shape[lower, 1] + moved[:, lower, 1]), 0.0)
        moved[:, upper, 1] -= crossing / 2
        moved[:, lower, 1] += crossing / 2


def close_eyes(identity: Array) -> Array:
    """Displacements that close the eyes of a person exactly.

    Args:
        identity: canonical shape with open eyes, (478, 3).

    Returns:
        (2, 478, 3), inter-ocular units: of ``eyeBlinkLeft``, then of ``eyeBlinkRight``. The lid margins meet where the eye's
        height has `LID_MEETING` left below; skin beyond follows less and less.
    """
    shape = np.asarray(identity, np.float64)
    mirror = head_space.mirror()
    out = np.zeros((2, *shape.shape))
    for side in range(2):
        place = mirror if side else np.arange(len(mirror))
        upper, lower = place[list(UPPER_LID)], place[list(LOWER_LID)]
        meeting = shape[lower] + LID_MEETING * (shape[upper] - shape[lower])
        for margin, rows in ((upper, UPPER_ROWS), (lower, LOWER_ROWS)):
            way = meeting - shape[margin]
            out[side, margin] = way
            for row, share in zip(rows, SKIN_FOLLOWS, strict=True):
                out[side, place[list(row)]] = share * way
    return out
