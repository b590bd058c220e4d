"""A face that fills the picture, and targets with known motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.head_space import HeadPose

Array = NDArray[np.float64]
LIPS_BELOW = (95, 88, 178, 87, 14, 317, 402, 318, 324)
CHIN = (152, 175, 199, 200, 148, 377, 176, 400, 171, 396, 17, 84, 314, 18, 83, 313)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """A reference face.

    Attributes:
        image: (H, W, 3), RGB.
        landmarks: (478, 3), px.
        pose: of the head.
        canonical: (478, 3).
    """

    image: NDArray[np.uint8]
    landmarks: Array
    pose: HeadPose
    canonical: Array

    @property
    def rotation(self) -> Array:
        """Of the head, (3, 3)."""
        return self.pose.rotation[0]

    @property
    def unit(self) -> float:
        """Px per inter-ocular distance."""
        return float(self.pose.scale[0])

    def moved(self, displacement: Array) -> Array:
        """Landmarks after a displacement (478, 3) in canonical space."""
        return head_space.to_image(self.canonical + displacement, self.pose)[0]

    def opened(self, amount: float) -> Array:
        """Landmarks after the jaw has dropped by so many inter-ocular distances."""
        move = np.zeros((478, 3))
        for i in LIPS_BELOW:
            move[i, 1] = amount * (1 - (abs(self.canonical[i, 0]) / abs(self.canonical[78, 0])) ** 3 * 0.6)
        move[list(CHIN), 1] = amount
        return self.moved(move)

    def looking(self, right: float, down: float = 0.0) -> Array:
        """Landmarks after both irises have moved by so many inter-ocular distances."""
        move = np.zeros((478, 3))
        move[468:, :2] = right, down
        return self.moved(move)


def portrait_of(image: NDArray[np.uint8], landmarks: Array) -> Portrait:
    """Bundles a picture with the pose of its head."""
    pose = head_space.head_pose(landmarks[None])
    return Portrait(image=image, landmarks=landmarks, pose=pose, canonical=head_space.to_canonical(landmarks[None], pose)[0])


@pytest.fixture(scope="session")
def detect() -> Callable[[NDArray[np.uint8]], Array]:
    """Finds the landmarks (478, 3) px of the face in a picture."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    mesh = FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True)

    def find(image: NDArray[np.uint8]) -> Array:
        height, width = image.shape[:2]
        found = mesh.process(image).multi_face_landmarks[0].landmark
        return np.array([(p.x * width, p.y * height, p.z * width) for p in found])

    return find


@pytest.fixture(scope="session")
def portrait(astronaut_rgb: NDArray[np.uint8], detect: Callable[[NDArray[np.uint8]], Array]) -> Portrait:
    """The astronaut's face, smiling with her teeth, 512x512."""
    crop = cv2.resize(astronaut_rgb[10:230, 115:335], (512, 512), interpolation=cv2.INTER_CUBIC)
    return portrait_of(crop, detect(crop))
