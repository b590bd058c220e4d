"""BVH files: the joints of an animated skeleton, wherever it comes from.

`read_bvh` reads any hierarchy; `bvh_joints` finds in it the 33 joints of our skeleton by the names that Mixamo, CMU,
Rokoko, Unreal, SMPL and our own export give them, and brings it to the size and the axes of a person who faces the camera.
Files are not trusted: their size, joints, depth and frames are limited, and every number is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import rotations
from dreamactor_cli.errors import InputRefused, UnreadableInput, UnsafeInput

Array = NDArray[np.float64]

MAX_FILE_BYTES = 256 << 20
MAX_HEADER = 1 << 20  # bytes of the hierarchy
MAX_JOINTS = 1000
MAX_FRAMES = 20_000
MAX_RATE = 1000
_HINT = "give a BVH file as Blender, Mixamo or `dreamactor extract --format bvh` write it"
_AXES = {"X": 0, "Y": 1, "Z": 2}
_NTSC = tuple(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120, 240))


@dataclass(slots=True)
class BvhJoint:
    """A joint of the hierarchy.

    Attributes:
        parent: index, -1 for a root.
        offset: from the parent, in the file's unit.
        channels: like ``"Xposition"`` or ``"Zrotation"``, in the order of the file; none of an end site.
    """

    name: str
    parent: int
    offset: Array
    channels: tuple[str, ...] = ()


@dataclass(slots=True)
class Bvh:
    """A BVH file.

    Attributes:
        joints: parents before their children.
        fps: exact.
        values: of the channels, (T, C).
    """

    joints: list[BvhJoint] = field(default_factory=list)
    fps: Fraction = Fraction(30)
    values: Array = field(default_factory=lambda: np.zeros((0, 0)))

    def rest(self) -> Array:
        """Places of all joints in the rest pose, (J, 3)."""
        places = np.zeros((len(self.joints), 3))
        for k, joint in enumerate(self.joints):
            places[k] = joint.offset + (places[joint.parent] if joint.parent >= 0 else 0)
        return places

    def pose(self) -> tuple[Array, Array]:
        """Places (T, J, 3) and rotations since the rest pose (T, J, 3, 3) of all joints, in the file's axes and unit."""
        frames = len(self.values)
        places, turns = np.zeros((frames, len(self.joints), 3)), np.zeros((frames, len(self.joints), 3, 3))
        column = 0
        for k, joint in enumerate(self.joints):
            own, turn = np.tile(joint.offset, (frames, 1)), np.tile(np.eye(3), (frames, 1, 1))
            moved = [c for c in joint.channels if c.endswith("position")]
            if moved and joint.parent >= 0:
                own[:] = 0  # what is given is the place, and the offset its value at rest
            for channel in joint.channels:
                values, axis = self.values[:, column], _AXES[channel[0]]
                if channel.endswith("position"):
                    own[:, axis] += values
                else:
                    turn = turn @ rotations.about_axis(axis, values)
                column += 1
            if joint.parent < 0:
                places[:, k], turns[:, k] = own, turn
            else:
                places[:, k] = places[:, joint.parent] + (turns[:, joint.parent] @ own[..., None])[..., 0]
                turns[:, k] = turns[:, joint.parent] @ turn
        return places, turns


def read_bvh(path: Path) -> Bvh:
    """A BVH file.

    Raises:
        UnreadableInput: it is not there, or not BVH.
        UnsafeInput: it is larger than the limits.
        InputRefused: it holds numbers that cannot be.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnsafeInput(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB", "cut the animation into shorter ones")
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as wrong:
        raise UnreadableInput(f"{path}: {wrong.strerror or 'cannot be read'}", "check the name of the BVH file") from wrong
    head, found, motion = text.partition("MOTION")
    if not found or not head.lstrip("\ufeff \t\r\n").upper().startswith("HIERARCHY"):
        raise UnreadableInput(f"{path} is not a BVH file: it has no HIERARCHY and MOTION", _HINT)
    if len(head) > MAX_HEADER:
        raise UnsafeInput(f"{path}: its hierarchy is larger than {MAX_HEADER} bytes", _HINT)
    joints = _Hierarchy(path, head.lstrip("\ufeff").split()).read()
    fps, values = _motion(path, motion, sum(len(joint.channels) for joint in joints))
    return Bvh(joints, fps, values)


class _Hierarchy:
    """Reads the words of a hierarchy."""

    def __init__(self, path: Path, words: Sequence[str]) -> None:
        self._path, self._words, self._at = path, words, 1

    def read(self) -> list[BvhJoint]:
        """All joints; an end site is one without channels, called ``PARENT end``."""
        joints: list[BvhJoint] = []
        open_: list[int] = []
        while self._at < len(self._words):
            word = self._next().upper()
            if word in ("ROOT", "JOINT", "END"):
                if (word == "ROOT") == bool(open_):
                    self._fail("a ROOT within a joint, or a joint outside of one")
                joints.append(self._joint(word, open_[-1] if open_ else -1, joints))
                open_.append(len(joints) - 1)
                if len(joints) > MAX_JOINTS:
                    raise UnsafeInput(f"{self._path} has more than {MAX_JOINTS} joints", "take some out, like those of a face")
            elif word == "}" and open_:
                open_.pop()
            elif word == "OFFSET" and open_:
                joints[open_[-1]].offset = np.array([self._number() for _ in range(3)])
            elif word == "CHANNELS" and open_:
                joints[open_[-1]].channels = tuple(self._channels())
            else:
                self._fail(f"{word[:40]!r} where none can be")
        if open_ or not joints:
            self._fail("a joint that is not closed" if joints else "no joint")
        return joints

    def _joint(self, word: str, parent: int, joints: list[BvhJoint]) -> BvhJoint:
        parts = []
        while (part := self._next()) != "{":
            parts.append(part)
            if len(parts) > 16:
                self._fail("a joint without {")
        name = f"{joints[parent].name} end" if word == "END" else " ".join(parts)[:200]
        return BvhJoint(name, parent, np.zeros(3))

    def _channels(self) -> Iterator[str]:
        count = self._next()
        if count not in "0123456":
            self._fail(f"a joint of {count[:20]} channels")
        for _ in range(int(count)):
            name = self._next()
            if not re.fullmatch(r"[XYZ](position|rotation)", name, re.IGNORECASE):
                self._fail(f"the channel {name[:40]!r}")
            yield name[0].upper() + name[1:].lower()

    def _number(self) -> float:
        word = self._next()
        try:
            value = float(word)
        except ValueError:
            self._fail(f"{word[:40]!r} in place of a number")
        if not abs(value) < 1e6:
            raise InputRefused(f"{self._path}: the offset {word[:40]} is no length", _HINT)
        return value

    def _next(self) -> str:
        if self._at >= len(self._words):
            self._fail("an end in the middle")
        self._at += 1
        return self._words[self._at - 1]

    def _fail(self, what: str) -> None:
        raise UnreadableInput(f"{self._path}: its hierarchy has {what}", _HINT)


def _motion(path: Path, text: str, channels: int) -> tuple[Fraction, Array]:
    """Rate and values (T, C) of the part behind MOTION."""
    found = re.match(r"\s*Frames:\s*(\d{1,9})\s+Frame\s+Time:\s*(\d{0,6}\.?\d{0,18})\s", text, re.IGNORECASE)
    if not found:
        raise UnreadableInput(f"{path}: no Frames and Frame Time after MOTION", _HINT)
    frames, digits = int(found[1]), found[2]
    if not 1 <= frames <= MAX_FRAMES:
        raise UnsafeInput(f"{path} has {frames} frames", f"give one of 1 to {MAX_FRAMES}")
    try:
        values = np.array(text[found.end() :].split(), np.float64)
    except ValueError:
        raise UnreadableInput(f"{path}: its motion holds what is not a number", _HINT) from None
    if len(values) < frames * channels:
        raise UnreadableInput(f"{path}: {frames} frames of {channels} channels are announced, fewer are there", _HINT)
    values = values[: frames * channels].reshape(frames, channels)
    if not (np.abs(values) < 1e6).all():
        raise InputRefused(f"{path}: its motion has values that are not finite, or beyond all measure", _HINT)
    return exact_rate(path, digits), values


def exact_rate(path: Path, digits: str) -> Fraction:
    """Frames a second of a frame time as it is written: the common rate that it is rounded from, or what it says.

    Raises:
        InputRefused: it is no frame time.
    """
    written = Fraction(digits) if re.search(r"\d", digits) else Fraction(0)
    if not Fraction(1, MAX_RATE) <= written <= 10:
        raise InputRefused(f"{path}: a frame time of {digits[:20]} s", f"give one of 1/{MAX_RATE} to 10 s")
    rounding = Fraction(1, 10 ** len(digits.partition(".")[2]))
    rate = min((*map(Fraction, range(1, 241)), *_NTSC), key=lambda rate: abs(1 / rate - written))
    if abs(1 / rate - written) <= rounding:
        return rate
    return (1 / written).limit_denominator(10_000)
