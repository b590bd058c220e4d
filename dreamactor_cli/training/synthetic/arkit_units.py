"""ARKit blendshapes as mixtures of MakeHuman's expression targets.

The lids are mixed by hand. Everything else is the mixture that comes nearest, at the landmarks, to our own basis of ARKit
blendshapes, so that a weight means here what it means to the extractors.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import BLENDSHAPES, F32
from dreamactor_cli.controls.blendshapes import basis

# Lids of one side: amounts of targets, "{}" stands for the side.
_LIDS: dict[str, dict[str, float]] = {
    "cheekSquint": {"eye-{}-slit": 0.4},
    "eyeBlink": {"eye-{}-closure": 1.0},
    "eyeLookDown": {"eye-{}-closure": 0.3},
    "eyeLookUp": {"eye-{}-opened-up": 0.6},
    "eyeSquint": {"eye-{}-slit": 1.1},
    "eyeWide": {"eye-{}-opened-up": 1.4},
}
_NOT_MADE = ("cheekPuff", "eyeLookIn", "eyeLookOut", "jawForward", "mouthClose", "tongueOut")
_HALF_WIDTH = 0.25  # decimetres from the middle over which one half of the mouth gives way to the other
_COST = 0.03  # of any amount, of the most that one target explains
_MOST = 3.0
_TRUST = (1.0, 1.0, 0.2)  # in x, y and z: MakeHuman's jaw goes back where ours goes down
_PLAIN = 1.3  # what is fitted comes out too small: the cost, and what the targets cannot do
_LID_LANDMARKS = (*head_space.EYE_LEFT, *head_space.EYE_RIGHT)


def _units(targets: Mapping[str, F32], x: F32) -> dict[str, F32]:
    """Displacements (V, 3) to mix: targets, halves of those of the mouth, and shifts of jaw and lips to either side."""
    units: dict[str, F32] = {}
    left = np.clip(0.5 + x / (2 * _HALF_WIDTH), 0, 1)[:, None].astype(np.float32)
    for name, moved in sorted(targets.items()):
        if name.startswith(("mouth", "nose-compression")):
            units[f"{name} left"], units[f"{name} right"] = moved * left, moved * (1 - left)
        elif name.startswith(("eyebrows", "nose")):
            units[name] = moved
    for name in ("mouth-open", "mouth-pursing"):
        size = np.linalg.norm(targets[name], axis=1)
        aside = np.zeros((len(size), 3), np.float32)
        aside[:, 0] = 0.15 * np.minimum(size / (0.7 * size.max()), 1)
        units[f"{name} to the left"], units[f"{name} to the right"] = aside, -aside
    return units


def _fit(units: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amounts 0..`_MOST` of units (K, N) that come nearest to displacements (S, N), few rather than many, (S, K).

    Coordinate descent on the squared distance with a cost on the sum of amounts.
    """
    gram, right = units @ units.T, wanted @ units.T
    cost = _COST * np.abs(right).max(1)
    amounts = np.zeros_like(right)
    for _ in range(200):
        for k in range(len(units)):
            free = right[:, k] - cost - amounts @ gram[:, k] + gram[k, k] * amounts[:, k]
            amounts[:, k] = np.clip(free / (gram[k, k] + 1e-12), 0, _MOST)
    return amounts


def arkit_shapes(targets: Mapping[str, F32], vertices: F32, triangles: NDArray[np.integer], weights: F32) -> F32:
    """Displacements of ARKit's blendshapes.

    Args:
        targets: displacement (V, 3) of each expression target by name.
        vertices: of the neutral mesh, (V, 3).
        triangles, weights: of the 468 landmarks, (468, 3).

    Returns:
        (52, V, 3); zeros for what MakeHuman cannot do (puffed cheeks, the tongue).
    """

    def at_landmarks(field: F32) -> NDArray[np.float64]:
        out: NDArray[np.float64] = (field[triangles] * weights[:, :, None]).sum(1).astype(np.float64)
        return out

    mesh = np.concatenate([at_landmarks(vertices), np.zeros((10, 3))])[None] * np.array([1.0, -1, -1])
    scale = float(head_space.head_pose(mesh).scale[0])
    units = _units(targets, vertices[:, 0])
    names = list(units)
    trust = np.ones((head_space.NUM_MESH, 3)) * _TRUST
    trust[list(_LID_LANDMARKS)] = 0
    seen = np.stack([(at_landmarks(units[n]) * trust).ravel() for n in names])
    wanted = (basis()[:, : head_space.NUM_MESH] * scale * [1, -1, -1] * trust).reshape(len(BLENDSHAPES), -1)
    fitted = _fit(seen, wanted)
    shapes = np.zeros((len(BLENDSHAPES), *vertices.shape), np.float32)
    for k, name in enumerate(BLENDSHAPES):
        side = "left" if name.endswith("Left") else "right"
        stem = name.removesuffix("Left").removesuffix("Right")
        if stem in _LIDS:
            for target, amount in _LIDS[stem].items():
                shapes[k] += np.float32(amount) * targets[target.format(side)]
        elif stem not in _NOT_MADE:
            plain = 1.0 if name == "jawOpen" else _PLAIN
            for n, amount in zip(names, fitted[k] * plain, strict=True):
                if amount > 0:
                    shapes[k] += np.float32(amount) * units[n]
    return shapes
