"""The appearance signal: the driver's inner mouth, and how light and wrinkles change its skin.

The mouth is the opening between the inner lips, stretched to a box of 48 x 96: columns from the left to the right corner
(landmarks 78 and 308), rows from the upper to the lower lip.

The shading is the face in the layout of `controls.atlas`, 64 x 64: each frame's colours over the reference frame's, both
blurred, 128 standing for 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.atlas import Atlas
from dreamactor_cli.controls.base import Arrays, Plain, Tools
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.view import View

MOUTH_WIDTH, MOUTH_HEIGHT = 96, 48  # px
_UPPER, _LOWER = head_space.INNER_LIPS[:11], (head_space.INNER_LIPS[0], *head_space.INNER_LIPS[:9:-1])
SHADING_SIZE = 64  # px
_SAMPLED = 128  # px, size at which the face is sampled before it is blurred
_BLUR = 3.0  # px of the sampled face
_FLOOR = 4.0  # grey levels that are added above and below, so that a ratio of dark colours is not noise


def mouth_places(landmarks: F32) -> NDArray[np.float32]:
    """Where each pixel of the mouth box lies in the picture, (MOUTH_HEIGHT, MOUTH_WIDTH, 2) px, from a mesh (478, 3) px."""
    mesh = landmarks[:, :2].astype(np.float64)
    left, chord = mesh[_UPPER[0]], mesh[_UPPER[-1]] - mesh[_UPPER[0]]
    length = max(float(np.hypot(*chord)), 1e-3)
    along = chord / length
    across = np.array([-along[1], along[0]])
    u = np.linspace(0, 1, MOUTH_WIDTH)
    heights = []
    for contour in (_UPPER, _LOWER):
        offset = mesh[list(contour)] - left
        # A mouth seen from the side folds: interpolation wants positions that only grow.
        x = np.maximum.accumulate(offset @ along / length)
        heights.append(np.interp(u, x, offset @ across))
    v = np.linspace(0, 1, MOUTH_HEIGHT)[:, None]
    height = heights[0] + v * (heights[1] - heights[0])
    return (left + u[None, :, None] * chord + height[..., None] * across).astype(np.float32)


class AppearanceExtractor(Plain):
    """Measures `contracts.Appearance`."""

    version = "2"
    parameters = {"layout": "mouth between lips, shading in the atlas"}  # noqa: RUF012
    held = ("mouth", "shading")

    def __init__(self, clip: Clip, tools: Tools) -> None:
        self._tools = tools
        self._atlas = Atlas(_SAMPLED)
        self._reference = None if clip.landmarks is None else self._skin(clip.picture, clip.landmarks)

    @staticmethod
    def unseen(clip: Clip) -> Arrays:  # noqa: ARG004
        """No change of shading where no face is seen."""
        return {"shading": np.full((SHADING_SIZE, SHADING_SIZE, 3), 128, np.uint8)}

    def measure(self, views: Sequence[View]) -> list[Arrays | None]:
        """Mouth and shading of frames."""
        return [self._measure(view, landmarks) for view, landmarks in zip(views, self._tools.faces(views), strict=True)]

    def _measure(self, view: View, landmarks: F32 | None) -> Arrays | None:
        if landmarks is None or self._reference is None:
            return None
        places = mouth_places(landmarks)
        mouth = cv2.remap(view.rgb, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        ratio = (self._skin(view.rgb, landmarks) + _FLOOR) / (self._reference + _FLOOR)
        small = cv2.resize(ratio, (SHADING_SIZE, SHADING_SIZE), interpolation=cv2.INTER_AREA)
        return {"mouth": mouth, "shading": np.clip(np.rint(small * 128), 0, 255).astype(np.uint8)}

    def _skin(self, picture: U8, landmarks: F32) -> F32:
        """Blurred colours of the face in the layout, (S, S, 3); outside the mesh they go on as at its border."""
        colours = self._atlas.sample(picture, landmarks[:468, :2]).astype(np.float32)
        inside = self._atlas.inside.astype(np.float32)
        blurred = cv2.GaussianBlur(colours * inside[..., None], (0, 0), _BLUR)
        weight = cv2.GaussianBlur(inside, (0, 0), _BLUR)[..., None]
        mean = colours[self._atlas.inside].mean(0)
        return np.where(weight > 0.02, blurred / np.maximum(weight, 0.02), mean).astype(np.float32)

    def stack(self, frames: Sequence[Arrays | None]) -> Arrays:
        """Fields of the chunk, and ``score``, 1 where a face was seen."""
        out: Arrays = {
            "mouth": np.zeros((len(frames), MOUTH_HEIGHT, MOUTH_WIDTH, 3), np.uint8),
            "shading": np.zeros((len(frames), SHADING_SIZE, SHADING_SIZE, 3), np.uint8),
            "score": np.array([frame is not None for frame in frames], np.float32),
        }
        for t, frame in enumerate(frames):
            if frame is not None:
                out["mouth"][t], out["shading"][t] = frame["mouth"], frame["shading"]
        return out
