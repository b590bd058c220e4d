"""The body signal: 33 joints in the picture and in space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dreamactor_cli.controls.base import Arrays, Plain, Tools, stack_frames
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.view import View


class BodyExtractor(Plain):
    """Measures `contracts.Body`."""

    version = "4"
    parameters = {"model": "mediapipe-0.10.21 pose_landmark_full"}  # noqa: RUF012
    held = ("joints_2d", "joints_3d")

    def __init__(self, clip: Clip, tools: Tools) -> None:  # noqa: ARG002
        self._tools = tools
        self._first: int | None = None  # number of the chunk's first frame

    def measure(self, views: Sequence[View]) -> list[Arrays | None]:
        """Joints of frames."""
        self._first = views[0].index if self._first is None else self._first
        found = self._tools.poses(views)
        return [None if skeleton is None else {**skeleton._asdict(), "measured": measured} for skeleton, measured in found]

    def stack(self, frames: Sequence[Arrays | None]) -> Arrays:
        """Fields of the chunk."""
        frames = self._made_up(frames)
        out = stack_bodies(frames)
        measured = np.array([frame is not None and frame["measured"] for frame in frames], bool)
        there = np.array([frame is not None for frame in frames], bool)
        for array in out.values():
            fill_between(array, measured, there)
        return out

    def _made_up(self, frames: Sequence[Arrays | None]) -> list[Arrays | None]:
        """Frames with what was measured after their turn."""
        out = list(frames)
        for index, skeleton in self._tools.late_poses.items():
            if self._first is not None and 0 <= index - self._first < len(out):
                out[index - self._first] = {**skeleton._asdict(), "measured": True}
        return out


def fill_between(array: np.ndarray, measured: np.ndarray, there: np.ndarray) -> None:
    """Put rows (T, ...) that were not measured on the line between the measured ones around them, in place.

    Rows stay where nobody is ``there`` in between (T,), and after the last measured one.
    """
    known = np.flatnonzero(measured)
    for a, b in pairwise(known.tolist()):
        for t in range(a + 1, b) if there[a:b].all() else ():
            part = np.float32((t - a) / (b - a))
            array[t] = array[a] + part * (array[b] - array[a])


def stack_bodies(frames: Sequence[Arrays | None]) -> Arrays:
    """Fields of `contracts.Body` from joints of each frame."""
    return stack_frames(frames, {"joints_2d": (33, 2), "joints_3d": (33, 3), "score": (33,)})
