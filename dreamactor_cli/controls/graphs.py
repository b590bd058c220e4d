"""The bundled mediapipe graphs behind numpy arrays; the only file that imports mediapipe.

Points come in pixels of the picture that was given. A graph is made at its first picture, silently.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any, NamedTuple

import numpy as np

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.quiet import quiet_stderr
from dreamactor_cli.errors import MissingRequirement


def _solutions() -> Any:
    """``mediapipe.solutions``, imported without matplotlib.

    mediapipe imports matplotlib for one plotting helper that is not used here; it is more than half of the import time of
    every worker, and it may print about fonts. An empty module stands in for it while mediapipe is imported.
    """
    if "mediapipe" in sys.modules:
        return sys.modules["mediapipe"].solutions
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    names = ("matplotlib", "matplotlib.pyplot")
    stand_ins = {name: types.ModuleType(name) for name in names if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        with quiet_stderr():
            import mediapipe
    except ImportError as error:
        raise MissingRequirement(f"mediapipe cannot be imported ({error})", "run `make` or install requirements.lock") from error
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)
    return mediapipe.solutions


_QUIET_FINDS = 2


class _Graph:
    """A mediapipe solution that is made late and quietly."""

    def __init__(self, module: str, kind: str, **options: Any) -> None:
        self._names = (module, kind)
        self._options = options
        self._solution: Any = None
        self._finds = 0

    def run(self, rgb: U8) -> Any:
        """Result of the solution for a picture (H, W, 3).

        Each stage of a graph chatters when it is reached first: at the start, with the first find, and when it follows one.
        """
        rgb = np.ascontiguousarray(rgb)
        if self._finds > _QUIET_FINDS:
            return self._solution.process(rgb)
        with quiet_stderr():
            if self._solution is None:
                module, kind = self._names
                self._solution = getattr(getattr(_solutions(), module), kind)(**self._options)
            result = self._solution.process(rgb)
        self._finds += any(getattr(result, name) is not None for name in result._fields)
        return result

    def forget(self, found: str) -> None:
        """Make the graph lose whom it follows, by black pictures until the output ``found`` is empty.

        What comes next is the same as from a new graph, which costs a second of start-up and memory that is not given back.
        """
        black = np.zeros((64, 64, 3), np.uint8)
        for _ in range(3):
            if getattr(self.run(black), found) is None:
                return
        self.close()

    def close(self) -> None:
        """Give back the graph; it is made again when it is used again."""
        if self._solution is not None:
            self._solution.close()
            self._solution, self._finds = None, 0


# A landmark with x, y, z and nothing else on the wire: a tag and length, then a tag and a float for each.
_LANDMARK = np.dtype([("head", "S2"), ("tx", "u1"), ("x", "<f4"), ("ty", "u1"), ("y", "<f4"), ("tz", "u1"), ("z", "<f4")])


def _points(landmarks: Any, width: float, height: float) -> F32:
    """(N, 3) px; z in the scale of x."""
    size = np.array([width, height, width], np.float32)
    wire, count = landmarks.SerializeToString(), len(landmarks.landmark)
    if len(wire) == count * _LANDMARK.itemsize:  # ten times as fast as asking for each number
        read = np.frombuffer(wire, _LANDMARK)
        return np.stack([read["x"], read["y"], read["z"]], 1) * size
    flat = [value for p in landmarks.landmark for value in (p.x, p.y, p.z)]
    return np.array(flat, np.float32).reshape(-1, 3) * size


class FaceMesh:
    """478 landmarks of one or more faces, with irises."""

    def __init__(self, *, static: bool = False, faces: int = 1, detection: float = 0.5, tracking: float = 0.5) -> None:
        self._graph = _Graph(
            "face_mesh", "FaceMesh", static_image_mode=static, refine_landmarks=True, max_num_faces=faces,
            min_detection_confidence=detection, min_tracking_confidence=tracking,
        )  # fmt: skip

    def __call__(self, rgb: U8) -> list[F32]:
        """Landmarks (478, 3) px of each face."""
        found = self._graph.run(rgb).multi_face_landmarks or []
        return [_points(face, rgb.shape[1], rgb.shape[0]) for face in found]

    def forget(self) -> None:
        """Follow nobody any longer."""
        self._graph.forget("multi_face_landmarks")

    def close(self) -> None:
        """Give back the graph."""
        self._graph.close()


class Box(NamedTuple):
    """A detected face: centre and half of the larger side in px, and confidence 0..1."""

    x: float
    y: float
    half: float
    score: float


class FaceDetector:
    """Face boxes. The short range finds large faces (and drawn ones), the full range smaller ones."""

    def __init__(self, *, full_range: bool, confidence: float = 0.5) -> None:
        self._graph = _Graph(
            "face_detection", "FaceDetection", model_selection=int(full_range), min_detection_confidence=confidence
        )  # fmt: skip

    def __call__(self, rgb: U8) -> list[Box]:
        """Boxes, best first."""
        height, width = rgb.shape[:2]
        boxes = []
        for detection in self._graph.run(rgb).detections or []:
            b = detection.location_data.relative_bounding_box
            half = max(b.width * width, b.height * height) / 2
            boxes.append(Box((b.xmin + b.width / 2) * width, (b.ymin + b.height / 2) * height, half, float(detection.score[0])))
        return sorted(boxes, key=lambda box: -box.score)

    def close(self) -> None:
        """Give back the graph."""
        self._graph.close()


class Skeleton(NamedTuple):
    """A body: joints (33, 2) px, (33, 3) m, and visibility (33,) 0..1."""

    joints_2d: F32
    joints_3d: F32
    score: F32


class Pose:
    """The 33 BlazePose joints of one person."""

    def __init__(self, *, static: bool = False, detection: float = 0.5, tracking: float = 0.5) -> None:
        self._graph = _Graph(
            "pose", "Pose", static_image_mode=static, model_complexity=1, smooth_landmarks=False,
            min_detection_confidence=detection, min_tracking_confidence=tracking,
        )  # fmt: skip

    def __call__(self, rgb: U8) -> Skeleton | None:
        """The person, if one is found."""
        result = self._graph.run(rgb)
        if not result.pose_landmarks or not result.pose_world_landmarks:
            return None
        score = np.array([p.visibility for p in result.pose_landmarks.landmark], np.float32)
        flat = _points(result.pose_landmarks, rgb.shape[1], rgb.shape[0])
        return Skeleton(flat[:, :2], _points(result.pose_world_landmarks, 1, 1), score)

    def forget(self) -> None:
        """Follow nobody any longer."""
        self._graph.forget("pose_landmarks")

    def close(self) -> None:
        """Give back the graph."""
        self._graph.close()


class Hand(NamedTuple):
    """A hand: joints (21, 2) px, (21, 3) m about its centre, and confidence 0..1."""

    joints_2d: F32
    joints_3d: F32
    score: float


class HandMesh:
    """The 21 joints of one hand in a crop."""

    def __init__(self, *, static: bool = False) -> None:
        self._graph = _Graph("hands", "Hands", static_image_mode=static, max_num_hands=1, model_complexity=1)

    def __call__(self, rgb: U8) -> Hand | None:
        """The hand, if one is found."""
        result = self._graph.run(rgb)
        if not result.multi_hand_landmarks:
            return None
        flat = _points(result.multi_hand_landmarks[0], rgb.shape[1], rgb.shape[0])
        score = float(result.multi_handedness[0].classification[0].score)
        return Hand(flat[:, :2], _points(result.multi_hand_world_landmarks[0], 1, 1), score)

    def forget(self) -> None:
        """Follow nobody any longer."""
        self._graph.forget("multi_hand_landmarks")

    def close(self) -> None:
        """Give back the graph."""
        self._graph.close()


class PersonMask:
    """How much of each pixel is a person.

    Args:
        landscape: use the network of 144 x 256 px, for wide pictures; else the one of 256 x 256.
    """

    def __init__(self, *, landscape: bool = False) -> None:
        self._graph = _Graph("selfie_segmentation", "SelfieSegmentation", model_selection=int(landscape))

    def __call__(self, rgb: U8) -> F32:
        """Mask (H, W), 0..1."""
        return np.asarray(self._graph.run(rgb).segmentation_mask, np.float32)

    def close(self) -> None:
        """Give back the graph."""
        self._graph.close()
