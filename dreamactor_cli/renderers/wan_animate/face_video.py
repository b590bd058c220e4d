"""The face pictures that tell Wan-Animate the expression: the reference's own face, drawn by the geometry renderer.

The model takes crops of a face and looks at the motion in them. In training they show the person who is drawn; so do these, and
nothing of the driver's looks can leak. They also exist where no driver has pixels: built-in motions, files of controls, speech.
See docs/adr/0013.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8, Controls, Reference, RenderSettings
from dreamactor_cli.head_space import FACE_OVAL
from dreamactor_cli.renderers.geometry.renderer import GeometryRenderer

AREA = 1.3  # of a crop, against the box of the landmarks
_ABOVE = 0.75  # share of the extra height that is above the brows, where the box ends
# The box of the 68 points that the model's own preprocessing uses: the outline below the brows, and the brows.
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_FOREHEAD = frozenset((10, 338, 297, 332, 284, 251, 21, 54, 103, 67, 109))
_BOX = (*_BROWS, *(point for point in FACE_OVAL if point not in _FOREHEAD))


class FaceVideo:
    """Draws face pictures of one reference.

    Args:
        size: side of the pictures, px.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._renderer = GeometryRenderer()

    def prepare(self, reference: Reference, settings: RenderSettings) -> None:
        """Make the reference ready to move."""
        if _has_face(reference.controls):
            self._renderer.prepare(reference, _plain(settings))

    def draw(self, reference: Reference, controls: Controls, settings: RenderSettings) -> U8:
        """Face pictures of all frames, (T, size, size, 3); black where there is no face to draw."""
        crops = np.zeros((controls.num_frames, self.size, self.size, 3), np.uint8)
        if controls.face is None or not _has_face(reference.controls):
            return crops
        frames = (frame for block in self._renderer.render(reference, controls, _plain(settings)) for frame in block)
        for crop, frame, landmarks in zip(crops, frames, controls.face.landmarks, strict=True):
            crop[:] = face_crop(frame, landmarks, self.size)
        return crops

    def close(self) -> None:
        """Forget the reference."""
        self._renderer.close()


def face_crop(frame: U8, landmarks: NDArray[np.float32], size: int) -> U8:
    """The face of a frame, squashed to a square (size, size, 3); black if it lies outside.

    Args:
        landmarks: (478, 3), px.
    """
    left, top, right, bottom = face_box(landmarks, frame.shape[1], frame.shape[0])
    if right - left < 2 or bottom - top < 2:
        return np.zeros((size, size, 3), np.uint8)
    cut = frame[top:bottom, left:right]
    method = cv2.INTER_AREA if min(cut.shape[:2]) > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (size, size), interpolation=method), np.uint8)


def face_box(landmarks: NDArray[np.float32], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a crop, px, within the frame."""
    points = landmarks[list(_BOX), :2].astype(np.float64)
    low, high = points.min(0), points.max(0)
    wide, high_ = (high - low) * (np.sqrt(AREA) - 1)
    left, right = low[0] - wide / 2, high[0] + wide / 2
    top, bottom = low[1] - high_ * _ABOVE, high[1] + high_ * (1 - _ABOVE)
    x = np.clip([left, right], 0, width).astype(int)
    y = np.clip([top, bottom], 0, height).astype(int)
    return int(x[0]), int(y[0]), int(x[1]), int(y[1])


def _has_face(controls: Controls) -> bool:
    return controls.face is not None and controls.head is not None


def _plain(settings: RenderSettings) -> RenderSettings:
    return replace(settings, alpha=False, memory=0)
