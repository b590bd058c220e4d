"""Streams of controls for a face that speaks: its own life as a driver, and the mouth on whatever moves the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, ControlStream, Speech
from dreamactor_cli.motion import perform
from dreamactor_cli.retarget.regions import expression_weights
from dreamactor_cli.speech_face.mouth import MOUTH_COLUMNS, Mouth
from dreamactor_cli.speech_face.tracks import MouthTracks

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Curves as a `ControlStream` in driving space, made window by window.

    Attributes:
        curves: by `motion.CURVE_NAMES`, (T,) each.
        name: what is performed.
    """

    curves: Mapping[str, Array]
    num_frames: int
    fps: Fraction
    width: int
    height: int
    name: str

    def window(self, start: int, stop: int) -> Controls:
        """See `ControlStream`."""
        start, stop = max(start, 0), max(min(stop, self.num_frames), 0)
        return perform(
            self.curves, fps=self.fps, width=self.width, height=self.height, name=self.name, start=start, stop=max(stop, start)
        )


class SpeakingStream:
    """A `ControlStream` in the reference's space whose mouth says what was heard.

    Args:
        moved: controls of the reference as something else moves it; its own movement of the mouth is left out.
        reference: controls of the reference pictures; frame 0 counts.
        tracks: what the mouth does, one row a frame; they set the length.
    """

    def __init__(self, moved: ControlStream, reference: Controls, tracks: MouthTracks) -> None:
        assert reference.face is not None  # a reference has a face, or was refused
        self.num_frames = len(tracks)
        self.fps, self.width, self.height = moved.fps, moved.width, moved.height
        self._moved, self._tracks = moved, tracks
        self.notices: tuple[str, ...] = getattr(moved, "notices", ())
        self._face = (reference.face.identity + reference.face.expression[0]).astype(np.float64)
        self._mouth = Mouth(self._face)
        self._still = 1 - expression_weights(("mouth",))[:, None]

    def window(self, start: int, stop: int) -> Controls:
        """See `ControlStream`."""
        start, stop = max(start, 0), min(stop, self.num_frames)
        last = self._moved.num_frames - 1
        # A rate that does not divide may leave the driver one frame short: the last one is held.
        controls = _held(self._moved.window(min(start, last), min(stop, last + 1)), stop - start)
        face, head = controls.face, controls.head
        assert face is not None and head is not None  # retargeted controls have both
        displacement, weights = self._mouth.shape(self._tracks, start, stop)
        canonical = self._face + self._still * (face.identity + face.expression - self._face) + displacement
        pose = head_space.pose_of_sphere(head.center, head.radius, head.rotation)
        blendshapes = face.blendshapes.copy()
        blendshapes[:, MOUTH_COLUMNS] = weights[:, MOUTH_COLUMNS]
        spoken = replace(
            face, landmarks=head_space.to_image(canonical, pose).astype(np.float32),
            expression=(canonical - face.identity).astype(np.float32), blendshapes=blendshapes,
        )  # fmt: skip
        speech = Speech(
            articulation=np.ascontiguousarray(self._tracks.articulation[start:stop]),
            activity=self._tracks.activity[start:stop].astype(np.float32),
        )
        return replace(controls, face=spoken, speech=speech)


def _held(controls: Controls, frames: int) -> Controls:
    """Controls of a window, lengthened by its last frame."""
    if controls.num_frames == frames:
        return controls
    return take(controls, np.minimum(np.arange(frames), controls.num_frames - 1))


def take(controls: Controls, rows: NDArray[np.int64]) -> Controls:
    """Some frames of controls, in any order, again and again if need be."""
    picked = {}
    for name, signal in controls.signals().items():
        arrays = {field: array[rows] if signal.SHAPES[field][0] == "T" else array for field, array in signal.arrays().items()}
        picked[name] = replace(signal, **arrays)  # type: ignore[type-var]
    return replace(controls, num_frames=len(rows), **picked)  # type: ignore[arg-type]
