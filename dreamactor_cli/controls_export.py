"""Control signals in the formats of animation programs: `write_csv` (face) and `write_bvh` (body)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .atomic import replacing
from .contracts import BLENDSHAPES, Controls, ControlStream
from .controls_file import StoredControls
from .errors import NoPersonFound, UsageError
from .rotations import euler_zxy, frame, swing, unit

Array = NDArray[np.float64]

_WINDOW = 512  # frames that are read at a time

# Camera axes (x right, y down, z forward) to those of ARKit and BVH (x right, y up, z towards the camera).
_TO_Y_UP = np.array([1.0, -1.0, -1.0])

# The columns of the Live Link Face app, in its order.
CSV_BLENDSHAPES = (
    "EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft", "EyeLookOutLeft", "EyeLookUpLeft", "EyeSquintLeft", "EyeWideLeft",
    "EyeBlinkRight", "EyeLookDownRight", "EyeLookInRight", "EyeLookOutRight", "EyeLookUpRight", "EyeSquintRight",
    "EyeWideRight", "JawForward", "JawRight", "JawLeft", "JawOpen", "MouthClose", "MouthFunnel", "MouthPucker", "MouthRight",
    "MouthLeft", "MouthSmileLeft", "MouthSmileRight", "MouthFrownLeft", "MouthFrownRight", "MouthDimpleLeft",
    "MouthDimpleRight", "MouthStretchLeft", "MouthStretchRight", "MouthRollLower", "MouthRollUpper", "MouthShrugLower",
    "MouthShrugUpper", "MouthPressLeft", "MouthPressRight", "MouthLowerDownLeft", "MouthLowerDownRight", "MouthUpperUpLeft",
    "MouthUpperUpRight", "BrowDownLeft", "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight", "CheekPuff",
    "CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft", "NoseSneerRight", "TongueOut",
)  # fmt: skip
CSV_ROTATIONS = (
    "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch",
    "RightEyeRoll",
)  # fmt: skip
CSV_HEADER = ("Timecode", "BlendshapeCount", *CSV_BLENDSHAPES, *CSV_ROTATIONS)


def write_csv(path: Path, stream: ControlStream) -> None:
    """Write the face as the Live Link Face app does: one row a frame, weights 0..1, rotations in radians.

    Left and right are the person's. Positive yaw turns to the person's left, positive pitch looks down, positive roll tilts
    to the person's right shoulder, for head and eyes (ARKit's axes). Without a head signal the head's rotation is 0.

    Raises:
        UsageError: there is no face signal, or the place cannot be written.
        DiskFull: no space left.
    """
    stream = _only(stream, path, "face", "head")
    with replacing(path) as beside, beside.open("w", encoding="ascii", newline="") as file:
        file.write(",".join(CSV_HEADER) + "\n")
        for start, window in _windows(stream):
            for offset, row in enumerate(_csv_values(window)):
                values = ",".join(f"{value:.10f}" for value in row)
                file.write(f"{timecode(start + offset, stream.fps)},{len(row)},{values}\n")


def timecode(frame: int, fps: Fraction) -> str:
    """When a frame is shown, ``HH:MM:SS:FF.mmm``.

    FF.mmm counts in 1/ceil(fps) of a second, so that the time is exact at 30000/1001 too.
    """
    seconds = frame / fps
    whole = int(seconds)
    ticks = int((seconds - whole) * -(-fps.numerator // fps.denominator) * 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{ticks // 1000:02d}.{ticks % 1000:03d}"


def _csv_values(window: Controls) -> Array:
    """(T, 61), in the order of the columns."""
    face = window.face
    assert face is not None
    order = [BLENDSHAPES.index(name[0].lower() + name[1:]) for name in CSV_BLENDSHAPES]
    rotations = np.zeros((window.num_frames, 3, 3))  # head, left eye, right eye; yaw, pitch, roll
    if window.head is not None:
        turned = window.head.rotation * _TO_Y_UP[:, None] * _TO_Y_UP
        rotations[:, 0, 0] = np.arctan2(turned[:, 0, 2], turned[:, 2, 2])
        rotations[:, 0, 1] = np.arcsin(np.clip(-turned[:, 1, 2], -1, 1))
        rotations[:, 0, 2] = np.arctan2(turned[:, 1, 0], turned[:, 1, 1])
    rotations[:, 1, :2] = face.gaze[:, 1]  # the person's left eye is the picture's right
    rotations[:, 2, :2] = face.gaze[:, 0]
    return np.concatenate([face.blendshapes[:, order], rotations.reshape(-1, 9)], 1)


class _Bone(NamedTuple):
    """A bone of the BVH skeleton, whose rest pose is a T-pose that faces the camera: x to the person's left, y up.

    Attributes:
        parent: its name; empty for the root.
        joints: BlazePose joints whose mean is where the bone begins.
        rest: direction from the parent's beginning to this one's.
        aims_at: the bone that this one points at; empty for an end.
        twist: an axis of the bone, and the joints (from, to) whose line it follows; None turns with the parent.
    """

    name: str
    parent: str
    joints: tuple[int, ...]
    rest: tuple[int, int, int]
    aims_at: str = ""
    twist: tuple[tuple[int, int, int], tuple[int, ...], tuple[int, ...]] | None = None


_LEFT, _RIGHT, _UP, _DOWN, _FORWARD = (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)
_SHOULDERS, _HIPS = (11, 12), (23, 24)

# A parent stands before its children. Hips and spine, and neck and shoulders, begin at the same point, so that the lines of
# hips and shoulders may tilt against the spine.
_BONES = (
    _Bone("Hips", "", _HIPS, (0, 0, 0), "LeftUpLeg", (_UP, _HIPS, _SHOULDERS)),
    _Bone("Spine", "Hips", _HIPS, (0, 0, 0), "Neck", (_LEFT, (12,), (11,))),
    _Bone("Neck", "Spine", _SHOULDERS, _UP, "Head", (_LEFT, (12,), (11,))),
    _Bone("Head", "Neck", (7, 8), _UP, "HeadEnd", (_LEFT, (8,), (7,))),
    _Bone("HeadEnd", "Head", (0,), _FORWARD),
    _Bone("LeftShoulder", "Spine", _SHOULDERS, _UP, "LeftArm"),
    _Bone("LeftArm", "LeftShoulder", (11,), _LEFT, "LeftForeArm"),
    _Bone("LeftForeArm", "LeftArm", (13,), _LEFT, "LeftHand"),
    _Bone("LeftHand", "LeftForeArm", (15,), _LEFT, "LeftHandEnd"),
    _Bone("LeftHandEnd", "LeftHand", (17, 19), _LEFT),
    _Bone("RightShoulder", "Spine", _SHOULDERS, _UP, "RightArm"),
    _Bone("RightArm", "RightShoulder", (12,), _RIGHT, "RightForeArm"),
    _Bone("RightForeArm", "RightArm", (14,), _RIGHT, "RightHand"),
    _Bone("RightHand", "RightForeArm", (16,), _RIGHT, "RightHandEnd"),
    _Bone("RightHandEnd", "RightHand", (18, 20), _RIGHT),
    _Bone("LeftUpLeg", "Hips", (23,), _LEFT, "LeftLeg"),
    _Bone("LeftLeg", "LeftUpLeg", (25,), _DOWN, "LeftFoot"),
    _Bone("LeftFoot", "LeftLeg", (27,), _DOWN, "LeftFootEnd"),
    _Bone("LeftFootEnd", "LeftFoot", (31,), _FORWARD),
    _Bone("RightUpLeg", "Hips", (24,), _RIGHT, "RightLeg"),
    _Bone("RightLeg", "RightUpLeg", (26,), _DOWN, "RightFoot"),
    _Bone("RightFoot", "RightLeg", (28,), _DOWN, "RightFootEnd"),
    _Bone("RightFootEnd", "RightFoot", (32,), _FORWARD),
)
_BY_NAME = {bone.name: bone for bone in _BONES}


def write_bvh(path: Path, stream: ControlStream) -> None:
    """Write the body as a BVH animation: cm, degrees, y up, the root between the hips.

    Bones have the median of their lengths over the frames in which somebody was seen; fingers and the face are not in it.

    Raises:
        NoPersonFound: no body was seen in any frame.
        UsageError: there is no body signal, or the place cannot be written.
        DiskFull: no space left.
    """
    stream = _only(stream, path, "body")
    lengths = _bone_lengths(stream, path)
    with replacing(path) as beside, beside.open("w", encoding="ascii", newline="\n") as file:
        file.write("HIERARCHY\n" + "".join(_hierarchy("Hips", lengths, 0)))
        file.write(f"MOTION\nFrames: {stream.num_frames}\nFrame Time: {float(1 / stream.fps):.8f}\n")
        last: Array | None = None
        for _, window in _windows(stream):
            points = _points(window)
            angles = np.stack([euler_zxy(turn) for turn in _local_rotations(points)], 1)  # (T, bones, 3)
            if last is not None:  # no jump by a whole turn, neither within a window nor between two
                angles = np.concatenate([last[None], angles])
            angles = np.unwrap(angles, axis=0, period=360.0)[0 if last is None else 1 :]
            last = angles[-1]
            for position, turns in zip(points["Hips"], angles, strict=True):
                file.write(" ".join(_number(value) for value in (*position, *turns.reshape(-1))) + "\n")


def _points(window: Controls) -> dict[str, Array]:
    """Where the bones begin, (T, 3) each, in cm, y up."""
    assert window.body is not None
    joints = window.body.joints_3d.astype(np.float64) * (100 * _TO_Y_UP)
    points = {bone.name: joints[:, bone.joints].mean(1) for bone in _BONES}
    for bone in _BONES:
        if bone.twist is not None:
            _, start, stop = bone.twist
            points[f"twist of {bone.name}"] = joints[:, stop].mean(1) - joints[:, start].mean(1)
    return points


def _bone_lengths(stream: ControlStream, path: Path) -> dict[str, float]:
    """Median distance of each bone from its parent, cm."""
    found = []
    for _, window in _windows(stream):
        assert window.body is not None
        points = _points(window)
        seen = window.body.score.max(1) > 0
        lengths = [np.linalg.norm(points[bone.name] - points[bone.parent or bone.name], axis=1) for bone in _BONES]
        found.append(np.stack(lengths, 1)[seen].astype(np.float32))
    every = np.concatenate(found)
    if not len(every):
        raise NoPersonFound(f"there is no body to write to {path}", "take a clip that shows one")
    return dict(zip(_BY_NAME, np.median(every, axis=0).tolist(), strict=True))


def _hierarchy(name: str, lengths: dict[str, float], depth: int) -> Iterator[str]:
    bone, tab = _BY_NAME[name], "\t" * depth
    offset = " ".join(_number(lengths[name] * axis) for axis in bone.rest)
    children = [child.name for child in _BONES if child.parent == name]
    title = f"ROOT {name}" if not depth else f"JOINT {name}" if children else "End Site"
    yield f"{tab}{title}\n{tab}{{\n{tab}\tOFFSET {offset}\n"
    if children:
        channels = "Zrotation Xrotation Yrotation"
        yield f"{tab}\tCHANNELS " + (f"3 {channels}\n" if depth else f"6 Xposition Yposition Zposition {channels}\n")
    for child in children:
        yield from _hierarchy(child, lengths, depth + 1)
    yield f"{tab}}}\n"


def _number(value: float) -> str:
    return f"{round(float(value), 4) + 0.0:.4f}"  # without the sign of a zero


def _local_rotations(points: dict[str, Array]) -> list[Array]:
    """Rotation of each bone that is no end, in its parent's frame, (T, 3, 3), in the order of the hierarchy."""
    world = {"": np.broadcast_to(np.eye(3), (len(points["Hips"]), 3, 3))}
    local = {}
    for bone in _BONES:
        if not bone.aims_at:
            continue
        parent = world[bone.parent]
        rest = np.array(_BY_NAME[bone.aims_at].rest, np.float64)
        direction = unit(points[bone.aims_at] - points[bone.name], parent @ rest)
        turned = swing(parent @ rest, direction) @ parent
        if bone.twist is not None:
            axis = np.array(bone.twist[0], np.float64)
            turned = frame(rest, direction, axis, points[f"twist of {bone.name}"], turned)
        world[bone.name] = turned
        local[bone.name] = parent.transpose(0, 2, 1) @ turned
    return [local[name] for name in _order("Hips") if name in local]


def _order(name: str) -> Iterator[str]:
    yield name
    for bone in _BONES:
        if bone.parent == name:
            yield from _order(bone.name)


def _windows(stream: ControlStream) -> Iterator[tuple[int, Controls]]:
    for start in range(0, stream.num_frames, _WINDOW):
        yield start, stream.window(start, start + _WINDOW)


def _only(stream: ControlStream, path: Path, *kinds: str) -> ControlStream:
    """The stream with no more than the signals of some kinds, of which the first must be there."""
    if kinds[0] not in stream.window(0, 0).signals():
        raise UsageError(f"there is no {kinds[0]} signal to write to {path}", f"extract one: --signals {kinds[0]}")
    return stream.only(*kinds) if isinstance(stream, StoredControls) else stream
