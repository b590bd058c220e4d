"""The body signal: 33 joints in the picture and in space."""

from __future__ import annotations

from collections.abc import Sequence

from dreamactor_cli.controls.base import Arrays, Plain, Tools, stack_frames
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.view import View


class BodyExtractor(Plain):
    """Measures `contracts.Body`."""

    version = "1"
    parameters = {"model": "mediapipe-0.10.21 pose_landmark_full"}  # noqa: RUF012
    held = ("joints_2d", "joints_3d")

    def __init__(self, clip: Clip, tools: Tools) -> None:  # noqa: ARG002
        self._tools = tools

    def measure(self, view: View) -> Arrays | None:
        """Joints of one frame."""
        skeleton = self._tools.pose(view)
        return None if skeleton is None else skeleton._asdict()

    def stack(self, frames: Sequence[Arrays | None]) -> Arrays:
        """Fields of the chunk."""
        return stack_bodies(frames)


def stack_bodies(frames: Sequence[Arrays | None]) -> Arrays:
    """Fields of `contracts.Body` from joints of each frame."""
    return stack_frames(frames, {"joints_2d": (33, 2), "joints_3d": (33, 3), "score": (33,)})
