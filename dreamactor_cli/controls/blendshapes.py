"""ARKit blendshapes as displacements of the canonical face, and measured from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def displacement(weights: Array) -> Array:
    """Canonical displacement (T, 478, 3) of blendshape weights (T, 52), inter-ocular units, on the template."""
    raise NotImplementedError


def measure(canonical: Array, identity: Array) -> NDArray[np.float32]:
    """Blendshape weights (T, 52), 0..1, of canonical shapes (T, 478, 3) of the person with the neutral shape (478, 3)."""
    raise NotImplementedError
