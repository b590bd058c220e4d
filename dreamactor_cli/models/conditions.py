"""What the model is told of a person and of a motion, as arrays: no torch here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dreamactor_cli.contracts import F32, U8, Controls

FACE_CHANNELS = 52 + 4  # blendshapes, gaze of the picture's left and right eye, right and down, rad
SPEECH_CHANNELS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What moves a stretch of frames.

    Attributes:
        poses: (T, H, W, 6), see `draw.draw_pose`; of 3 where no face is drawn.
        face: (T, 56), see `face_values`; None where there is no face.
        speech: (T, 9), articulation; None where nobody speaks.
    """

    poses: U8
    face: F32 | None = None
    speech: F32 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Pictures of a person; the first is the identity.

    Attributes:
        images: (N, H, W, 3).
        poses: (N, H, W, 6), drawn; None where the model did not learn to use them.
    """

    images: U8
    poses: U8 | None = None


def face_values(controls: Controls) -> F32 | None:
    """What the face does, (T, 56): blendshapes, and the gaze of both eyes; None without a face."""
    face = controls.face
    if face is None:
        return None
    return np.concatenate([face.blendshapes, face.gaze.reshape(-1, 4)], 1).astype(np.float32)
