"""The expression in numbers, blendshapes and gaze, put on the reference by the rule that its landmarks follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.controls import blendshapes
from dreamactor_cli.retarget import regions

Array = NDArray[np.float64]


def blendshape_shares(region: Sequence[str]) -> Array:
    """How much of each blendshape regions take, 0..1, (52,): as much as of the landmarks that it moves."""
    moved = np.linalg.norm(blendshapes.basis(), axis=2)
    total = moved.sum(1)
    seen = np.divide(moved @ regions.expression_weights(region), total, out=np.zeros(len(total)), where=total > 0)
    whole = "all" in region or "face" in region  # cheekPuff and the tongue move no landmark
    return np.ones(len(total)) if whole else seen


def carry_blendshapes(weights: Array, anchor: Array, region: Sequence[str], scale: float) -> Array:
    """Weights (T, 52) since the anchor frame's (52,), as far as they are to be taken over, 0..1."""
    return np.clip((weights - anchor) * blendshape_shares(region) * scale, 0, 1)


def carry_gaze(gaze: Array, anchor: Array, own: Array, region: Sequence[str], scale: float) -> Array:
    """The reference's gaze (2, 2) and what the driver's (T, 2, 2) has turned since the anchor frame's (2, 2), rad."""
    share = float(regions.expression_weights(region)[list(head_space.IRIS_LEFT + head_space.IRIS_RIGHT)].mean())
    return own + (gaze - anchor) * share * scale
