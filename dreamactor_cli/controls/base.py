"""What every extractor is, and what extractors share while they go through a chunk of frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from dreamactor_cli.contracts import F32
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.finder import FaceFinder
from dreamactor_cli.controls.graphs import FaceMesh, Pose, Skeleton
from dreamactor_cli.controls.tracking import FaceTracker, PoseTracker
from dreamactor_cli.controls.view import View

if TYPE_CHECKING:
    from dreamactor_cli.controls.mesh_refine import MeshRefiner

Arrays = dict[str, Any]  # arrays of a chunk by field name, (T, ...)


class Tools:
    """Trackers that several extractors of one chunk use; each runs at most once a frame, and only if somebody asks.

    Args:
        clip: that is measured.
        kept: what one process makes once for all chunks of the clip, see `keep`.
    """

    def __init__(self, clip: Clip, kept: dict[str, Any]) -> None:
        self.clip = clip
        self._kept = kept
        self._seen: dict[str, tuple[int, Any]] = {}

    @cached_property
    def _faces(self) -> FaceTracker:
        return FaceTracker(self.clip, self.keep("face mesh", FaceMesh), self.keep("finder", FaceFinder))

    @cached_property
    def _poses(self) -> PoseTracker:
        return PoseTracker(self.clip, self.keep("pose", Pose))

    @cached_property
    def _refiner(self) -> MeshRefiner | None:
        if self.clip.landmarks is None:
            return None
        from dreamactor_cli.controls.mesh_refine import MeshRefiner  # compiles; not needed by who only reads the cache

        refiner: MeshRefiner = self.keep("refiner", lambda: MeshRefiner(self.clip.picture, np.asarray(self.clip.landmarks)))
        return refiner

    def keep(self, name: str, make: Callable[[], Any]) -> Any:
        """What depends on the clip alone and remembers nothing of the frames that it has seen: made once a process."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def _once(self, name: str, view: View, measure: Any) -> Any:
        if name not in self._seen or self._seen[name][0] != view.index:
            self._seen[name] = (view.index, measure(view))
        return self._seen[name][1]

    def face(self, view: View) -> F32 | None:
        """Landmarks of the subject's face, (478, 3) px, refined by flow."""
        landmarks: F32 | None = self._once("face", view, self._face)
        return landmarks

    def _face(self, view: View) -> F32 | None:
        landmarks = self._faces.track(view)
        if view.index == self.clip.reference:
            return self.clip.landmarks
        if landmarks is None or self._refiner is None:
            return landmarks
        return self._refiner.refine(view.rgb, landmarks)

    def pose(self, view: View) -> Skeleton | None:
        """The subject's skeleton."""
        skeleton: Skeleton | None = self._once("pose", view, self._poses.track)
        return skeleton

    @property
    def pose_is_measured(self) -> bool:
        """Whether the last `pose` is of that frame, and not of one before while the body is still."""
        return self._poses.measured


class Extractor(Protocol):
    """Measures one signal, frame after frame of one chunk.

    Attributes:
        version: part of the cache key; goes up with every change of the result.
        parameters: what else the result depends on, for the cache key.
        held: fields that repeat their last good value where ``score`` is 0.
        after_cut: fields that make no sense after a scene cut, with the value that they get there.
    """

    version: ClassVar[str]
    parameters: ClassVar[Mapping[str, object]]
    held: ClassVar[tuple[str, ...]]
    after_cut: ClassVar[Mapping[str, np.ndarray]]

    def __init__(self, clip: Clip, tools: Tools) -> None: ...

    @staticmethod
    def whole(clip: Clip) -> Arrays:
        """Fields without a T."""

    @staticmethod
    def unseen(clip: Clip) -> Arrays:
        """What to hold, without T, where nothing is seen in the whole clip; fields that are left out stay 0."""

    def measure(self, view: View) -> Arrays | None:
        """Arrays of one frame, without T; None where there is nothing."""

    def stack(self, frames: Sequence[Arrays | None]) -> Arrays:
        """Arrays (T, ...) of the chunk, ``score`` among them (0 where there is nothing)."""


class Plain:
    """Defaults of an extractor that needs nothing beyond `measure` and `stack`."""

    held: ClassVar[tuple[str, ...]] = ()
    after_cut: ClassVar[Mapping[str, np.ndarray]] = {}

    @staticmethod
    def whole(clip: Clip) -> Arrays:  # noqa: ARG004
        """Fields without a T: none."""
        return {}

    @staticmethod
    def unseen(clip: Clip) -> Arrays:  # noqa: ARG004
        """What to hold where nothing was ever seen: zeros."""
        return {}


def stack_frames(frames: Sequence[Arrays | None], shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """Frames stacked to (T, ...) float32; zeros where there is nothing."""
    out = {name: np.zeros((len(frames), *shape), np.float32) for name, shape in shapes.items()}
    for t, frame in enumerate(frames):
        if frame is not None:
            for name in shapes:
                out[name][t] = frame[name]
    return out
