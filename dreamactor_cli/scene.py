"""The driver's own picture at the output's size and rate, for renderers that put the reference into the driver's place."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.compose import cover
from dreamactor_cli.contracts import U8, Controls, ScenePart, Signal
from dreamactor_cli.controls_file import StoredControls
from dreamactor_cli.driving import Driver
from dreamactor_cli.errors import UsageError
from dreamactor_cli.media import VideoInfo, read_frames
from dreamactor_cli.picture_space import move_controls


class DrivingScene:
    """See `contracts.Scene`.

    Args:
        driver: a video with the signals ``matte`` and ``body``.
        fps: of the output.
        width, height: of the output, px; the driver's picture is scaled until it covers them, and its middle is taken.

    Raises:
        UsageError: the driver has no picture.
    """

    def __init__(self, driver: Driver, fps: Fraction, width: int, height: int) -> None:
        stream = driver.controls
        if driver.video is None or not isinstance(stream, StoredControls) or stream.matte is None:
            raise UsageError("--background driving needs a driving video", "give a video with -d, or another background")
        self._video: VideoInfo = driver.video
        self._stream, self._matte, self._first = stream, stream.matte, driver.first_frame
        self._step = stream.fps / fps
        self._width, self._height = width, height

    def window(self, start: int, stop: int) -> ScenePart:
        """See `contracts.Scene`."""
        last = self._stream.num_frames - 1
        shown = np.array([min(int(k * self._step), last) for k in range(start, stop)])
        low, high = int(shown[0]), int(shown[-1]) + 1
        pictures = list(read_frames(self._video.path, self._first + low, self._first + high, info=self._video))
        rows = np.minimum(shown - low, len(pictures) - 1)
        masks = self._matte.window(low, high)[shown - low]
        return ScenePart(
            frames=np.stack([cover(pictures[row], self._width, self._height) for row in rows]),
            person=np.stack([self._covered(mask) for mask in masks]),
            controls=self._placed(_rows(self._stream.window(low, high), shown - low)),
        )

    def _covered(self, mask: U8) -> U8:
        """A mask (h, w) where it lies in the output."""
        whole = cv2.resize(mask, (self._video.width, self._video.height), interpolation=cv2.INTER_LINEAR)
        return cover(np.repeat(whole[..., None], 3, 2), self._width, self._height)[..., 0]

    def _placed(self, controls: Controls) -> Controls:
        """Controls of the driver where it lies in the output, as `compose.cover` puts it there."""
        wide, high = controls.width, controls.height
        scale = max(self._width / wide, self._height / high)
        sides = max(self._width, round(wide * scale)), max(self._height, round(high * scale))
        corner = np.array([(sides[0] - self._width) // 2, (sides[1] - self._height) // 2], np.float64)
        return replace(move_controls(controls, scale, corner), width=self._width, height=self._height)


def _rows(controls: Controls, rows: NDArray[np.int64]) -> Controls:
    """Some frames of a window, in any order."""
    picked: dict[str, Signal] = {}
    for name, signal in controls.signals().items():
        arrays = {field: array[rows] for field, array in signal.arrays().items() if signal.SHAPES[field][0] == "T"}
        picked[name] = replace(signal, **arrays)  # type: ignore[type-var]
    return replace(controls, num_frames=len(rows), **picked)  # type: ignore[arg-type]
