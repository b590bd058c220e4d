"""The face signal: mesh, canonical expression, blendshapes, gaze."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32
from dreamactor_cli.controls import blendshapes
from dreamactor_cli.controls.base import Arrays, Plain, Tools, stack_frames
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.gaze import gaze_angles
from dreamactor_cli.controls.view import View


def identity_of(landmarks: F32 | None) -> F32:
    """Canonical shape (478, 3) of a face mesh in px; the template where there is none."""
    if landmarks is None:
        return head_space.template().astype(np.float32)
    mesh = landmarks[None].astype(np.float64)
    return head_space.to_canonical(mesh, head_space.head_pose(mesh))[0].astype(np.float32)


def pose_of_body(clip: Clip) -> head_space.HeadPose:
    """A frontal head where a body without a visible face has it."""
    x, y, half = clip.subject_at(clip.reference)
    height = np.ptp(head_space.template()[:468, 1])
    scale = np.array([2 * half / height])
    return head_space.HeadPose(scale, np.eye(3)[None], np.array([[x, y, 0.0]]))


def describe_faces(landmarks: F32, seen: F32, identity: F32) -> Arrays:
    """Every field of `contracts.Face` but the identity, from meshes.

    Args:
        landmarks: (T, 478, 3) px.
        seen: (T,), 1 where there is a mesh.
        identity: canonical shape to subtract, (478, 3).
    """
    good = seen > 0
    out = {
        "landmarks": landmarks.astype(np.float32),
        "expression": np.zeros_like(landmarks, dtype=np.float32),
        "blendshapes": np.zeros((len(landmarks), 52), np.float32),
        "gaze": np.zeros((len(landmarks), 2, 2), np.float32),
        "score": seen.astype(np.float32),
    }
    if good.any():
        meshes = landmarks[good].astype(np.float64)
        canonical = head_space.to_canonical(meshes, head_space.head_pose(meshes))
        out["expression"][good] = canonical - identity
        out["blendshapes"][good] = blendshapes.measure(canonical, identity)
        out["gaze"][good] = gaze_angles(canonical)
    return out


class FaceExtractor(Plain):
    """Measures `contracts.Face`."""

    version = "3"
    parameters = {"model": "mediapipe-0.10.21 face_landmark_with_attention"}  # noqa: RUF012
    held = ("landmarks", "expression", "blendshapes", "gaze")

    def __init__(self, clip: Clip, tools: Tools) -> None:
        self._tools = tools
        self._identity = identity_of(clip.landmarks)

    @staticmethod
    def whole(clip: Clip) -> Arrays:
        """The canonical shape of the reference frame."""
        return {"identity": identity_of(clip.landmarks)}

    @staticmethod
    def unseen(clip: Clip) -> Arrays:
        """The template, looking at the camera from where the skeleton has its head."""
        return {"landmarks": head_space.to_image(head_space.template(), pose_of_body(clip))[0].astype(np.float32)}

    def settle(self, views: Sequence[View]) -> None:
        """Follow the face."""
        self._tools.track_face(views)

    def measure(self, views: Sequence[View]) -> list[Arrays | None]:
        """Meshes of frames."""
        found = self._tools.faces(views)
        return [None if landmarks is None else {"landmarks": landmarks, "score": np.float32(1)} for landmarks in found]

    def stack(self, frames: Sequence[Arrays | None]) -> Arrays:
        """Fields of the chunk."""
        raw = stack_frames(frames, {"landmarks": (478, 3), "score": ()})
        return describe_faces(raw["landmarks"], raw["score"], self._identity)
