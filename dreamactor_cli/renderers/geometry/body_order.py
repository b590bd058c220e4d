"""Which part of a body lies in front of which, from the depth of its joints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import HIPS, SHOULDERS, WRISTS
from dreamactor_cli.renderers.geometry.body_skeleton import BONES, CORE, HAND_PARTS, HEAD_PART, PARTS

Array = NDArray[np.float64]

IN_FRONT = 0.12  # metres by which an arm must lie behind the torso before it is drawn behind it
ON_TOP = 0.02  # metres by which a hand counts as nearer than its forearm
BEFORE = 0.001  # metres by which a bowed head lies before the torso
LEGS_BEHIND = 0.02  # metres by which a leg must lie in front of the hips before it is drawn in front of the torso


def depth_order(parts: Sequence[int], points: Array) -> list[int]:
    """Parts from the farthest to the nearest.

    Args:
        parts: indices in `PARTS`.
        points: of the frame's skeleton, (37, 3) metres.
    """
    shoulders, hips = points[list(SHOULDERS), 2], points[list(HIPS), 2]
    depth = points[:, 2]
    keys: dict[int, float] = {CORE: 0.0, HEAD_PART: -BEFORE}
    for part in parts:
        if part in keys:
            continue
        side = 0 if PARTS[part].startswith("left") else 1
        if part in HAND_PARTS:
            keys[part] = float(depth[WRISTS[side]] - shoulders.mean()) - IN_FRONT - ON_TOP
            continue
        ends = [bone.end for bone in BONES if bone.part == part]
        if PARTS[part].endswith("arm"):
            keys[part] = float(depth[ends[0]] - shoulders.mean()) - IN_FRONT
        else:
            keys[part] = float(depth[ends[0]] - hips[side]) + LEGS_BEHIND
    return sorted(parts, key=lambda part: -keys[part])
