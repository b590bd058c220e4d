"""ARKit blendshapes as mixtures of MakeHuman's expression targets.

MakeHuman's brows and corners of the mouth move little; the amounts here are what makes them plain at 128 px.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dreamactor_cli.contracts import BLENDSHAPES, F32

# Target and amount of each ARKit blendshape of the person's left; "{}" stands for the side, and ":half" takes only the half of
# the mouth on that side. A target "shift:NAME" moves sideways what NAME moves at all.
_SIDED: dict[str, dict[str, float]] = {
    "browDown": {"eyebrows-{}-down": 1.9},
    "browOuterUp": {"eyebrows-{}-extern-up": 1.5, "eyebrows-{}-up": 0.5},
    "cheekSquint": {"eye-{}-slit": 0.5},
    "eyeBlink": {"eye-{}-closure": 1.0},
    "eyeLookDown": {"eye-{}-closure": 0.3},
    "eyeLookUp": {"eye-{}-opened-up": 0.8},
    "eyeSquint": {"eye-{}-slit": 1.7},
    "eyeWide": {"eye-{}-opened-up": 1.9},
    "mouthDimple": {"mouth-retraction:half": 0.7},
    "mouthFrown": {"mouth-depression-retraction:half": 1.7},
    "mouthLowerDown": {"mouth-depression:half": 1.4},
    "mouthPress": {"mouth-compression:half": 1.4},
    "mouthSmile": {"mouth-corner-puller:half": 1.8},
    "mouthStretch": {"mouth-retraction:half": 1.7},
    "mouthUpperUp": {"mouth-upward-retraction:half": 1.4},
    "noseSneer": {"nose-{}-elevation": 1.8, "nose-{}-dilatation": 1.0, "nose-compression:half": 1.0},
}
_MIDDLE: dict[str, dict[str, float]] = {
    "browInnerUp": {"eyebrows-left-inner-up": 1.8, "eyebrows-right-inner-up": 1.8},
    "jawLeft": {"shift:mouth-open": 0.16},
    "jawRight": {"shift:mouth-open": -0.16},
    "jawOpen": {"mouth-open": 1.1},
    "mouthFunnel": {"mouth-eversion": 1.3, "mouth-pursing": 0.35, "mouth-open": 0.25},
    "mouthLeft": {"shift:mouth-pursing": 0.13},
    "mouthRight": {"shift:mouth-pursing": -0.13},
    "mouthPucker": {"mouth-pursing": 1.05},
    "mouthRollLower": {"mouth-compression": 0.7},
    "mouthShrugLower": {"mouth-elevation": 1.3},
}
_HALF_WIDTH = 0.25  # decimetres from the middle over which one half of the mouth gives way to the other


def _target(name: str, side: str, targets: Mapping[str, F32], x: F32) -> F32:
    """One displacement (V, 3)."""
    sign = 1 if side == "left" else -1
    if name.startswith("shift:"):
        size = np.linalg.norm(targets[name.removeprefix("shift:")], axis=1)
        moved = np.zeros((len(size), 3), np.float32)
        moved[:, 0] = np.minimum(size / (0.7 * size.max()), 1)
        return moved
    if name.endswith(":half"):
        part = np.clip(0.5 + sign * x / (2 * _HALF_WIDTH), 0, 1)
        return targets[name.removesuffix(":half")] * part[:, None]
    return targets[name.format(side)]


def arkit_shapes(targets: Mapping[str, F32], x: F32) -> F32:
    """Displacements of ARKit's blendshapes.

    Args:
        targets: displacement (V, 3) of each expression target by name.
        x: of the vertices, (V,).

    Returns:
        (52, V, 3); zeros for what MakeHuman cannot do (puffed cheeks, the tongue).
    """
    shapes = np.zeros((len(BLENDSHAPES), len(x), 3), np.float32)
    for k, name in enumerate(BLENDSHAPES):
        side = "left" if name.endswith("Left") else "right"
        stem = name.removesuffix("Left").removesuffix("Right")
        mixture = _MIDDLE.get(name) or _SIDED.get(stem, {})
        for target, amount in mixture.items():
            shapes[k] += amount * _target(target, side, targets, x)
    return shapes
