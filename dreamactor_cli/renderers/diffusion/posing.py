"""The controls that the model is shown: with the reference's own body where nothing else moves it, and a made-up turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, Face, Head, Reference, Signal

TURN_FRAMES = 25
TURN_YAW = 45.0  # degrees to either side

S = TypeVar("S", bound=Signal)


def with_body(controls: Controls, reference: Reference) -> Controls:
    """Controls whose body is the reference's, carried by the motion of the torso, where they have none of their own.

    The model learned from people whose skeleton is always drawn; a portrait's controls move the head alone.
    """
    body = reference.controls.body
    if controls.body is not None or body is None:
        return controls
    still = _held(body, controls.num_frames)
    if controls.head is None:
        return replace(controls, body=still)
    linear, shift = controls.head.torso_2d[:, :, :2], controls.head.torso_2d[:, None, :, 2]
    moved = np.einsum("tij,tkj->tki", linear, still.joints_2d) + shift
    return replace(controls, body=replace(still, joints_2d=moved.astype(np.float32)))


def turn(reference: Reference) -> Controls:
    """The reference turns its head to one side and the other, and is otherwise as in its first picture."""
    first = reference.controls.window(0, 1)
    yaw = np.interp(np.linspace(0, 1, TURN_FRAMES), [0, 1 / 4, 1], [0, -TURN_YAW, TURN_YAW])
    held = {name: _held(signal, TURN_FRAMES) for name, signal in first.signals().items()}
    controls = replace(first, num_frames=TURN_FRAMES, **held)  # type: ignore[arg-type]
    head = controls.head
    if head is None:
        return controls
    angles = np.stack([yaw, np.zeros_like(yaw), np.zeros_like(yaw)], -1)
    turned = head_space.rotation_from_euler(angles) @ head.rotation.astype(np.float64)
    still = np.broadcast_to(np.eye(2, 3, dtype=np.float32), (TURN_FRAMES, 2, 3)).copy()
    head = replace(head, rotation=turned.astype(np.float32), head_2d=still, torso_2d=still, field=np.zeros_like(head.field))
    return with_body(replace(controls, head=head, face=_turned(controls.face, head)), reference)


def _turned(face: Face | None, head: Head) -> Face | None:
    """A held face on a head that turns."""
    if face is None:
        return None
    pose = head_space.pose_of_sphere(head.center, head.radius, head.rotation)
    landmarks = head_space.to_image(face.identity + face.expression.astype(np.float64), pose)
    return replace(face, landmarks=landmarks.astype(np.float32))


def pick_views(turned: Controls, reference: Reference) -> list[int]:
    """Frames of a turn that become references beside the picture: most to the left, most to the right, and the middle one.

    The one of them that shows what the picture shows already is left out: the picture itself is better.
    """
    if turned.head is None or reference.controls.head is None:
        return []
    yaw = head_space.euler_degrees(turned.head.rotation)[:, 0]
    own = float(head_space.euler_degrees(reference.controls.head.rotation[0])[0])
    middle = int(np.abs(yaw - (yaw.max() + yaw.min()) / 2).argmin())
    views = list(dict.fromkeys([int(yaw.argmax()), int(yaw.argmin()), middle]))
    views.remove(min(views, key=lambda frame: abs(yaw[frame] - own)))
    return views


def _held(signal: S, frames: int) -> S:
    """A signal whose first frame is held."""
    arrays = {
        name: np.repeat(array[:1], frames, 0) if signal.SHAPES[name][0] == "T" else array
        for name, array in signal.arrays().items()
    }
    return replace(signal, **arrays)  # type: ignore[type-var]
