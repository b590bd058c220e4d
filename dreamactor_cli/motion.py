"""Built-in and custom motions: key-framed control curves that drive a face without a video.

A motion is a TOML file::

    name = "nod"
    description = "Nods twice."
    duration = 2.0                  # seconds
    loop = true                     # begins again when a longer duration is asked for; otherwise the last pose is held
    [curves.headPitch]              # degrees, the nose goes down
    times = [0.0, 0.4, 0.8]         # seconds, increasing
    values = [0.0, 8.0, 0.0]        # before the first and after the last key the value is held
    ease = "smooth"                 # or "linear"; smooth never overshoots
    [layers]                        # optional, seeded
    blink_rate = 12                 # a minute
    saccades = 1.0                  # strength
    sway = 1.0                      # strength
    eye_contact = 1.0               # the eyes stay with the camera when the head turns

Curves are the ARKit blendshapes (``jawOpen``, ``mouthSmileLeft``; without ``Left`` and ``Right`` both sides: ``mouthSmile``)
from 0 to 1, the `CHANNELS`, and of the body the joint angles of `motion_body` (``leftElbow``; ``elbow`` is both).
Retargeting is relative to the first frame, so a motion begins with all curves at 0.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dreamactor_cli import head_space, motion_body, motion_keys, motion_layers, nearest, person_space
from dreamactor_cli.contracts import BLENDSHAPES, Controls, Face, Head
from dreamactor_cli.controls import blendshapes
from dreamactor_cli.controls.gaze import gaze_angles
from dreamactor_cli.errors import InputRefused, UnreadableInput, UnsafeInput, UsageError
from dreamactor_cli.resources import presets_dir

Array = NDArray[np.float64]

# What a curve may drive beside blendshapes: limits of its values. Yaw, pitch, roll: degrees; positive turns the nose to the
# picture's left, down, and tilts the crown to the picture's right. X, Y: inter-ocular units, to the picture's right and
# down. headZ: growth of the head (0.1 is ten percent nearer). gazeX, gazeY: -1..1, to the picture's right and down. The
# head rides on the torso.
CHANNELS: dict[str, tuple[float, float]] = {
    "headYaw": (-90, 90), "headPitch": (-60, 60), "headRoll": (-60, 60), "headX": (-5, 5), "headY": (-5, 5),
    "headZ": (-0.8, 4), "torsoX": (-5, 5), "torsoY": (-5, 5), "torsoRoll": (-45, 45), "gazeX": (-1, 1), "gazeY": (-1, 1),
}  # fmt: skip
SIDEWAYS = ("jawLeft", "mouthLeft")  # movements to a side, not of a side
BOTH_SIDES = tuple(n.removesuffix("Left") for n in BLENDSHAPES if n.endswith("Left") and n not in SIDEWAYS)
LIMITS = {**CHANNELS, **motion_body.BODY_CHANNELS, **motion_body.BOTH_ARMS_AND_LEGS}
CURVE_NAMES = (*BLENDSHAPES, *BOTH_SIDES, *LIMITS)

MAX_FILE_BYTES = 1_000_000
MAX_KEYS = 10_000
MAX_SECONDS = 3600
MAX_FRAMES = 20_000  # of one synthesis: 230 MB

INTER_OCULAR = 0.19  # of the frame's shorter side
NECK_PIVOT = np.array([0.0, 1.0, 1.25])  # canonical point that a turning head leaves where it is
TORSO_PIVOT = np.array([0.0, 3.0, 1.0])  # between the collar bones
FACE_MIDDLE = np.array([0.0, 0.45, 0.0])  # what stands in the middle of the frame

Finite = Annotated[float, Field(allow_inf_nan=False)]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Curve(BaseModel):
    """Keys of one control: times in seconds, values in the unit of the control."""

    model_config = _STRICT
    times: tuple[Annotated[float, Field(ge=0, le=MAX_SECONDS)], ...] = Field(min_length=1, max_length=MAX_KEYS)
    values: tuple[Finite, ...] = Field(min_length=1, max_length=MAX_KEYS)
    ease: Literal["smooth", "linear"] = "smooth"

    @model_validator(mode="after")
    def _paired(self) -> Curve:
        if len(self.times) != len(self.values):
            raise ValueError(f"has {len(self.times)} times but {len(self.values)} values")
        if any(b <= a for a, b in zip(self.times, self.times[1:], strict=False)):
            raise ValueError("has times that do not increase")
        return self

    def at(self, times: Array) -> Array:
        """Values at times in seconds, (T,)."""
        if self.ease == "linear" or len(self.times) == 1:
            return np.interp(times, self.times, self.values)
        # Repeating the ends beyond them makes the curve start and stop gently.
        keys = (self.times[0] - 1, *self.times, self.times[-1] + 1)
        values = (self.values[0], *self.values, self.values[-1])
        return motion_keys.through(keys, values, np.clip(times, keys[0], keys[-1]))


class Layers(BaseModel):
    """Life added to the curves, see `motion_layers`."""

    model_config = _STRICT
    blink_rate: Annotated[float, Field(ge=0, le=60)] = 0.0
    saccades: Annotated[float, Field(ge=0, le=4)] = 0.0
    sway: Annotated[float, Field(ge=0, le=10)] = 0.0
    eye_contact: Annotated[float, Field(ge=0, le=1)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class Motion(BaseModel):
    """A performance as curves over time. The module's docstring shows the file format."""

    model_config = _STRICT
    name: Annotated[str, Field(min_length=1, max_length=100)]
    description: Annotated[str, Field(max_length=1000)] = ""
    duration: Annotated[Decimal, Field(gt=0, le=MAX_SECONDS)]
    loop: bool = False
    curves: dict[str, Curve] = {}
    layers: Layers = Layers()

    @field_validator("curves")
    @classmethod
    def _known(cls, curves: dict[str, Curve]) -> dict[str, Curve]:
        for name, curve in curves.items():
            if name not in CURVE_NAMES:
                raise ValueError(f"there is no control {name[:60]!r}, {nearest.hint(name[:60], CURVE_NAMES)}")
            low, high = LIMITS.get(name, (0, 1))
            if min(curve.values) < low or max(curve.values) > high:
                raise ValueError(f"{name} must stay between {low} and {high}")
        return curves


def motion_names() -> list[str]:
    """Names of the motions that ship with the package."""
    return sorted(path.stem for path in (presets_dir() / "motion").glob("*.toml"))


def load_motion(name_or_path: str) -> Motion:
    """A motion by its name, or from a ``.toml`` file.

    Raises:
        UsageError: there is no such motion, or the file says what cannot be used.
        UnreadableInput: the file is not there or is not TOML.
        UnsafeInput: the file is too large.
    """
    given = name_or_path.removeprefix("motion:")
    names = motion_names()
    if given in names:
        return _parse(presets_dir() / "motion" / f"{given}.toml")
    if given.endswith(".toml") or "/" in given or "\\" in given:
        return _parse(Path(given))
    raise UsageError(f"there is no motion {given[:80]!r}", nearest.hint(given, names))


def _parse(path: Path) -> Motion:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnsafeInput(f"{path}: larger than {MAX_FILE_BYTES} bytes", "give a motion file with fewer keys")
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except InputRefused:
        raise
    except OSError as wrong:
        raise UnreadableInput(f"{path}: {wrong.strerror or 'cannot be read'}", "check the name of the motion file") from wrong
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as wrong:
        raise UnreadableInput(f"{path}: not a TOML file ({wrong})", "give a motion file, see presets/motion") from wrong
    try:
        return Motion.model_validate(table)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{path}: {place}: {what}", "mend the motion file, see presets/motion") from wrong


def frame_count(duration: Fraction, fps: Fraction) -> int:
    """Number of frames of a duration in seconds, at least one."""
    return max(1, round(duration * fps))


def synthesise(motion: Motion, *, fps: Fraction, width: int, height: int, duration: Fraction | None = None) -> Controls:
    """Controls of a template face in the middle of the frame that performs a motion.

    Args:
        motion: what to perform.
        fps: frames per second, exact.
        width: of the frame, px.
        height: of the frame, px.
        duration: seconds; None is the motion's own. A longer one begins again or holds the end, a shorter one cuts.

    Returns:
        Face, head and body in driving space, ``round(duration * fps)`` frames.

    Raises:
        UsageError: more frames than fit into memory were asked for.
    """
    own = Fraction(motion.duration)
    frames = frame_count(own if duration is None else duration, fps)
    if frames > MAX_FRAMES:
        raise UsageError(f"motion {motion.name!r} of {frames} frames is too long", f"ask for at most {MAX_FRAMES} frames")
    times = np.array([float(Fraction(k) / fps % own if motion.loop else Fraction(k) / fps) for k in range(frames)])
    return perform(_sample(motion, times), fps=fps, width=width, height=height, name=motion.name)


def perform(
    curves: Mapping[str, Array], *, fps: Fraction, width: int, height: int, name: str, start: int = 0, stop: int | None = None
) -> Controls:
    """Controls of a template face in the middle of the frame that performs curves.

    Args:
        curves: of a whole clip, by `CURVE_NAMES`, (T,) each; what is left out is 0.
        fps, width, height: of the clip, px.
        name: what the curves are called, for the record.
        start, stop: of the frames that are wanted; None is to the end.

    Returns:
        Face, head and body in driving space of these frames.
    """
    curves = {
        channel: np.concatenate([values[:1], values[start:stop]]) for channel, values in curves.items()
    }  # the torso moves from frame 0
    figure = motion_body.perform_body(curves, len(next(iter(curves.values()))))
    return _acted(curves, figure, fps=fps, width=width, height=height, name=name)


def embody(figure: motion_body.Performance, head: Array, *, fps: Fraction, width: int, height: int, name: str) -> Controls:
    """Controls of a template person whose body is given, with a calm face.

    Args:
        figure: of the whole clip.
        head: its rotation, (T, 3, 3).
        fps, width, height, name: as of `perform`.
    """
    own = head_space.euler_degrees(figure.torso.swapaxes(1, 2) @ head)
    curves = {
        name: np.concatenate([turn[:1], turn]) for name, turn in zip(("headYaw", "headPitch", "headRoll"), own.T, strict=True)
    }
    return _acted(curves, figure.held(1), fps=fps, width=width, height=height, name=name)


def _acted(
    curves: Mapping[str, Array], figure: motion_body.Performance, *, fps: Fraction, width: int, height: int, name: str
) -> Controls:
    """Controls of curves and a body, (T + 1,) each, but for the first frame, from which the torso moves."""
    frames = len(figure.joints) - 1
    unit, middle = INTER_OCULAR * min(width, height), np.array([(width - 1) / 2, (height - 1) / 2])
    torso = _torso(curves, frames + 1, unit, middle)
    px, head = unit / motion_body.INTER_OCULAR, middle + unit * (head_space.SPHERE_CENTER - FACE_MIDDLE)[:2]
    carried = figure.carried(px, head) @ torso
    first = np.linalg.inv(carried[0])
    curves, torso, carried, figure = {c: values[1:] for c, values in curves.items()}, torso[1:], carried[1:], figure.after(1)
    weights = _weights(curves, frames)
    identity = head_space.template()
    expression = blendshapes.displacement(weights)
    pose = _head_pose(curves, frames, unit, torso, middle, figure)
    center, radius = head_space.sphere_of(pose)
    return Controls(
        num_frames=frames, fps=fps, width=width, height=height, space="driving",
        face=Face(
            landmarks=_f32(head_space.to_image(identity + expression, pose)), expression=_f32(expression),
            identity=_f32(identity), blendshapes=_f32(weights), gaze=_f32(gaze_angles(identity + expression)),
            score=np.ones(frames, np.float32),
        ),
        head=Head(
            rotation=_f32(pose.rotation), center=_f32(center), radius=_f32(radius), score=np.ones(frames, np.float32),
            head_2d=np.repeat(np.eye(2, 3, dtype=np.float32)[None], frames, 0), torso_2d=_f32((carried @ first)[:, :2]),
            field=person_space.still_field(frames),
        ),
        body=figure.signal(px, head, torso, center, pose.rotation),
        extractor_versions={"motion": name},
    )  # fmt: skip


def _f32(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)


def _channel(curves: Mapping[str, Array], name: str, frames: int) -> Array:
    return curves.get(name, np.zeros(frames))


def _sample(motion: Motion, times: Array) -> dict[str, Array]:
    """Curves and layers by name at times in seconds, (T,) each."""
    out = {name: curve.at(times) for name, curve in motion.curves.items()}
    layers, period = motion.layers, float(motion.duration)
    extra = motion_layers.sway(times % period, period, layers.sway, layers.seed)
    for name, values in extra.items():
        out[name] = out.get(name, 0.0) + values
    glances = motion_layers.saccades(times % period, period, layers.saccades, layers.seed)
    turned = [_channel(out, name, len(times)) for name in ("headYaw", "headPitch")]
    glances += motion_layers.eye_contact(turned[0], turned[1], layers.eye_contact)
    for name, values in zip(("gazeX", "gazeY"), glances.T, strict=True):
        out[name] = out.get(name, 0.0) + values
    closed = motion_layers.blinks(times % period, period, layers.blink_rate, layers.seed)
    out["eyeBlink"] = np.maximum(out.get("eyeBlink", closed), closed)
    return out


def _weights(curves: Mapping[str, Array], frames: int) -> Array:
    """Blendshapes of curves, (T, 52), 0..1."""
    named = {name: np.zeros(frames) for name in BLENDSHAPES}
    for name, values in curves.items():
        for column in (name, f"{name}Left", f"{name}Right"):
            if column in named and name not in CHANNELS:
                named[column] = named[column] + values
    gaze_x, gaze_y = _channel(curves, "gazeX", frames), _channel(curves, "gazeY", frames)
    for column, values in (
        ("eyeLookOutLeft", gaze_x), ("eyeLookInRight", gaze_x), ("eyeLookInLeft", -gaze_x), ("eyeLookOutRight", -gaze_x),
        ("eyeLookDownLeft", gaze_y), ("eyeLookDownRight", gaze_y), ("eyeLookUpLeft", -gaze_y), ("eyeLookUpRight", -gaze_y),
    ):  # fmt: skip
        named[column] = named[column] + np.maximum(values, 0.0)
    return np.clip(np.stack([named[name] for name in BLENDSHAPES], 1), 0.0, 1.0)


def _torso(curves: Mapping[str, Array], frames: int, unit: float, middle: Array) -> Array:
    """Similarity of the torso from its rest, px, (T, 3, 3): a tilt about the collar bones and a shift."""
    angle = np.radians(_channel(curves, "torsoRoll", frames))
    pivot = middle + unit * (TORSO_PIVOT - FACE_MIDDLE)[:2]
    out = np.tile(np.eye(3), (frames, 1, 1))
    out[:, 0, 0] = out[:, 1, 1] = np.cos(angle)
    out[:, 1, 0], out[:, 0, 1] = np.sin(angle), -np.sin(angle)
    shift = unit * np.stack([_channel(curves, "torsoX", frames), _channel(curves, "torsoY", frames)], 1)
    out[:, :2, 2] = pivot + shift - out[:, :2, :2] @ pivot
    return out


def _head_pose(
    curves: Mapping[str, Array], frames: int, unit: float, torso: Array, middle: Array, figure: motion_body.Performance
) -> head_space.HeadPose:
    """Pose of the head: it turns about the neck, and the neck rides on the torso."""
    degrees = np.stack([_channel(curves, name, frames) for name in ("headYaw", "headPitch", "headRoll")], 1)
    rotation = figure.torso @ head_space.rotation_from_euler(degrees)
    scale = unit * (1 + _channel(curves, "headZ", frames))
    rest = middle + unit * (NECK_PIVOT - FACE_MIDDLE)[:2]
    neck = np.zeros((frames, 3))
    neck[:, :2] = torso[:, :2, :2] @ rest + torso[:, :2, 2]
    neck[:, 0] += unit * _channel(curves, "headX", frames)
    neck[:, 1] += unit * _channel(curves, "headY", frames)
    neck += unit / motion_body.INTER_OCULAR * figure.neck
    return head_space.HeadPose(scale, rotation, neck - scale[:, None] * (rotation @ NECK_PIVOT))
