"""What the generator of synthetic people gives: pictures with their exact truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dreamactor_cli.contracts import F32, U8, Controls

# Bits of `SyntheticClip.masks`. A pixel of the mouth is one of the face and of the person too.
PERSON, FACE, MOUTH, EYES, BROWS = 1, 2, 4, 8, 16

FRAMINGS = ("face", "bust", "half", "full")
FPS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticClip:
    """A person in motion, other pictures of the same person, and what is true of both.

    Attributes:
        frames: (T, H, W, 3), RGB.
        references: (N, H, W, 3), RGB, the same person, clothes, light and place at other moments and turned otherwise; the
            first looks to the camera more or less.
        controls: of the frames, `FPS` a second: face, head, body and hands as our extractors define them, but exact.
        reference_controls: of the references, T = N.
        masks: (T, H, W), bits `PERSON`, `FACE`, `MOUTH`, `EYES`, `BROWS` where these are seen.
        matte: (T, H, W), 0..255, how much of each pixel is the person.
        reference_masks: (N, H, W), as `masks`.
        depth: (T, H, W), metres from the camera; infinity where there is no person.
        framing: one of `FRAMINGS`.
        identity: seed of the person, clothes, light and place.
        motion: seed of the performance and the camera.
    """

    frames: U8
    references: U8
    controls: Controls
    reference_controls: Controls
    masks: U8
    matte: U8
    reference_masks: U8
    depth: F32
    framing: str
    identity: int
    motion: int

    def seen(self, region: int) -> np.ndarray:
        """Where a region (`FACE`, ...) is seen, (T, H, W), bool."""
        return (self.masks & region) != 0
