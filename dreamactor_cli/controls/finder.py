"""Find faces in one frame: detectors first, the skeleton's head where they see nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.graphs import Box, FaceDetector, FaceMesh, Pose, Skeleton
from dreamactor_cli.controls.view import Region, View

CROP_SIZE = 320  # px; the landmark network sees 192 of it
CROP_MARGIN = 1.9  # half of the crop in halves of the face


class Person(NamedTuple):
    """Somebody in a frame.

    Attributes:
        x, y: centre of the face, px.
        half: half of the face's height, px.
        landmarks: (478, 3) px; None where only a body was found.
    """

    x: float
    y: float
    half: float
    landmarks: F32 | None


def face_extent(landmarks: F32) -> tuple[float, float, float]:
    """Centre and half of the longer side of a face mesh, px."""
    low, high = landmarks[:468, :2].min(0), landmarks[:468, :2].max(0)
    middle = (low + high) / 2
    return float(middle[0]), float(middle[1]), float((high - low).max() / 2)


def face_region(x: float, y: float, half: float) -> Region:
    """The square around a face that the landmark graph sees."""
    return Region(x, y, max(half * CROP_MARGIN, 12), CROP_SIZE)


def head_of(skeleton: Skeleton) -> tuple[float, float, float] | None:
    """Centre and half size of the face that a skeleton suggests, px; None where its head is not seen."""
    head = skeleton.joints_2d[:11]
    if np.median(skeleton.score[:11]) < 0.5:
        return None
    ears_and_eyes = np.ptp(head, axis=0).max()
    shoulders = float(np.linalg.norm(skeleton.joints_2d[11] - skeleton.joints_2d[12]))
    half = max(0.8 * float(ears_and_eyes), 0.22 * shoulders)
    middle = head.mean(0)
    return float(middle[0]), float(middle[1]), half


def plausible_skeleton(skeleton: Skeleton | None) -> bool:
    """Whether a skeleton is a person's and not a cat's or a bottle's: head, shoulders and hips are seen and in proportion."""
    if skeleton is None:
        return False
    head, shoulders = float(np.median(skeleton.score[:11])), float(skeleton.score[11:13].min())
    width = float(np.linalg.norm(skeleton.joints_2d[11] - skeleton.joints_2d[12]))
    size = float(np.ptp(skeleton.joints_2d[skeleton.score > 0.5], axis=0).max()) if (skeleton.score > 0.5).any() else 0.0
    return head > 0.8 and shoulders > 0.8 and width > 0.04 * max(size, 1) and int((skeleton.score > 0.5).sum()) >= 11


class FaceFinder:
    """Finds the faces of a frame. Slow (tens of ms): for first frames, samples, and where a track is lost."""

    def __init__(self) -> None:
        self._near = FaceDetector(full_range=False)
        self._far = FaceDetector(full_range=True)
        self._mesh = FaceMesh(static=True)
        self._pose = Pose(static=True)

    def boxes(self, picture: U8) -> list[Box]:
        """Boxes of both detectors, each face once."""
        kept: list[Box] = []
        for box in sorted(self._near(picture) + self._far(picture), key=lambda b: -b.score):
            if all(np.hypot(box.x - k.x, box.y - k.y) > 0.8 * max(box.half, k.half) for k in kept):
                kept.append(box)
        return kept

    def mesh_at(self, view: View, x: float, y: float, half: float) -> F32 | None:
        """Landmarks (478, 3) px of the face near a place."""
        region = face_region(x, y, half)
        found = self._mesh(region.cut(view.rgb))
        return region.to_picture(found[0]) if found else None

    def skeleton(self, picture: U8) -> Skeleton | None:
        """A plausible skeleton."""
        found = self._pose(picture)
        return found if plausible_skeleton(found) else None

    def people(self, view: View, *, with_pose: bool = True) -> list[Person]:
        """Everybody in a frame, from the left; a box counts only where the landmark graph agrees."""
        scale = view.work_scale
        found: list[Person] = []
        for box in self.boxes(view.work):
            landmarks = self.mesh_at(view, box.x / scale, box.y / scale, 1.3 * box.half / scale)
            if landmarks is None:
                continue
            x, y, half = face_extent(landmarks)
            if all(np.hypot(x - p.x, y - p.y) > 0.8 * max(half, p.half) for p in found):
                found.append(Person(x, y, half, landmarks))
        if not found and with_pose:
            found = self._by_skeleton(view)
        return sorted(found, key=lambda p: p.x)

    def _by_skeleton(self, view: View) -> list[Person]:
        skeleton = self.skeleton(view.work)
        head = head_of(skeleton) if skeleton is not None else None
        if head is None:
            return []
        x, y, half = (value / view.work_scale for value in head)
        for factor in (1.0, 1.5, 0.7):
            landmarks = self.mesh_at(view, x, y, half * factor)
            if landmarks is not None:
                return [Person(*face_extent(landmarks), landmarks)]
        return [Person(x, y, half, None)]

    def close(self) -> None:
        """Give back the graphs."""
        for graph in (self._near, self._far, self._mesh, self._pose):
            graph.close()
