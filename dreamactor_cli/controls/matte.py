"""The matte signal: how much of each pixel is a person."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dreamactor_cli.contracts import U8
from dreamactor_cli.controls.base import Arrays, Plain, Tools
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.graphs import PersonMask
from dreamactor_cli.controls.view import View, shrink

REST = 2  # frames
_SMOOTH = np.array([0.125, 0.75, 0.125], np.float32)
STILL = 1.5  # grey levels, mean change of the picture
SIDE = 256  # px, longer side of a stored mask, and of what the network is given: it sees 256 x 256


def mask_bytes(mask: np.ndarray, width: int, height: int) -> U8:
    """A mask 0..1 as bytes of another size, (height, width), without the network's pattern of single pixels."""
    smooth = cv2.sepFilter2D(mask, -1, _SMOOTH, _SMOOTH, borderType=cv2.BORDER_REPLICATE)
    small = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(np.rint(small * 255), 0, 255).astype(np.uint8)


class MatteExtractor(Plain):
    """Measures mattes (T, h, w), 0..255, at most `SIDE` px long."""

    version = "2"
    parameters = {"model": "mediapipe-0.10.21 selfie_segmentation"}  # noqa: RUF012

    def __init__(self, clip: Clip, tools: Tools) -> None:
        scale = min(SIDE / max(clip.width, clip.height), 1.0)
        self._size = max(round(clip.width * scale), 1), max(round(clip.height * scale), 1)
        self._mask = tools.keep("mask", lambda: PersonMask(landscape=clip.width > 1.3 * clip.height))
        self._last: tuple[U8, U8] | None = None  # small picture and mask of the last frame that was measured
        self._rested = 0

    def measure(self, views: Sequence[View]) -> list[Arrays | None]:
        """Masks of frames."""
        return [self._measure(view) for view in views]

    def _measure(self, view: View) -> Arrays:
        """Mask of one frame; that of the frame before where the picture hardly changes, at most `REST` times in a row."""
        if (
            self._last is not None
            and self._rested < REST
            and cv2.norm(view.thumb, self._last[0], cv2.NORM_L1) < STILL * view.thumb.size
        ):
            self._rested += 1
            return {"matte": self._last[1]}
        mask = mask_bytes(self._mask(shrink(view.work, SIDE)), *self._size)
        self._last, self._rested = (view.thumb, mask), 0
        return {"matte": mask}

    def stack(self, frames: Sequence[Arrays | None]) -> Arrays:
        """Masks of the chunk."""
        masks = [frame["matte"] for frame in frames if frame is not None]
        return {"matte": np.stack(masks) if masks else np.zeros((0, self._size[1], self._size[0]), np.uint8)}
