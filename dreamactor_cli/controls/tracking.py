"""Follow one person's face and body through consecutive frames."""

from __future__ import annotations

import numpy as np

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.finder import FaceFinder, body_size, face_extent, face_region
from dreamactor_cli.controls.graphs import FaceMesh, Pose, Skeleton
from dreamactor_cli.controls.view import View

SEARCH_EVERY = 4  # frames between two searches for a lost face
POSE_EVERY = 16  # frames between two searches by the skeleton
# Of the body's size: what joints may move between two measured frames for two frames, or one, to be left out.
STILL = (0.01, 0.02)
GAP = 0.13  # seconds between two measured frames at most: an arm begins to move in less
LOOKS = 3  # at the picture in which somebody is found
RECUT_SHIFT, RECUT_GROWTH = 0.3, 1.2  # the crop moves when the face has moved by 0.3 or grown by 1.2 of its half


class FaceTracker:
    """Landmarks of the subject's face, from a square crop that follows it.

    The crop stands still as long as the face stays inside, because the graph looks where the face was in its last crop.

    Args:
        clip: that is measured.
        mesh, finder: graphs to use; whom the mesh followed is forgotten.
    """

    def __init__(self, clip: Clip, mesh: FaceMesh, finder: FaceFinder) -> None:
        self._clip = clip
        self._mesh = mesh
        self._mesh.forget()
        self._finder = finder
        self._crop: tuple[float, float, float] | None = None
        self._last: tuple[float, float, float] | None = None
        self._lost = 0

    def track(self, view: View) -> F32 | None:
        """Landmarks (478, 3) px, or None where the face is not seen."""
        if self._crop is None:
            self._crop = self._search(view)
            if self._crop is None:
                return None
        landmarks = self._measure(view)
        if landmarks is None:
            self._crop = self._search(view)
            landmarks = self._measure(view) if self._crop is not None else None
        if landmarks is None:
            self._crop = None
            return None
        self._lost = 0
        self._last = face_extent(landmarks)
        return self._recut(view, landmarks)

    def _measure(self, view: View) -> F32 | None:
        """Landmarks in the present crop; a second look lets the graph search the whole crop."""
        assert self._crop is not None
        region = face_region(*self._crop)
        crop = region.cut(view.rgb)
        for _ in range(2):
            found = self._mesh(crop)
            if found:
                landmarks = region.to_picture(found[0])
                if self._believable(landmarks):
                    return landmarks
        return None

    def _believable(self, landmarks: F32) -> bool:
        x, y, half = face_extent(landmarks)
        cx, cy, chalf = self._crop or (x, y, half)
        near = np.hypot(x - cx, y - cy) < 1.2 * chalf and 0.4 < half / chalf < 2.2
        return bool(near) and self._clip.is_subject(x, y, self._last or (cx, cy, chalf))

    def _recut(self, view: View, landmarks: F32) -> F32:
        """Move the crop when the face has left its middle; the graph is then shown the new one once to settle."""
        assert self._crop is not None
        x, y, half = face_extent(landmarks)
        cx, cy, chalf = self._crop
        moved = np.hypot(x - cx, y - cy) > RECUT_SHIFT * chalf
        if not moved and 1 / RECUT_GROWTH < half / chalf < RECUT_GROWTH:
            return landmarks
        self._crop = (x, y, half)
        again = self._measure(view)
        if again is None:
            return landmarks
        self._last = face_extent(again)
        return again

    def _search(self, view: View) -> tuple[float, float, float] | None:
        """Where the subject's face is, by the detectors; None in most frames while it is lost, to save time."""
        if self._last is None and view.index == self._clip.reference and self._clip.landmarks is not None:
            return face_extent(self._clip.landmarks)
        self._lost += 1
        if self._lost > 2 and self._lost % SEARCH_EVERY:
            return None
        expected = self._last or self._clip.subject_at(view.index)
        people = self._finder.people(view, with_pose=self._lost % POSE_EVERY == 1, tiny=self._lost == 1)
        self._mesh.forget()  # the finder may have shown it other crops
        people = [p for p in people if p.landmarks is not None and self._clip.is_subject(p.x, p.y, expected)]
        if not people:
            return None
        x, y, _ = expected
        best = min(people, key=lambda p: float(np.hypot(p.x - x, p.y - y)) - 2 * p.half)
        return best.x, best.y, best.half


def settled_pose(pose: Pose, picture: U8) -> Skeleton | None:
    """Whom the graph finds in a picture (H, W, 3), as it is seen in frames that follow: cut out by its own joints.

    When it finds somebody, the graph cuts it out by a box, and sees joints by a few percent elsewhere than afterwards. A joint
    is seen as well as at the best look.
    """
    found = pose(picture)
    for _ in range(LOOKS - 1):
        again = pose(picture) if found is not None else None
        if again is not None and found is not None:
            found = again._replace(score=np.maximum(again.score, found.score))
    return found


class PoseTracker:
    """The subject's skeleton.

    The graph follows whom it found first. Where there are others, it is first shown a picture in which only the surroundings
    of the subject are left. It is the slowest of all networks: while the body hardly moves it is given every second or third
    frame only, if the clip has enough of them a second. Where it has begun to move in between, those left out are made up for.

    Attributes:
        measured: whether the last frame was measured; if not, its skeleton is the one before.
        late: skeletons of frames, by number, that were not measured in their turn but afterwards.
    """

    def __init__(self, clip: Clip, pose: Pose) -> None:
        self._pose = pose
        self._pose.forget()
        self._clip = clip
        self._last: tuple[float, float, float] | None = None  # centre and half size of the head, px of the picture
        self._skeleton: Skeleton | None = None
        self._skip = 0
        self._skipped: list[View] = []
        self.measured = True
        self.late: dict[int, Skeleton] = {}

    def track(self, view: View) -> Skeleton | None:
        """Joints in px of the picture, or None where nobody is seen."""
        self.measured = self._skip == 0
        if not self.measured:
            self._skip -= 1
            self._skipped.append(view)
            return self._skeleton
        found = self._measure(view)
        if found is not None and self._skeleton is not None:
            both = (found.score > 0.5) & (self._skeleton.score > 0.5)
            moved = np.linalg.norm(found.joints_2d - self._skeleton.joints_2d, axis=1)[both].max(initial=0.0)
            shoulders = float(np.linalg.norm(found.joints_2d[11] - found.joints_2d[12]))
            # In a portrait only head and shoulders are seen: the body is larger than their box.
            size = max(body_size(found), 2.5 * shoulders)
            quick = int(np.searchsorted(STILL, moved / size))
            self._skip = min(2 - quick, max(int(GAP * self._clip.fps) - 1, 0))
            if quick == len(STILL):
                self._make_up()
        self._skipped.clear()
        self._skeleton = found
        return found

    def _make_up(self) -> None:
        """Measure the frames that were left out before the last one."""
        last = self._last
        for view in self._skipped:
            found = self._measure(view)
            if found is not None:
                self.late[view.index] = found
        self._last = last

    def _measure(self, view: View) -> Skeleton | None:
        alone = not len(self._clip.others)
        if not alone and self._last is None:
            self._pose(self._only_subject(view))
        found = settled_pose(self._pose, view.work) if self._last is None else self._pose(view.work)
        if found is None or (found.score > 0.5).sum() < 4:
            self._last = None
            return None
        skeleton = Skeleton(found.joints_2d / np.float32(view.work_scale), found.joints_3d, found.score)
        x, y = (float(v) for v in skeleton.joints_2d[:11].mean(0))
        half = self._clip.subject_at(view.index)[2]
        expected = self._last or self._clip.subject_at(view.index)
        if not alone and np.hypot(x - expected[0], y - expected[1]) > 5 * half:
            self._last = None
            return None
        self._last = (x, y, half)
        return skeleton

    def _only_subject(self, view: View) -> U8:
        """The picture, grey but for the columns around the subject."""
        x, _, half = (value * view.work_scale for value in self._clip.subject_at(view.index))
        others = self._clip.others[:, 0] * view.work_scale
        reach = min([5 * half, *(max(abs(float(other) - x) / 2, 2 * half) for other in others)])
        left, right = max(int(x - reach), 0), max(int(x + reach), 1)
        picture = np.full_like(view.work, 128)
        picture[:, left:right] = view.work[:, left:right]
        return picture
