"""How far a head moves in a picture that shows no body below it.

Who squats or walks takes the head along by several times its size. A picture of head and shoulders has nothing to show for
that: what it shows beyond its border is made up. So there the head follows as far as a head moves on resting shoulders.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Radii of the head sphere: people who talk move by less than the first, and no head goes further than the second.
FREE, FARTHEST = 0.6, 1.1


def held_travel(travel: Array, radius: float) -> Array:
    """Displacements (T, 2) px as they are while they are small, and never beyond `FARTHEST` radii.

    Args:
        travel: from where the head is in the picture, px.
        radius: of the head sphere in the picture, px.
    """
    far = np.linalg.norm(travel, axis=1, keepdims=True) / radius
    beyond = FREE + (FARTHEST - FREE) * np.tanh((far - FREE) / (FARTHEST - FREE))
    return travel * np.where(far > FREE, beyond / np.maximum(far, 1e-9), 1.0)
