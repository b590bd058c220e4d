"""Which landmarks belong to which region of the face, as smooth weights on the template."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space

IRISES = head_space.IRIS_LEFT + head_space.IRIS_RIGHT
EYES = head_space.EYE_LEFT + head_space.EYE_RIGHT + head_space.BROW_LEFT + head_space.BROW_RIGHT + IRISES
MOUTH = head_space.OUTER_LIPS + head_space.INNER_LIPS
LID_CORNERS = (263, 33)  # outer corners of the person's left and right eye
FALLOFF = 0.25  # inter-ocular units over which a region fades into the still face


@cache
def _near(points: tuple[int, ...]) -> NDArray[np.float64]:
    """1 at the points, falling to 0 around them on the template, (478,)."""
    shape = head_space.template()
    distance = np.linalg.norm(shape[:, None] - shape[None, list(points)], axis=2).min(1)
    return np.exp(-((distance / FALLOFF) ** 2))


def expression_weights(region: Sequence[str]) -> NDArray[np.float64]:
    """How much of the driver's expression each landmark takes, 0..1, (478,)."""
    if "all" in region or "face" in region:
        return np.ones(head_space.NUM_LANDMARKS)
    weights = np.zeros(head_space.NUM_LANDMARKS)
    eyes, mouth = _near(EYES), _near(MOUTH)
    # The jaw belongs to the mouth: the further below the nose and the nearer to the mouth than to the eyes, the more.
    below_nose = np.clip((head_space.template()[:, 1] - 0.55) / 0.3, 0, 1)
    jaw = np.maximum(mouth, below_nose * (1 - eyes))
    if "eyes" in region:
        weights = np.maximum(weights, eyes)
    if "mouth" in region:
        weights = np.maximum(weights, jaw)
    return weights


def moves_head(region: Sequence[str]) -> bool:
    """Whether the head turns and travels with the driver."""
    return "all" in region or "head" in region


def moves_body(region: Sequence[str]) -> bool:
    """Whether the torso follows the driver."""
    return "all" in region or "body" in region


def moves_hands(region: Sequence[str]) -> bool:
    """Whether palms and fingers follow the driver's."""
    return "all" in region or "hands" in region
