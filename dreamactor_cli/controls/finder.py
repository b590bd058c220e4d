"""Find faces in one frame: detectors first, the skeleton's head where they see nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.graphs import Box, FaceDetector, FaceMesh, Pose, Skeleton
from dreamactor_cli.controls.view import Region, View, shrink

CROP_SIZE = 320  # px; the landmark network sees 192 of it
CROP_MARGIN = 1.9  # half of the crop in halves of the face
TILE_SIDE = 640  # px
MAX_BODIES = 3  # that are looked for in a frame without a face
# The joint on the other side of the body for each joint.
_MIRROR = (0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(k + d for k in range(11, 33, 2) for d in (1, 0)))


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
    axes = np.ascontiguousarray(landmarks[:468, :2].T)
    low, high = axes.min(1), axes.max(1)
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
    """Whether head and shoulders of a skeleton are seen and in proportion."""
    if skeleton is None:
        return False
    head, shoulders = float(np.median(skeleton.score[:11])), float(skeleton.score[11:13].min())
    width = float(np.linalg.norm(skeleton.joints_2d[11] - skeleton.joints_2d[12]))
    seen = skeleton.score > 0.5
    return head > 0.8 and shoulders > 0.8 and int(seen.sum()) >= 11 and width > 0.04 * body_size(skeleton)


def body_size(skeleton: Skeleton) -> float:
    """Longer side of the box of the joints that are seen, px."""
    seen = skeleton.score > 0.5
    return float(np.ptp(skeleton.joints_2d[seen], axis=0).max()) if seen.any() else 1.0


def body_box(picture: U8, skeleton: Skeleton, grow: float = 0.35) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the joints that are seen, grown by a share of the body's size, inside the picture."""
    joints = skeleton.joints_2d[skeleton.score > 0.5]
    margin = grow * body_size(skeleton)
    x0, y0 = np.floor(joints.min(0) - margin).astype(int)
    x1, y1 = np.ceil(joints.max(0) + margin).astype(int)
    height, width = picture.shape[:2]
    return max(int(x0), 0), max(int(y0), 0), min(int(x1), width), min(int(y1), height)


def same_face(first: F32, second: F32) -> bool:
    """Whether two meshes lie in one place and are of one size."""
    (x, y, half), (x2, y2, half2) = face_extent(first), face_extent(second)
    return bool(np.hypot(x - x2, y - y2) < 0.3 * half and 0.75 < half / half2 < 1.33)


class FaceFinder:
    """Finds the faces of a frame. Slow (tens of ms): for first frames, samples, and where a track is lost.

    Args:
        mesh: graph to use, which forgets whom it follows; None makes one.
    """

    def __init__(self, mesh: FaceMesh | None = None) -> None:
        self._near = FaceDetector(full_range=False)
        self._far = FaceDetector(full_range=True)
        self._mesh = mesh or FaceMesh(static=True)
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
        self._mesh.forget()
        found = self._mesh(region.cut(view.rgb))
        return region.to_picture(found[0]) if found else None

    def skeleton(self, picture: U8) -> Skeleton | None:
        """A skeleton that is a person's."""
        found = self._pose(picture)
        return found if found is not None and plausible_skeleton(found) and self._confirmed(picture, found) else None

    def _confirmed(self, picture: U8, skeleton: Skeleton) -> bool:
        """Whether the mirrored picture shows the same skeleton mirrored: bottles and cats give another one each time."""
        x0, y0, x1, y1 = body_box(picture, skeleton)
        crop = picture[y0:y1, x0:x1]
        again = self._pose(np.ascontiguousarray(crop[:, ::-1]))
        if again is None:
            return False
        mirrored = again.joints_2d[list(_MIRROR)]
        mirrored = np.stack([crop.shape[1] - 1 - mirrored[:, 0] + x0, mirrored[:, 1] + y0], 1)
        both = (skeleton.score > 0.5) & (again.score[list(_MIRROR)] > 0.5)
        if both.sum() < 8:
            return False
        distance = np.linalg.norm(mirrored - skeleton.joints_2d, axis=1)[both]
        return float(np.median(distance)) < 0.06 * body_size(skeleton)

    def people(self, view: View, *, with_pose: bool = True, tiny: bool = False) -> list[Person]:
        """Everybody in a frame, from the left; a box counts only where the landmark graph agrees.

        Args:
            view: the frame.
            with_pose: where no face is found, look for bodies.
            tiny: where nobody is found, look for faces that are too small for the detectors; takes as long as all the rest.
        """
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
        if not found and tiny:
            found = self._in_tiles(view)
        return sorted(found, key=lambda p: p.x)

    def _in_tiles(self, view: View) -> list[Person]:
        """Faces too small for the detectors, looked for in nine overlapping parts of the picture."""
        width, height = view.width / 2, view.height / 2
        for k in range(9):
            left, top = round(width * (k % 3) / 2), round(height * (k // 3) / 2)
            tile = view.rgb[top : top + round(height), left : left + round(width)]
            small = shrink(tile, TILE_SIDE)
            scale = small.shape[1] / tile.shape[1]
            for box in self.boxes(small)[:2]:
                landmarks = self.sure_mesh_at(view, box.x / scale + left, box.y / scale + top, box.half / scale)
                if landmarks is not None:
                    return [Person(*face_extent(landmarks), landmarks)]
        return []

    def sure_mesh_at(self, view: View, x: float, y: float, half: float) -> F32 | None:
        """As `mesh_at`, for boxes that are doubtful.

        Animals and patterns raise boxes too, but the landmark graph sees a face in them at one margin at most.
        """
        first, second = (self.mesh_at(view, x, y, margin * half) for margin in (1.3, 1.8))
        return first if first is not None and second is not None and same_face(first, second) else None

    def _by_skeleton(self, view: View) -> list[Person]:
        """People by their bodies: the network sees one at a time, so who was found is painted over and it looks again."""
        picture = view.work.copy()
        found: list[Person] = []
        while len(found) < MAX_BODIES:
            skeleton = self.skeleton(picture)
            head = head_of(skeleton) if skeleton is not None else None
            if skeleton is None or head is None:
                break
            found.append(self._with_face(view, *(value / view.work_scale for value in head)))
            x0, y0, x1, y1 = body_box(picture, skeleton, grow=0.1)
            picture[y0:y1, x0:x1] = picture.mean((0, 1)).astype(np.uint8)
        return found

    def _with_face(self, view: View, x: float, y: float, half: float) -> Person:
        for factor in (1.0, 1.5, 0.7):
            landmarks = self.mesh_at(view, x, y, half * factor)
            if landmarks is not None:
                return Person(*face_extent(landmarks), landmarks)
        return Person(x, y, half, None)

    def close(self) -> None:
        """Give back the graphs."""
        for graph in (self._near, self._far, self._mesh, self._pose):
            graph.close()
