"""The residual field of hair, neck and shoulders, measured in a small copy of each frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.person_flow import PersonFlow
from dreamactor_cli.controls.view import View
from dreamactor_cli.head_space import HeadPose
from dreamactor_cli.person_space import FIELD_COLUMNS, FIELD_ROWS


class HeadField:
    """`PersonFlow` against the reference frame of a clip; each frame starts from the field of the one before.

    Args:
        clip: with landmarks.
    """

    def __init__(self, clip: Clip) -> None:
        assert clip.landmarks is not None
        grey = View(clip.picture, clip.reference).small_grey
        self._scale = grey.shape[1] / clip.width
        landmarks, pose = self._shrunken(clip.landmarks)
        matte = cv2.resize(clip.matte, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR)
        self._flow = PersonFlow(grey, landmarks, pose, matte)
        self._last: F32 | None = None

    def measure(self, view: View, landmarks: F32, head_2d: F32, torso_2d: F32) -> F32:
        """Field (FIELD_ROWS, FIELD_COLUMNS, 2), inter-ocular units, of a frame with its landmarks and similarities, px."""
        if not self._flow.enough:
            return np.zeros((FIELD_ROWS, FIELD_COLUMNS, 2), np.float32)
        local, pose = self._shrunken(landmarks)
        pair = self._similarity(head_2d), self._similarity(torso_2d)
        self._last, _ = self._flow.measure(view.small_grey, local, pose, *pair, self._last)
        return self._last

    def _shrunken(self, landmarks: F32) -> tuple[NDArray[np.float64], HeadPose]:
        """Landmarks and pose in px of the small picture, z relative to the pose's origin."""
        local = landmarks.astype(np.float64) * self._scale
        local[:, :2] += (self._scale - 1) / 2
        pose = head_space.head_pose(local[None])
        local[:, 2] -= pose.translation[0, 2]
        origin = pose.translation.copy()
        origin[:, 2] = 0
        return local, pose._replace(translation=origin)

    def _similarity(self, matrix: F32) -> NDArray[np.float64]:
        """A similarity of the picture, in px of the small one."""
        offset = (self._scale - 1) / 2
        out = matrix.astype(np.float64)
        out[:, 2] = self._scale * out[:, 2] + offset - out[:, :2] @ np.array([offset, offset])
        return out
