"""The signals that are measured and drawn, and what they are bundled in: controls, their streams, the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

Space = Literal["driving", "reference"]


class Signal:
    """Checks shapes and dtypes of a signal when it is made, and cuts windows out of it.

    A subclass names in ``SHAPES`` the shape of each array field; ``"T"`` stands for the number of frames.
    """

    __slots__ = ()
    SHAPES: Mapping[str, tuple[int | str, ...]]
    DTYPES: Mapping[str, type] = {}

    def __post_init__(self) -> None:
        frames: int | None = None
        for name, shape in self.SHAPES.items():
            array = getattr(self, name)
            label = f"{type(self).__name__}.{name}"
            if not isinstance(array, np.ndarray):
                raise TypeError(f"{label} must be an array, not {type(array).__name__}")
            want: np.dtype[np.generic] = np.dtype(self.DTYPES.get(name, np.float32))
            if array.dtype != want:
                raise TypeError(f"{label} must be {want}, not {array.dtype}")
            if array.ndim != len(shape):
                raise ValueError(f"{label} must have shape {shape}, not {array.shape}")
            for have, need in zip(array.shape, shape, strict=True):
                if need == "T":
                    frames = have if frames is None else frames
                    need = frames
                if isinstance(need, int) and have != need:
                    raise ValueError(f"{label} must have shape {shape} with T={frames}, not {array.shape}")

    @property
    def num_frames(self) -> int:
        """T."""
        name = next(n for n, s in self.SHAPES.items() if s[0] == "T")
        return len(getattr(self, name))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All array fields by name."""
        return {name: getattr(self, name) for name in self.SHAPES}

    def window(self, start: int, stop: int) -> Self:
        """Frames start..stop-1; fields without a T stay whole."""
        cut = {n: getattr(self, n)[start:stop] for n, s in self.SHAPES.items() if s[0] == "T"}
        return replace(self, **cut)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True, kw_only=True)
class Face(Signal):
    """Face mesh, expression and gaze.

    Attributes:
        landmarks: (T, 478, 3), px; z in the same scale.
        expression: (T, 478, 3), canonical head space, inter-ocular units: pose and identity removed.
        identity: (478, 3), the canonical shape that was subtracted: ``canonical = identity + expression``.
        blendshapes: (T, 52), 0..1, in the order of `BLENDSHAPES`.
        gaze: (T, 2, 2), rad: picture's left and right eye; positive x to the picture's right, positive y down.
        score: (T,), 1 where a face was seen, 0 where the last one is held.
    """

    landmarks: F32
    expression: F32
    identity: F32
    blendshapes: F32
    gaze: F32
    score: F32
    SHAPES = {  # noqa: RUF012
        "landmarks": ("T", 478, 3), "expression": ("T", 478, 3), "identity": (478, 3), "blendshapes": ("T", 52),
        "gaze": ("T", 2, 2), "score": ("T",),
    }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Head(Signal):
    """The 3D head sphere, and image motion measured where the sphere is too coarse.

    Attributes:
        rotation: (T, 3, 3), canonical head space to camera.
        center: (T, 2), px. See `dreamactor_cli.head_space.sphere_of`.
        radius: (T,), px.
        score: (T,), 1 where a head was seen.
        head_2d: (T, 2, 3), similarity that corrects where the sphere puts hair and skull of frame 0 to where they are seen;
            identity from our own extractor, whose field says it better. px.
        torso_2d: (T, 2, 3), similarity from the torso of frame 0 to this frame, by optical flow. px.
        field: (T, 15, 17, 2), inter-ocular units: what is left of the motion of hair and shoulders, on `person_space`'s grid.
    """

    rotation: F32
    center: F32
    radius: F32
    score: F32
    head_2d: F32
    torso_2d: F32
    field: F32
    SHAPES = {  # noqa: RUF012
        "rotation": ("T", 3, 3), "center": ("T", 2), "radius": ("T",), "score": ("T",), "head_2d": ("T", 2, 3),
        "torso_2d": ("T", 2, 3), "field": ("T", 15, 17, 2),
    }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Body(Signal):
    """The skeleton, 33 joints in BlazePose order.

    Attributes:
        joints_2d: (T, 33, 2), px.
        joints_3d: (T, 33, 3), metres, origin between the hips.
        score: (T, 33), visibility 0..1; 0 in all joints where nobody was seen.
    """

    joints_2d: F32
    joints_3d: F32
    score: F32
    SHAPES = {"joints_2d": ("T", 33, 2), "joints_3d": ("T", 33, 3), "score": ("T", 33)}  # noqa: RUF012


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands(Signal):
    """Both hands, 21 joints each; index 0 is the person's left hand.

    Attributes:
        joints_2d: (T, 2, 21, 2), px.
        joints_3d: (T, 2, 21, 3), metres, origin at the hand's centre.
        score: (T, 2), 0..1; 0 where the hand was not seen.
    """

    joints_2d: F32
    joints_3d: F32
    score: F32
    SHAPES = {"joints_2d": ("T", 2, 21, 2), "joints_3d": ("T", 2, 21, 3), "score": ("T", 2)}  # noqa: RUF012


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance(Signal):
    """What carries the driver's pixels: separate, optional, and off when a score is taken.

    Attributes:
        mouth: (T, 48, 96, 3), RGB, the inner mouth warped to a fixed layout (see `controls.appearance`).
        shading: (T, 64, 64, 3), ratio of blurred face colour to frame 0 over the template's UV, 128 = 1, 0..255 = 0..2.
    """

    mouth: U8
    shading: U8
    SHAPES = {"mouth": ("T", 48, 96, 3), "shading": ("T", 64, 64, 3)}  # noqa: RUF012
    DTYPES = {"mouth": np.uint8, "shading": np.uint8}  # noqa: RUF012


# Columns of `Speech.articulation`: opening of the lips, drop of the jaw, width of the mouth, rounding, pressing the lips
# together, raising the upper lip, lower lip to the teeth, tongue to the teeth, teeth that show.
SPEECH_CHANNELS = ("aperture", "jaw", "width", "rounding", "closure", "upper_lip", "lip_tuck", "tongue", "teeth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech(Signal):
    """What the mouth does, heard in sound.

    Attributes:
        articulation: (T, 9), 0..1 but for the width, which is -1 (pursed) to 1 (spread); columns `SPEECH_CHANNELS`.
        activity: (T,), 0..1, how much of the sound is speech.
    """

    articulation: F32
    activity: F32
    SHAPES = {"articulation": ("T", 9), "activity": ("T",)}  # noqa: RUF012


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Control signals of one clip, or of a window of it. All signals have the same T."""

    num_frames: int
    fps: Fraction
    width: int
    height: int
    space: Space = "driving"
    face: Face | None = None
    head: Head | None = None
    body: Body | None = None
    hands: Hands | None = None
    appearance: Appearance | None = None
    speech: Speech | None = None
    source_sha256: str = ""
    extractor_versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_frames < 0 or self.width < 1 or self.height < 1 or self.fps <= 0:
            raise ValueError("Controls need a size, a frame rate and a number of frames")
        for name, signal in self.signals().items():
            if signal.num_frames != self.num_frames:
                raise ValueError(f"Controls.{name} has {signal.num_frames} frames, not {self.num_frames}")

    def signals(self) -> dict[str, Signal]:
        """The signals that are there, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Signal)}

    def window(self, start: int, stop: int) -> Controls:
        """Frames start..stop-1 of every signal."""
        start, stop = max(start, 0), min(stop, self.num_frames)
        cut: dict[str, Signal] = {name: signal.window(start, stop) for name, signal in self.signals().items()}
        return replace(self, num_frames=stop - start, **cut)  # type: ignore[arg-type]


@runtime_checkable
class ControlStream(Protocol):
    """Control signals that are read window by window, so that memory does not grow with the clip.

    `Controls` is one itself; `controls_file.StoredControls` reads from disk.
    """

    @property
    def num_frames(self) -> int: ...
    @property
    def fps(self) -> Fraction: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...

    def window(self, start: int, stop: int) -> Controls:
        """Controls of frames start..stop-1, clipped to the clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The person to animate.

    Attributes:
        images: (N, H, W, 3), RGB; [0] is the identity, the rest are complementary views.
        controls: signals of the images, T = N.
        matte: (N, H, W), 0..1, how much of each pixel is the person.
    """

    images: U8
    controls: Controls
    matte: F32

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] != 3:
            raise ValueError("Reference.images must be uint8 (N, H, W, 3)")
        if self.matte.shape != self.images.shape[:3] or self.matte.dtype != np.float32:
            raise ValueError("Reference.matte must be float32 (N, H, W)")
        if self.controls.num_frames != len(self.images):
            raise ValueError("Reference.controls must have one frame an image")
