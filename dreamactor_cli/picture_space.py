"""Controls in the pixels of another picture: one that was scaled and cropped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import F32, Body, Controls, Face, Hands, Head, Signal


def move_controls(controls: Controls, scale: float, corner: NDArray[np.float64]) -> Controls:
    """Controls of a picture that was scaled, and cropped at a corner (2,) px of the scaled picture."""
    # Pixel centres lie at integers: scaling keeps the picture's edge in place, which lies half a pixel before the first.
    shift = np.array([0.5 * scale - 0.5, 0.5 * scale - 0.5]) - corner

    def place(points: F32) -> F32:
        return (points * scale + shift).astype(np.float32)

    def carry(maps: F32) -> F32:
        """Maps (T, 2, 3) of the old px, as they are in the new."""
        moved = maps.astype(np.float64)
        moved[:, :, 2] = scale * moved[:, :, 2] + shift - moved[:, :, :2] @ shift
        return moved.astype(np.float32)

    moved: dict[str, Signal] = {}
    for name, signal in controls.signals().items():
        if isinstance(signal, Face):
            landmarks = np.concatenate([place(signal.landmarks[..., :2]), signal.landmarks[..., 2:] * np.float32(scale)], -1)
            moved[name] = replace(signal, landmarks=landmarks.astype(np.float32))
        elif isinstance(signal, Head):
            moved[name] = replace(
                signal, center=place(signal.center), radius=(signal.radius * scale).astype(np.float32),
                head_2d=carry(signal.head_2d), torso_2d=carry(signal.torso_2d),
            )  # fmt: skip
        elif isinstance(signal, Body | Hands):
            moved[name] = replace(signal, joints_2d=place(signal.joints_2d))
    return replace(controls, **moved)  # type: ignore[arg-type]
