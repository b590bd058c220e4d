"""How far head and torso move: in a picture that shows no body below them, and in any picture away from the camera.

Who squats or walks takes the head along by several times its size. A picture of head and shoulders has nothing to show for
that: what it shows beyond its border is made up. So there the head follows as far as a head moves on resting shoulders.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import rotations
from dreamactor_cli.person_space import smoothstep

Array = NDArray[np.float64]

# Radii of the head sphere: people who talk move by less than the first, and no head goes further than the second.
FREE, FARTHEST = 0.6, 1.1
# Likewise between head and torso: nobody who talks comes to the first, and beyond the second the flow has lost the torso.
APART = (0.5, 0.9)
# Degrees that a head turns as the driver's does, and the most that it turns: no picture of a face shows what is behind a cheek.
TURNS = (45.0, 60.0)


def held_travel(travel: Array, radius: float) -> Array:
    """Displacements (T, 2) px as they are while they are small, and never beyond `FARTHEST` radii.

    Args:
        travel: from where the head is in the picture, px.
        radius: of the head sphere in the picture, px.
    """
    far = np.linalg.norm(travel, axis=1, keepdims=True) / radius
    beyond = FREE + (FARTHEST - FREE) * np.tanh((far - FREE) / (FARTHEST - FREE))
    return travel * np.where(far > FREE, beyond / np.maximum(far, 1e-9), 1.0)


def held_turn(turn: Array) -> Array:
    """Rotations (T, 3, 3) of a head since the picture as they are while they are small, and never by more than `TURNS`."""
    free, most = TURNS
    angle = rotations.angle(turn)
    held = free + (most - free) * np.tanh((angle - free) / (most - free))
    return np.where((angle > free)[:, None, None], rotations.partly(turn, held / np.maximum(angle, 1e-9)), turn)


def below_head(torso: Array, before: Array, now: Array, radius: float) -> Array:
    """Motions (T, 2, 3) px of a torso by the flow, that goes with the head where the flow has lost it.

    Arms that cross a chest take the flow along, and whoever jumps is too fast for it; a neck is only so long.

    Args:
        torso: from the anchor frame on.
        before: centre of the head in the anchor frame, (2,) px.
        now: in the frames, (T, 2) px.
        radius: of the head sphere, px.
    """
    off = torso[:, :, :2] @ before + torso[:, :, 2] - now
    trust = 1 - smoothstep(np.linalg.norm(off, axis=1) / radius, *APART)
    linear = np.eye(2) + trust[:, None, None] * (torso[:, :, :2] - np.eye(2))
    offset = now + trust[:, None] * off - linear @ before
    return np.concatenate([linear, offset[:, :, None]], 2)
