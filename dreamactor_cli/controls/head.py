"""The head signal: the sphere of the pose, and optical flow where the sphere is too coarse."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.controls.base import Arrays, Plain, Tools, stack_frames
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.face import pose_of_body
from dreamactor_cli.controls.person_flow import PersonFlow
from dreamactor_cli.controls.torso_flow import TorsoFlow
from dreamactor_cli.controls.view import View
from dreamactor_cli.person_space import FIELD_COLUMNS, FIELD_ROWS

NO_FIELD = np.zeros((FIELD_ROWS, FIELD_COLUMNS, 2), np.float32)
IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def sphere_arrays(landmarks: np.ndarray) -> Arrays:
    """Rotation (T, 3, 3), centre (T, 2) px and radius (T,) px of the head spheres of meshes (T, 478, 3) px."""
    pose = head_space.head_pose(landmarks.astype(np.float64))
    center, radius = head_space.sphere_of(pose)
    return {
        "rotation": pose.rotation.astype(np.float32),
        "center": center.astype(np.float32),
        "radius": radius.astype(np.float32),
    }


def at_origin(landmarks: np.ndarray) -> tuple[np.ndarray, head_space.HeadPose]:
    """Meshes (T, 478, 3) px with z relative to the origin of their pose, and the poses, whose origins then have depth 0."""
    meshes = landmarks.astype(np.float64)
    pose = head_space.head_pose(meshes)
    depth = pose.translation * [0, 0, 1]
    return meshes - depth[:, None], pose._replace(translation=pose.translation - depth)


class HeadExtractor(Plain):
    """Measures `contracts.Head`."""

    version = "3"
    parameters = {"model": "mediapipe-0.10.21 face_landmark_with_attention"}  # noqa: RUF012
    held = ("rotation", "center", "radius", "head_2d", "field")
    after_cut = {"head_2d": IDENTITY, "torso_2d": IDENTITY, "field": NO_FIELD}  # noqa: RUF012

    def __init__(self, clip: Clip, tools: Tools) -> None:
        self._tools = tools
        self._torso = TorsoFlow(clip)
        self._field = tools.keep("person flow", lambda: self._person_flow(clip)) if clip.landmarks is not None else None

    @staticmethod
    def _person_flow(clip: Clip) -> PersonFlow:
        matte = cv2.resize(clip.matte, (clip.width, clip.height), interpolation=cv2.INTER_LINEAR)
        (mesh,), pose = at_origin(np.asarray(clip.landmarks)[None])
        return PersonFlow(View(clip.picture, clip.reference).small_grey, mesh, pose, matte)

    @staticmethod
    def unseen(clip: Clip) -> Arrays:
        """A frontal head where the skeleton has it."""
        center, radius = head_space.sphere_of(pose_of_body(clip))
        return {"rotation": np.eye(3), "center": center[0], "radius": radius[0], "head_2d": IDENTITY}

    def settle(self, views: Sequence[View]) -> None:
        """Follow face and torso."""
        self._tools.track_face(views)
        for view in views:
            self._torso.measure(view)

    def measure(self, views: Sequence[View]) -> list[Arrays | None]:
        """Pose and flow of frames."""
        # The field says all that a similarity of hair and skull (`head_2d`) could say, and says it better.
        nothing = {"rotation": np.eye(3), "center": np.zeros(2), "radius": 1.0, "field": NO_FIELD, "score": 0.0}
        found: list[Arrays] = [{**nothing, "head_2d": IDENTITY, "torso_2d": self._torso.measure(view)} for view in views]
        seen = {k: landmarks for k, landmarks in enumerate(self._tools.faces(views)) if landmarks is not None}
        if seen:
            landmarks, torso = np.stack(list(seen.values())), np.stack([found[k]["torso_2d"] for k in seen])
            arrays = sphere_arrays(landmarks)
            if self._field is not None:
                arrays["field"] = self._field.measure([views[k].small_grey for k in seen], *at_origin(landmarks), torso)
            for row, k in enumerate(seen):
                found[k] |= {**{name: array[row] for name, array in arrays.items()}, "score": 1.0}
        return list(found)

    def stack(self, frames: Sequence[Arrays | None]) -> Arrays:
        """Fields of the chunk."""
        shapes = {"rotation": (3, 3), "center": (2,), "radius": (), "head_2d": (2, 3), "torso_2d": (2, 3), "score": ()}
        return stack_frames(frames, {**shapes, "field": NO_FIELD.shape})
