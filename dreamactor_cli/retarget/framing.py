"""Framing: bring a reference to the size of the output, face kept in the picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import NOSE
from dreamactor_cli.contracts import Controls, Reference
from dreamactor_cli.picture_space import move_controls

FACE_HEIGHT = 0.4  # where a crop puts the middle of the head, as a share of the height


def framed_size(size: str, width: int, height: int) -> tuple[int, int]:
    """Width and height in px of ``"source"`` or ``"WxH"`` for a picture of width x height px."""
    if size == "source":
        return width, height
    wide, high = size.lower().split("x")
    return int(wide), int(high)


def frame_reference(reference: Reference, width: int, height: int) -> Reference:
    """Scale a reference of one picture until it covers width x height px, and crop it about the head."""
    image, matte = reference.images[0], reference.matte[0]
    have_high, have_wide = image.shape[:2]
    if (have_wide, have_high) == (width, height):
        return reference
    scale = max(width / have_wide, height / have_high)
    middle = _middle(reference.controls)
    wanted = middle * scale - np.array([0.5 * width, FACE_HEIGHT * height])
    corner = np.clip(wanted, 0, np.array([have_wide, have_high]) * scale - [width, height])
    size = (max(width, round(have_wide * scale)), max(height, round(have_high * scale)))
    x, y = (int(v) for v in np.floor(corner))
    x, y = min(x, size[0] - width), min(y, size[1] - height)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    cut = (slice(y, y + height), slice(x, x + width))
    image = np.ascontiguousarray(cv2.resize(image, size, interpolation=method)[cut])
    matte = np.ascontiguousarray(np.clip(cv2.resize(matte, size, interpolation=method)[cut], 0, 1), np.float32)
    controls = move_controls(reference.controls, scale, np.array([x, y], np.float64))
    controls = replace(controls, width=width, height=height)
    return Reference(images=image[None], controls=controls, matte=matte[None])


def _middle(controls: Controls) -> NDArray[np.float64]:
    """Middle of the head in px, or of the picture if there is neither face nor body."""
    if controls.head is not None:
        return controls.head.center[0].astype(np.float64)
    if controls.body is not None and controls.body.score[0, NOSE] > 0:
        return controls.body.joints_2d[0, NOSE].astype(np.float64)
    return np.array([controls.width / 2, controls.height * FACE_HEIGHT])
