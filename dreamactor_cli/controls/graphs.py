"""The bundled mediapipe graphs behind numpy arrays; the only file that imports mediapipe.

Points come in pixels of the picture that was given. A graph is made at its first picture, silently.
"""

from __future__ import annotations

import os
import sys
import types
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.errors import MissingRequirement
from dreamactor_cli.quiet import quiet_stderr

# What mediapipe imports and nothing here uses: with it the import takes three times as long, in every worker.
_UNUSED = ("matplotlib", "matplotlib.pyplot", "mediapipe.python.solutions.download_utils")
_INSTALL = "run `make` or install requirements.lock"


class _Bare(types.ModuleType):
    """A package whose ``__init__`` is not run: what is in it is imported when it is asked for.

    Somebody else in this process may ask for what only its ``__init__`` makes, like ``mediapipe.solutions``: then it is run.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return import_module(f"{self.__name__}.{name}")
        except ModuleNotFoundError:
            self.__class__ = types.ModuleType  # type: ignore[assignment]  # a package like any other from now on
            SourceFileLoader(self.__name__, str(Path(self.__path__[0], "__init__.py"))).exec_module(self)
            return getattr(self, name)


def _solution(module: str) -> Any:
    """A module of ``mediapipe.python.solutions``, imported without the others and without `_UNUSED`."""
    with quiet_stderr():  # one thread at a time
        stand_ins = {name: types.ModuleType(name) for name in _UNUSED if name not in sys.modules}
        sys.modules.update(stand_ins)
        try:
            _bare_packages()
            return import_module(f"mediapipe.python.solutions.{module}")
        except ImportError as error:
            raise MissingRequirement(f"mediapipe cannot be imported ({error})", _INSTALL) from error
        finally:
            for name in stand_ins:
                sys.modules.pop(name, None)


def _bare_packages() -> None:
    """Put the packages above the solutions into place, unless somebody has imported mediapipe already."""
    if "mediapipe" in sys.modules:
        return
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    spec = find_spec("mediapipe")
    if spec is None or not spec.submodule_search_locations:
        raise MissingRequirement("mediapipe is not installed", _INSTALL)
    for name in ("mediapipe", "mediapipe.python.solutions"):
        package = _Bare(name)
        package.__path__ = [str(Path(spec.submodule_search_locations[0], *name.split(".")[1:]))]
        sys.modules[name] = package


def _lean(kind: Any) -> Any:
    """A solution that runs on the thread that asks it: the callers run one process a core."""

    class Lean(kind):
        def _initialize_graph_interface(self, *arguments: Any) -> Any:
            config = super()._initialize_graph_interface(*arguments)
            default = config.executor[0] if len(config.executor) else config.executor.add()
            default.type = "ApplicationThreadExecutor"
            return config

        def results(self, rgb: U8) -> dict[str, Any]:
            """Outputs by name, None where there is nothing; `process` makes a new class for them at every call."""
            self._graph_outputs.clear()
            self._simulated_timestamp += 33333
            ((stream, type_),) = self._input_stream_type_info.items()
            packet = self._make_packet(type_, rgb).at(self._simulated_timestamp)
            self._graph.add_packet_to_input_stream(stream=stream, packet=packet)
            self._graph.wait_until_idle()
            found = self._graph_outputs
            types = self._output_stream_type_info.items()
            return {name: self._get_packet_content(type_, found[name]) if name in found else None for name, type_ in types}

    return Lean


_QUIET_FINDS = 2
BLACK = np.zeros((64, 64, 3), np.uint8)  # nobody is in it


class _Graph:
    """A mediapipe solution that is made late and quietly."""

    def __init__(self, module: str, kind: str, **options: Any) -> None:
        self._names = (module, kind)
        self._options = options
        self._solution: Any = None
        self._finds = 0
        self._found: dict[str, Any] = {}  # at the last picture

    def run(self, rgb: U8) -> dict[str, Any]:
        """Results of the solution for a picture (H, W, 3), by name; None where there is nothing.

        Each stage of a graph chatters when it is reached first: at the start, with the first find, and when it follows one.
        """
        rgb = np.ascontiguousarray(rgb)
        if self._finds > _QUIET_FINDS:
            self._found = self._solution.results(rgb)
            return self._found
        with quiet_stderr():
            if self._solution is None:
                module, kind = self._names
                self._solution = _lean(getattr(_solution(module), kind))(**self._options)
            self._found = self._solution.results(rgb)
        self._finds += any(value is not None for value in self._found.values())
        return self._found

    def found(self, output: str) -> Any:
        """An output for the last picture; None if there was nothing."""
        return self._found.get(output)

    def forget(self, output: str) -> None:
        """Make the graph lose whom it follows, by black pictures until the output is empty.

        What comes next is the same as from a new graph, which costs a second of start-up and memory that is not given back.
        """
        for _ in range(3):
            if self._found.get(output) is None:
                return
            self.run(BLACK)
        self.close()

    def close(self) -> None:
        """Give back the graph; it is made again when it is used again."""
        if self._solution is not None:
            self._solution.close()
            self._solution, self._finds, self._found = None, 0, {}


# A landmark on the wire, if all is there: a tag and length, then a tag and a float for each of the fields.
_FIELDS = ("x", "y", "z", "visibility", "presence")
_WIRE = {n: np.dtype([("head", "S2"), *(f for k in _FIELDS[:n] for f in ((f"tag {k}", "u1"), (k, "<f4")))]) for n in (3, 5)}


def _values(landmarks: Any, *names: str) -> F32:
    """Fields of landmarks, (N, len(names))."""
    wire, count = landmarks.SerializeToString(), len(landmarks.landmark)
    for layout in _WIRE.values():
        if len(wire) == count * layout.itemsize and set(names) <= set(layout.names or ()):
            read = np.frombuffer(wire, layout)  # ten times as fast as asking for each number
            return np.stack([read[name] for name in names], 1)
    return np.array([[getattr(p, name) for name in names] for p in landmarks.landmark], np.float32)


def _points(landmarks: Any, width: float, height: float) -> F32:
    """(N, 3) px; z in the scale of x."""
    return _values(landmarks, "x", "y", "z") * np.array([width, height, width], np.float32)


class FaceMesh:
    """478 landmarks of one or more faces, with irises."""

    def __init__(self, *, static: bool = False, faces: int = 1, detection: float = 0.5, tracking: float = 0.5) -> None:
        self._static = static
        self._graph = _Graph(
            "face_mesh", "FaceMesh", static_image_mode=static, refine_landmarks=True, max_num_faces=faces,
            min_detection_confidence=detection, min_tracking_confidence=tracking,
        )  # fmt: skip

    def __call__(self, rgb: U8) -> list[F32]:
        """Landmarks (478, 3) px of each face."""
        found = self._graph.run(rgb)["multi_face_landmarks"] or []
        return [_points(face, rgb.shape[1], rgb.shape[0]) for face in found]

    def prepare(self) -> None:
        """Make the graph now and not at the first picture."""
        self._graph.run(BLACK)

    def forget(self) -> None:
        """Follow nobody any longer."""
        if not self._static:
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
        for detection in self._graph.run(rgb)["detections"] or []:
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
    """The 33 BlazePose joints of one person.

    Args:
        static: every picture is of somebody else.
        detection, tracking: least confidence.
        masked: also tell which pixels show the person, see `mask`.
    """

    def __init__(self, *, static: bool = False, detection: float = 0.5, tracking: float = 0.5, masked: bool = False) -> None:
        self._graph = _Graph(
            "pose", "Pose", static_image_mode=static, model_complexity=1, smooth_landmarks=False,
            min_detection_confidence=detection, min_tracking_confidence=tracking, enable_segmentation=masked,
            smooth_segmentation=False,
        )  # fmt: skip

    def __call__(self, rgb: U8) -> Skeleton | None:
        """The person, if one is found."""
        result = self._graph.run(rgb)
        if not result["pose_landmarks"] or not result["pose_world_landmarks"]:
            return None
        score = _values(result["pose_landmarks"], "visibility")[:, 0]
        flat = _points(result["pose_landmarks"], rgb.shape[1], rgb.shape[0])
        return Skeleton(flat[:, :2], _points(result["pose_world_landmarks"], 1, 1), score)

    def mask(self) -> F32 | None:
        """How much of each pixel of the last picture is the person that was found, (H, W), 0..1; None if nobody was."""
        mask = self._graph.found("segmentation_mask")
        return None if mask is None else np.clip(np.asarray(mask, np.float32), 0, 1)

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
        if not result["multi_hand_landmarks"]:
            return None
        flat = _points(result["multi_hand_landmarks"][0], rgb.shape[1], rgb.shape[0])
        score = float(result["multi_handedness"][0].classification[0].score)
        return Hand(flat[:, :2], _points(result["multi_hand_world_landmarks"][0], 1, 1), score)

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
        return np.asarray(self._graph.run(rgb)["segmentation_mask"], np.float32)

    def close(self) -> None:
        """Give back the graph."""
        self._graph.close()
