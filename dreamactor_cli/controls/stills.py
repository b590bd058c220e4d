"""Control signals of pictures: everything is tried until a face, or at least a body, is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import cv2
import numpy as np

from dreamactor_cli.body_space import ELBOWS, HIPS, KNEES, SHOULDERS, WRISTS
from dreamactor_cli.contracts import F32, U8, Body, Controls, Face, Hands, Head
from dreamactor_cli.controls.body import stack_bodies
from dreamactor_cli.controls.face import describe_faces, identity_of
from dreamactor_cli.controls.finder import FaceFinder, Person, face_extent, face_region, same_face
from dreamactor_cli.controls.graphs import FaceDetector, FaceMesh, PersonMask, Pose, Skeleton
from dreamactor_cli.controls.hands import find_hands, join_hands, stack_hands
from dreamactor_cli.controls.head import IDENTITY, sphere_arrays
from dreamactor_cli.controls.tracking import settled_pose
from dreamactor_cli.controls.view import View, shrink
from dreamactor_cli.errors import NoPersonFound
from dreamactor_cli.person_space import still_field

MIN_SIDE = 16  # px
_MASK_SIDE = 512  # px
_MARGIN = 0.2  # of the upper half of a body, around it
_ARM = 0.26  # thickness of an arm, in lengths of the torso
_ARM_SEEN = 0.6
_LEGS_SEEN = 0.45  # mean score of the knees from which a picture shows more than half a body


def image_controls(
    images: Sequence[U8],
    *,
    names: Sequence[str],
    on_warning: Callable[[str], None] | None = None,
    anybody: bool = True,
) -> tuple[Controls, F32]:
    """Control signals and mattes of pictures of one size.

    Args:
        images: (H, W, 3) each.
        names: of the files, for messages.
        on_warning: told what the user should know, like whom the tool chose of several people.
        anybody: refuse a picture in which neither face nor body is found; else it has neither.

    Returns:
        Controls with T = N, of which face and head are None where one of the pictures shows a body only; mattes
        (N, H, W), 0..1.

    Raises:
        NoPersonFound: one of the pictures shows nobody.
    """
    reader = _StillReader(on_warning or (lambda message: None), anybody)
    try:
        found = [reader.read(image, name) for image, name in zip(images, names, strict=True)]
    finally:
        reader.close()
    meshes = [still.landmarks for still in found]
    face = head = None
    if all(mesh is not None for mesh in meshes):
        landmarks = np.stack([mesh for mesh in meshes if mesh is not None]).astype(np.float32)
        seen = np.ones(len(meshes), np.float32)
        identity = identity_of(landmarks[0])
        face = Face(**describe_faces(landmarks, seen, identity), identity=identity)
        still = np.broadcast_to(IDENTITY, (len(meshes), 2, 3)).copy()
        head = Head(**sphere_arrays(landmarks), score=seen, head_2d=still, torso_2d=still.copy(), field=still_field(len(still)))
    body = Body(**stack_bodies([s.skeleton._asdict() if s.skeleton is not None else None for s in found]))
    hands = Hands(**stack_hands([still.hands for still in found]))
    controls = Controls(
        num_frames=len(found), fps=Fraction(1), width=images[0].shape[1], height=images[0].shape[0], space="reference",
        face=face, head=head, body=body, hands=hands,
    )  # fmt: skip
    return controls, np.stack([still.matte for still in found])


class _Still:
    """What is in one picture."""

    def __init__(self, landmarks: F32 | None, skeleton: Skeleton | None, hands: dict[str, np.ndarray], matte: F32) -> None:
        self.landmarks, self.skeleton, self.hands, self.matte = landmarks, skeleton, hands, matte


class _StillReader:
    """Finds the person of a picture; tries harder and harder."""

    def __init__(self, on_warning: Callable[[str], None], anybody: bool) -> None:
        self._warn, self._anybody = on_warning, anybody
        self._finder = FaceFinder()
        self._pose = Pose(masked=True)
        self._mask = PersonMask()
        # Drawn faces are found at a lower confidence; whoever is found must still convince the landmark graph.
        self._eager_boxes = [FaceDetector(full_range=far, confidence=0.3) for far in (False, True)]
        self._eager_mesh = FaceMesh(static=True, detection=0.3, tracking=0.3)

    def read(self, image: U8, name: str) -> _Still:
        """Raises NoPersonFound."""
        if min(image.shape[:2]) < MIN_SIDE:
            raise NoPersonFound(f"{name} is too small ({image.shape[1]}x{image.shape[0]})", "give a picture of a person")
        view = View(image, 0)
        person = self._person(view, name)
        skeleton = self._skeleton(view, person)
        if person is None and skeleton is None and self._anybody:
            raise NoPersonFound(f"nobody was found in {name}", "give a picture in which a face or a whole body can be seen")
        landmarks = person.landmarks if person is not None else None
        return _Still(landmarks, skeleton, join_hands(find_hands(view, skeleton)), self._matte(view, skeleton))

    def _person(self, view: View, name: str) -> Person | None:
        people = self._finder.people(view, tiny=True)
        faces = [p for p in people if p.landmarks is not None]
        if len(faces) > 1:
            place = sorted(faces, key=lambda p: p.x).index(max(faces, key=lambda p: p.half)) + 1
            self._warn(f"{len(faces)} people found in {name}; taking the largest, number {place} from the left: crop for another")
        if not faces:
            faces = list(self._drawn(view))
        best = max(faces or people, key=lambda p: p.half, default=None)
        if best is None or best.landmarks is None:
            return best
        again = self._finder.mesh_at(view, best.x, best.y, best.half)
        return best if again is None else Person(*face_extent(again), again)

    def _drawn(self, view: View) -> Iterator[Person]:
        """A face that is not photographed: looked for at other sizes, with more contrast, and with less confidence.

        See `FaceFinder.sure_mesh_at` for the two margins.
        """
        for picture, scale in self._variants(view):
            for boxes in self._eager_boxes:
                for box in boxes(picture)[:2]:
                    x, y, half = box.x / scale, box.y / scale, box.half / scale
                    first, second = (self._eagerly(view, x, y, margin * half) for margin in (1.3, 1.8))
                    if first is None or second is None or not _is_face(first, view):
                        continue
                    if same_face(first, second):
                        yield Person(*face_extent(first), first)
                        return

    def _eagerly(self, view: View, x: float, y: float, half: float) -> F32 | None:
        """Landmarks (478, 3) px of whatever looks a little like a face."""
        region = face_region(x, y, half)
        found = self._eager_mesh(region.cut(view.rgb))
        return region.to_picture(found[0]) if found else None

    @staticmethod
    def _variants(view: View) -> Iterator[tuple[U8, float]]:
        """Pictures to look for drawn faces in, and their px per px of the view."""
        work = view.work
        stretched = np.empty_like(work)
        for channel in range(3):
            stretched[..., channel] = cv2.createCLAHE(3.0, (4, 4)).apply(np.ascontiguousarray(work[..., channel]))
        for picture in (work, stretched):
            yield picture, view.work_scale
            small = shrink(picture, 256)
            margin = 64
            padded = cv2.copyMakeBorder(small, 0, margin, 0, margin, cv2.BORDER_REPLICATE)
            yield padded, view.work_scale * small.shape[1] / picture.shape[1]

    def _skeleton(self, view: View, person: Person | None) -> Skeleton | None:
        """Joints in px of the picture; where a face is known, those of the body that carries it."""
        self._pose.forget()
        found = settled_pose(self._pose, view.work)
        if found is None or (person is None and not self._finder.skeleton(view.work)):
            return None
        joints = found.joints_2d / np.float32(view.work_scale)
        if person is not None and person.landmarks is not None:
            middle = joints[:11].mean(0)
            if np.hypot(middle[0] - person.x, middle[1] - person.y) > 2.5 * person.half:
                return None
        return Skeleton(joints, found.joints_3d, found.score)

    def _matte(self, view: View, skeleton: Skeleton | None) -> F32:
        """How much of each pixel is the person, (H, W), 0..1.

        The network for portraits looks at the whole picture, and takes legs, and what stands beside them, for half a person. That
        of the pose looks at the person alone, but knows little of hair and shoulders seen from near, and loses arms that hang
        before a bright wall: along arms both have their say.
        """
        if skeleton is None or skeleton.score[list(KNEES)].mean() <= _LEGS_SEEN or (body := self._pose.mask()) is None:
            return self._portrait(view.work, view.width, view.height)
        full = np.clip(cv2.resize(body, (view.width, view.height), interpolation=cv2.INTER_LINEAR), 0, 1).astype(np.float32)
        x0, y0, x1, y1 = _upper_half(skeleton, view)
        if min(x1 - x0, y1 - y0) < MIN_SIDE:
            return full
        upper = self._portrait(view.rgb[y0:y1, x0:x1], x1 - x0, y1 - y0)
        there = full[y0:y1, x0:x1]
        np.maximum(there, upper * _arms(skeleton, view)[y0:y1, x0:x1], out=there)
        return full

    def _portrait(self, picture: U8, width: int, height: int) -> F32:
        """What the network for portraits says of a picture, (height, width), 0..1."""
        mask = self._mask(shrink(picture, _MASK_SIDE))
        return np.clip(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1).astype(np.float32)

    def close(self) -> None:
        self._finder.close()
        for box in self._eager_boxes:
            box.close()
        self._eager_mesh.close()
        self._pose.close()
        self._mask.close()


def _upper_half(skeleton: Skeleton, view: View) -> tuple[int, int, int, int]:
    """First column and row of what a picture shows of a body from the hips up and of its arms, and one past the last, px."""
    joints = skeleton.joints_2d[: max(HIPS) + 1]
    low, high = joints.min(0), joints.max(0)
    margin = _MARGIN * float((high - low).max())
    x0, y0 = np.maximum(low - margin, 0).astype(int).tolist()
    return x0, y0, min(int(high[0] + margin), view.width), min(int(high[1] + margin), view.height)


def _arms(skeleton: Skeleton, view: View) -> F32:
    """1 along the arms that a picture shows well, 0 elsewhere, (H, W)."""
    out = np.zeros((view.height, view.width), np.uint8)
    joints = skeleton.joints_2d
    thick = _ARM * float(np.linalg.norm(joints[list(SHOULDERS)].mean(0) - joints[list(HIPS)].mean(0)))
    for bone in zip((*SHOULDERS, *ELBOWS), (*ELBOWS, *WRISTS), strict=True):
        if skeleton.score[list(bone)].min() > _ARM_SEEN:
            start, end = (tuple(np.rint(joints[joint]).astype(int).tolist()) for joint in bone)
            cv2.line(out, start, end, 255, max(round(thick), 1))
    return cv2.GaussianBlur(out, (0, 0), max(0.1 * thick, 0.3)).astype(np.float32) / 255


def _is_face(landmarks: F32, view: View) -> bool:
    """Whether a mesh that was found with little confidence has a face's proportions and lies in the picture."""
    width, height = np.ptp(landmarks[:468, :2], axis=0)
    x, y, half = face_extent(landmarks)
    inside = 0 <= x < view.width and 0 <= y < view.height and half > 6
    eyes = float(np.linalg.norm(landmarks[33, :2] - landmarks[263, :2]))
    return bool(inside and 0.45 < width / max(height, 1e-3) < 1.4 and eyes > 0.25 * width)
