"""A skeleton in a JSON file: what `extract --format json` writes of a picture, and what replaces detection when it is edited.

::

    {"format": "dreamactor-skeleton", "version": 1, "width": 508, "height": 602,
     "joints": {"left_shoulder": {"x": 300.5, "y": 210.0, "z": -12.0, "score": 1.0}, ...},
     "hands": {"left": [[x, y], ...21], "right": [...]}}

Left and right are the person's. ``x`` and ``y`` are px of the picture, ``z`` is px further away than the hips and may be left
out, as may ``score`` (how well the picture shows the joint; from 0.5 on it counts, and 1 is what holds if nothing is said).
Joints that are left out are not shown. A file for a picture of another size is scaled, if it has the same shape.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dreamactor_cli import nearest
from dreamactor_cli.atomic import replacing
from dreamactor_cli.body_space import HIPS, JOINTS, NUM_JOINTS, PARENTS, SHOULDERS, SHOWN
from dreamactor_cli.contracts import Body, Controls, Hands
from dreamactor_cli.errors import UnreadableInput, UnsafeInput, UsageError
from dreamactor_cli.retarget.skeleton import px_per_metre

Array = NDArray[np.float64]

MAX_FILE_BYTES = 1_000_000
MAX_SIDE = 65_536  # px
MAX_PLACE = 4 * MAX_SIDE  # px; a joint may lie outside of the picture, but not anywhere
SAME_SHAPE = 0.02  # by which the ratio of the sides may differ
TORSO = 0.5  # m between shoulders and hips, by which a drawn skeleton gets metres
HINT = "write one with: dreamactor extract IMAGE --format json"

_STRICT = ConfigDict(extra="forbid", frozen=True)
_Place = Annotated[float, Field(ge=-MAX_PLACE, le=MAX_PLACE, allow_inf_nan=False)]
_Points = Annotated[tuple[tuple[_Place, _Place], ...], Field(min_length=21, max_length=21)]


class Joint(BaseModel):
    """One joint, px."""

    model_config = _STRICT
    x: _Place
    y: _Place
    z: _Place = 0.0
    score: Annotated[float, Field(ge=0, le=1)] = 1.0


class HandPoints(BaseModel):
    """Joints of the hands in mediapipe's order, from the wrist to the tip of the little finger, px."""

    model_config = _STRICT
    left: _Points | None = None
    right: _Points | None = None


class Skeleton(BaseModel):
    """A skeleton of one picture. The module's docstring shows the file."""

    model_config = _STRICT
    format: Literal["dreamactor-skeleton"]
    version: Literal[1]
    width: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    height: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    joints: dict[str, Joint]
    hands: HandPoints = HandPoints()

    @field_validator("joints")
    @classmethod
    def _enough(cls, joints: dict[str, Joint]) -> dict[str, Joint]:
        for name in joints:
            if name not in JOINTS:
                raise ValueError(f"there is no joint {name[:60]!r}, {nearest.hint(name[:60], JOINTS)}")
        lacking = [JOINTS[k] for k in SHOULDERS if joints.get(JOINTS[k]) is None or joints[JOINTS[k]].score < SHOWN]
        if lacking:
            raise ValueError(f"{' and '.join(lacking)} must be there with a score of at least {SHOWN}")
        return joints


def read_skeleton(path: Path) -> Skeleton:
    """A skeleton from a file.

    Raises:
        UnreadableInput: it is not there, or not JSON.
        UnsafeInput: it is too large.
        UsageError: it says what cannot be used.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnsafeInput(f"{path} is larger than {MAX_FILE_BYTES} bytes", HINT)
        table = json.loads(path.read_bytes())
    except OSError as wrong:
        raise UnreadableInput(f"{path}: {wrong.strerror or 'cannot be read'}", "check the name of the skeleton file") from wrong
    except (ValueError, RecursionError) as wrong:
        raise UnreadableInput(f"{path} is not a JSON file ({str(wrong)[:80]})", HINT) from wrong
    try:
        return Skeleton.model_validate(table)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        place = ".".join(str(part)[:60] for part in first["loc"]) or "the whole"
        what = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{path}: {place}: {what}", f"mend it, or {HINT}") from wrong


def with_skeleton(controls: Controls, skeleton: Skeleton, name: str) -> Controls:
    """Controls of a picture (T = 1) with a skeleton in place of what was detected.

    Args:
        name: of the picture, for messages.

    Raises:
        UsageError: the skeleton is one of a picture of another shape.
    """
    across, down = controls.width / skeleton.width, controls.height / skeleton.height
    if abs(across / down - 1) > SAME_SHAPE:
        what = f"the skeleton is for a picture of {skeleton.width}x{skeleton.height} px, {name} has"
        raise UsageError(f"{what} {controls.width}x{controls.height}", f"give the skeleton of this picture, or {HINT}")
    given = {JOINTS.index(joint): place for joint, place in skeleton.joints.items()}
    points = np.full((NUM_JOINTS, 3), np.nan)
    score = np.zeros(NUM_JOINTS)
    for k, joint in given.items():
        points[k] = joint.x * across, joint.y * down, joint.z * across
        score[k] = joint.score
    _fill(points)
    hips, shoulders = (points[list(pair)].mean(0) for pair in (HIPS, SHOULDERS))
    px = max(float(np.linalg.norm(shoulders - hips)), 1.0) / TORSO
    body = Body(
        joints_2d=points[None, :, :2].astype(np.float32), joints_3d=((points - hips) / px)[None].astype(np.float32),
        score=score[None].astype(np.float32),
    )  # fmt: skip
    return replace(controls, body=body, hands=_hands(skeleton, np.array([across, down]), px) or controls.hands)


def _fill(points: Array) -> None:
    """Put joints that nobody gave where the ones they hang on are, in place; hips below the shoulders, the nose above."""
    left, right = points[list(SHOULDERS)]
    down = np.array([0.0, 1.4 * np.linalg.norm(left - right), 0.0])
    if np.isnan(points[0, 0]):
        points[0] = (left + right) / 2 - down / 2
    for hip, shoulder in zip(HIPS, (left, right), strict=True):
        if np.isnan(points[hip, 0]):
            points[hip] = shoulder + down
    for k, parent in PARENTS.items():
        if np.isnan(points[k, 0]):
            points[k] = points[list(parent)].mean(0)


def _hands(skeleton: Skeleton, scale: Array, px: float) -> Hands | None:
    """Hands of a skeleton, flat in the picture; None if it has none."""
    sides = (skeleton.hands.left, skeleton.hands.right)
    if not any(sides):
        return None
    flat = np.stack([np.array(side) * scale if side is not None else np.zeros((21, 2)) for side in sides])[None]
    deep = np.concatenate([(flat - flat.mean(2, keepdims=True)) / px, np.zeros((1, 2, 21, 1))], 3)
    score = np.array([[side is not None for side in sides]], np.float32)
    return Hands(joints_2d=flat.astype(np.float32), joints_3d=deep.astype(np.float32), score=score)


def write_skeleton(path: Path, controls: Controls) -> None:
    """Write the skeleton of a picture (T = 1); joints that it does not show are there to be moved, with a low score.

    Raises:
        UsageError: there is no body signal, or the place cannot be written.
        DiskFull: no space left.
    """
    body = controls.body
    if body is None:
        raise UsageError(f"there is no body to write to {path}", "extract one: --signals body")
    px = float(px_per_metre(*(a[:1].astype(np.float64) for a in (body.joints_2d, body.joints_3d, body.score)))[0])
    places = np.concatenate([body.joints_2d[0], body.joints_3d[0, :, 2:] * px], 1)
    joints = {
        name: {"x": _round(x), "y": _round(y), "z": _round(z), "score": round(float(score), 3)}
        for name, (x, y, z), score in zip(JOINTS, places, body.score[0], strict=True)
    }
    hands, sides = controls.hands, {}
    if hands is not None:
        seen = {name: side for side, name in enumerate(("left", "right")) if hands.score[0, side] >= SHOWN}
        sides = {name: [[_round(x), _round(y)] for x, y in hands.joints_2d[0, side]] for name, side in seen.items()}
    head = {"format": "dreamactor-skeleton", "version": 1, "width": controls.width, "height": controls.height}
    parts = [f"{json.dumps(head)[:-1]},", f' "joints": {_one_a_line(joints)},', f' "hands": {_one_a_line(sides)}}}\n']
    with replacing(path) as beside:
        beside.write_text("\n".join(parts), "utf-8")


def _one_a_line(table: Mapping[str, object]) -> str:
    """JSON that a person can edit."""
    return "{" + ",".join(f"\n  {json.dumps(name)}: {json.dumps(value)}" for name, value in table.items()) + "}"


def _round(value: float) -> float:
    return round(float(value), 2)


def guessed_body(controls: Controls) -> Body:
    """A body that stands below the face of a picture, or in its middle, all of it unseen: where to begin by hand."""
    width, height = float(controls.width), float(controls.height)
    head, unit = np.array([width / 2, 0.12 * height]), 0.13 * height
    if controls.head is not None:
        head = controls.head.center[0].astype(np.float64)
        unit = min(1.2 * float(controls.head.radius[0]), (height - head[1]) / 6.5)
    joints = head + unit * standing()
    deep = np.concatenate([(joints - joints[list(HIPS)].mean(0)) / (2.5 * unit / TORSO), np.zeros((NUM_JOINTS, 1))], 1)
    return Body(
        joints_2d=joints[None].astype(np.float32), joints_3d=deep[None].astype(np.float32),
        score=np.zeros((1, NUM_JOINTS), np.float32),
    )  # fmt: skip


_SIDE = {
    "shoulder": (0.9, 1.6), "elbow": (1.3, 2.8), "wrist": (1.4, 4.0), "pinky": (1.45, 4.3), "index": (1.4, 4.35),
    "thumb": (1.3, 4.2), "hip": (0.5, 4.0), "knee": (0.5, 5.4), "ankle": (0.5, 6.6), "heel": (0.45, 6.75),
    "foot_index": (0.7, 6.8), "eye": (0.25, -0.1), "eye_inner": (0.15, -0.1), "eye_outer": (0.35, -0.1), "ear": (0.55, 0.0),
}  # fmt: skip
_MIDDLE = {"nose": (0.0, 0.15), "mouth_left": (0.2, 0.4), "mouth_right": (-0.2, 0.4)}


@cache
def standing() -> Array:
    """A person who stands and faces the camera, (33, 2), in units of the head's half height from the head's middle."""
    out = []
    for name in JOINTS:
        side, _, part = name.partition("_")
        x, y = _MIDDLE.get(name) or _SIDE[part]
        out.append((x if name in _MIDDLE or side == "left" else -x, y))
    return np.array(out)
