"""What every extractor is, and what extractors share while they go through a chunk of frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

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
T = TypeVar("T")


class Tools:
    """Trackers that several extractors of one chunk use; each runs at most once for a batch of frames, and only if somebody asks.

    Args:
        clip: that is measured.
        kept: what one process makes once for all chunks of the clip, see `keep`.
    """

    def __init__(self, clip: Clip, kept: dict[str, Any]) -> None:
        self.clip = clip
        self._kept = kept
        self._seen: dict[str, tuple[Sequence[View], Any]] = {}

    @cached_property
    def _faces(self) -> FaceTracker:
        mesh = self.keep("face mesh", FaceMesh)
        return FaceTracker(self.clip, mesh, self.keep("finder", lambda: FaceFinder(mesh)))

    @cached_property
    def _poses(self) -> PoseTracker:
        return PoseTracker(self.clip, self.keep("pose", Pose))

    @cached_property
    def _refiner(self) -> MeshRefiner | None:
        if self.clip.landmarks is None:
            return None
        from dreamactor_cli.controls.mesh_refine import MeshRefiner  # compiles; not needed by who only reads the cache

        view = View(self.clip.picture, self.clip.reference)
        refiner: MeshRefiner = self.keep("refiner", lambda: MeshRefiner(view, np.asarray(self.clip.landmarks)))
        return refiner

    def keep(self, name: str, make: Callable[[], Any]) -> Any:
        """What depends on the clip alone and remembers nothing of the frames that it has seen: made once a process."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def _once(self, name: str, views: Sequence[View], measure: Callable[[], list[T]]) -> list[T]:
        if name not in self._seen or self._seen[name][0] is not views:
            self._seen[name] = (views, measure())
        found: list[T] = self._seen[name][1]
        return found

    def track_face(self, views: Sequence[View]) -> list[F32 | None]:
        """Landmarks of the subject's face, (478, 3) px, as the network sees them."""
        return self._once("track", views, lambda: [self._faces.track(view) for view in views])

    def faces(self, views: Sequence[View]) -> list[F32 | None]:
        """Landmarks of the subject's face, (478, 3) px, refined by flow."""
        return self._once("face", views, lambda: self._refined(views))

    def _refined(self, views: Sequence[View]) -> list[F32 | None]:
        found = list(self.track_face(views))
        seen = [k for k, landmarks in enumerate(found) if landmarks is not None]
        if seen and self._refiner is not None:
            meshes = np.stack([np.asarray(found[k]) for k in seen])
            for k, refined in zip(seen, self._refiner.refine([views[k] for k in seen], meshes), strict=True):
                found[k] = refined
        return [self.clip.landmarks if v.index == self.clip.reference else f for v, f in zip(views, found, strict=True)]

    def poses(self, views: Sequence[View]) -> list[tuple[Skeleton | None, bool]]:
        """The subject's skeleton, and whether it is measured in that frame; if not it is the one before, the body being still."""
        return self._once("pose", views, lambda: [(self._poses.track(view), self._poses.measured) for view in views])

    @property
    def late_poses(self) -> Mapping[int, Skeleton]:
        """Skeletons by number of the frame that were measured after their turn: they go before those of `poses`."""
        return self._poses.late


class Extractor(Protocol):
    """Measures one signal in the frames of one chunk, which come in order, in batches.

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

    def settle(self, views: Sequence[View]) -> None:
        """Take note of the frames before the chunk."""

    def measure(self, views: Sequence[View]) -> list[Arrays | None]:
        """Arrays of some consecutive frames, without T, frame by frame; None where there is nothing."""

    def stack(self, frames: Sequence[Arrays | None]) -> Arrays:
        """Arrays (T, ...) of the chunk, ``score`` among them (0 where there is nothing)."""


class Plain(ABC):
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

    def settle(self, views: Sequence[View]) -> None:
        """Take note of the frames before the chunk: by measuring them."""
        self.measure(views)

    @abstractmethod
    def measure(self, views: Sequence[View]) -> list[Arrays | None]:
        """Arrays of frames; see `Extractor`."""


def stack_frames(frames: Sequence[Arrays | None], shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """Frames stacked to (T, ...) float32; zeros where there is nothing."""
    out = {name: np.zeros((len(frames), *shape), np.float32) for name, shape in shapes.items()}
    for t, frame in enumerate(frames):
        if frame is not None:
            for name in shapes:
                out[name][t] = frame[name]
    return out
