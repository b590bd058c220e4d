"""The hands signal: 21 joints of each hand, in crops at the wrists of the skeleton."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dreamactor_cli.controls.base import Arrays, Plain, Tools, stack_frames
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.graphs import Hand, HandMesh, Skeleton
from dreamactor_cli.controls.view import Region, View

CROP_SIZE = 256  # px
SEARCH_EVERY = 3  # frames between two searches for a hand that was not found
# Elbow, wrist, pinky, index and thumb of the skeleton; the person's left hand first.
_ARMS = ((13, 15, 17, 19, 21), (14, 16, 18, 20, 22))
_RECUT_SHIFT, _RECUT_GROWTH = 0.25, 1.3


class _HandTracker:
    """Follows one hand."""

    def __init__(self, arm: tuple[int, ...], mesh: HandMesh) -> None:
        self._arm = arm
        self._mesh = mesh
        self._mesh.forget()
        self._crop: tuple[float, float, float] | None = None
        self._idle = 0

    def track(self, view: View, skeleton: Skeleton | None) -> Hand | None:
        """The hand in px of the picture, or None."""
        place = self._place(view, skeleton)
        if place is None:
            self._crop = None
            return None
        if self._crop is None:
            self._idle += 1
            if self._idle > 1 and self._idle % SEARCH_EVERY:
                return None
        if self._crop is None or self._left(place):
            self._crop = place
        region = Region(*self._crop, CROP_SIZE)
        crop = region.cut(view.rgb)
        found = self._mesh(crop)
        if found is None and self._idle == 0:  # tracked until now: a second look lets the graph search the whole crop
            found = self._mesh(crop)
        if found is None:
            self._crop = None
            return None
        self._idle = 0
        joints = np.c_[found.joints_2d, np.zeros(21)]
        return Hand(region.to_picture(joints)[:, :2], found.joints_3d, found.score)

    def _left(self, place: tuple[float, float, float]) -> bool:
        """Whether the hand has left the middle of the crop, or changed its size."""
        assert self._crop is not None
        x, y, half = self._crop
        growth = place[2] / half
        return bool(np.hypot(place[0] - x, place[1] - y) > _RECUT_SHIFT * half or not 1 / _RECUT_GROWTH < growth < _RECUT_GROWTH)

    def _place(self, view: View, skeleton: Skeleton | None) -> tuple[float, float, float] | None:
        """Centre and half of the square around the hand, px; None where the skeleton sees no hand in the picture."""
        if skeleton is None or skeleton.score[self._arm[1]] < 0.4:
            return None
        elbow, wrist, *fingers = (skeleton.joints_2d[i] for i in self._arm)
        knuckles = np.mean(fingers[:2], axis=0)
        x, y = (float(v) for v in wrist + 1.3 * (knuckles - wrist))
        if not (-0.05 * view.width < x < 1.05 * view.width and -0.05 * view.height < y < 1.05 * view.height):
            return None
        # The forearm is foreshortened at times and so is the hand: the larger of both tells the size, with the shoulders.
        shoulders = float(np.linalg.norm(skeleton.joints_2d[11] - skeleton.joints_2d[12]))
        half = max(0.6 * float(np.linalg.norm(elbow - wrist)), 2.2 * float(np.linalg.norm(knuckles - wrist)), 0.35 * shoulders)
        return x, y, max(half, 12.0)


class HandsExtractor(Plain):
    """Measures `contracts.Hands`."""

    version = "5"
    parameters = {"model": "mediapipe-0.10.21 hand_landmark_full"}  # noqa: RUF012
    held = ("joints_2d", "joints_3d")

    def __init__(self, clip: Clip, tools: Tools) -> None:  # noqa: ARG002
        self._tools = tools
        self._trackers = [_HandTracker(arm, tools.keep(f"hand {arm[0]}", HandMesh)) for arm in _ARMS]

    def measure(self, views: Sequence[View]) -> list[Arrays | None]:
        """Both hands of frames."""
        found = zip(views, self._tools.poses(views), strict=True)
        return [join_hands([tracker.track(view, skeleton) for tracker in self._trackers]) for view, (skeleton, _) in found]

    def stack(self, frames: Sequence[Arrays | None]) -> Arrays:
        """Fields of the chunk."""
        return stack_hands(frames)


def stack_hands(frames: Sequence[Arrays | None]) -> Arrays:
    """Fields of `contracts.Hands` from both hands of each frame."""
    return stack_frames(frames, {"joints_2d": (2, 21, 2), "joints_3d": (2, 21, 3), "score": (2,)})


def find_hands(view: View, skeleton: Skeleton | None) -> list[Hand | None]:
    """Left and right hand of a single picture."""
    meshes = [HandMesh() for _ in _ARMS]
    try:
        return [_HandTracker(arm, mesh).track(view, skeleton) for arm, mesh in zip(_ARMS, meshes, strict=True)]
    finally:
        for mesh in meshes:
            mesh.close()


def join_hands(hands: Sequence[Hand | None]) -> Arrays:
    """Left and right hand as arrays (2, ...), zeros and score 0 where one is missing."""
    out = {"joints_2d": np.zeros((2, 21, 2), np.float32), "joints_3d": np.zeros((2, 21, 3), np.float32)}
    out["score"] = np.zeros(2, np.float32)
    for side, hand in enumerate(hands):
        if hand is not None:
            out["joints_2d"][side], out["joints_3d"][side], out["score"][side] = hand
    return out
