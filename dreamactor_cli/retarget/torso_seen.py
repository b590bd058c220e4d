"""Where the picture itself says that a driver's torso goes: the network's hips and shoulders are corrected by it.

The joints of a pose network wander by a tenth of the torso while a torso rests, hips most of all when arms are raised. The
flow of the picture (`contracts.Head.torso_2d` and ``field``) is exact to a pixel where enough of it is followed, and wrong where
a body is small or moves far; there it is a mere shift, or far from the joints, and does not count.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.body_space import HIPS, SHOULDERS
from dreamactor_cli.contracts import Head
from dreamactor_cli.person_space import field_weights, interpolate, smoothstep

Array = NDArray[np.float64]

CORNERS = (*SHOULDERS, *HIPS)
APART = (0.2, 0.3)  # of the torso: how far flow and joints are apart where the flow ceases to count
TURNED = (10.0, 25.0)  # degrees likewise that it has turned or bowed: the flow follows the cloth, and not what it lies on
SECONDS = 0.12  # standard deviation over which a correction is smoothed
ALONE = 0.05  # what no correction counts against those around a frame
LEGS = ((25, 23), (26, 24), (27, 25), (28, 26), (29, 27), (30, 28), (31, 27), (32, 28))  # joints, and what each hangs on
REST = (0.04, 0.12)  # of the torso: what a leg's joint moves against its hip or knee that is noise, and that is motion
RESTLESS = (1.0, 0.5)  # seconds around such a motion in which the joint moves as it is seen, and over which that comes and goes
SAME = 1e-6  # a linear part that differs less from the identity was not measured


class SeenTorso(NamedTuple):
    """What the flow says of a torso in frames of a clip.

    Attributes:
        corners: where it takes `CORNERS` from the anchor frame, (T, 4, 2) px.
        growth: of the torso since the anchor, (T,).
        measured: whether it says anything, (T,).
    """

    corners: Array
    growth: Array
    measured: NDArray[np.bool_]


def seen_torso(head: Head, anchor: Head, corners: Array) -> SeenTorso:
    """The torso of frames (T) by the flow.

    Args:
        anchor: the anchor frame's, T = 1.
        corners: there, (4, 2) px.
    """
    matrix, before = head.torso_2d.astype(np.float64), anchor.torso_2d[0].astype(np.float64)
    linear = matrix[:, :, :2] @ np.linalg.inv(before[:, :2])
    there = (corners - before[:, 2]) @ linear.swapaxes(1, 2) + matrix[:, None, :, 2]
    scale = float(anchor.radius[0]) / head_space.SPHERE_RADIUS
    nodes = field_weights(corners[:2], anchor.center[0].astype(np.float64), scale)
    change = head.field.astype(np.float64) - anchor.field[0]
    there[:, :2] += scale * np.array([interpolate(field, *nodes) for field in change])
    moved = np.abs(matrix[:, :, :2] - np.eye(2)).max((1, 2)) > SAME
    return SeenTorso(there, np.sqrt(np.abs(np.linalg.det(linear))), moved)


def correction(seen: SeenTorso, corners: Array, scale: Array, turn: Array, anchor: int, fps: float) -> tuple[Array, Array]:
    """What is to be added to the joints' corners (S, 4, 2) px of a whole clip, and factors on the camera's scale (S,).

    Args:
        corners: `CORNERS` by the network, (S, 4, 2) px.
        scale: px per metre by the network, (S,).
        turn: of the torso in space since the anchor, degrees, (S,).
        anchor: frame that is as it is.
    """
    size = max(float(np.linalg.norm(corners[anchor, :2].mean(0) - corners[anchor, 2:].mean(0))), 1e-6)
    off = seen.corners - corners
    apart = np.linalg.norm(off, axis=2).mean(1) / size
    near = (1 - smoothstep(apart, *APART)) * (1 - smoothstep(turn, *TURNED))
    factor = np.log(np.maximum(seen.growth, 1e-6) * scale[anchor] / scale)
    values = np.column_stack([off.reshape(len(off), -1), factor, np.ones(len(off))]) * (seen.measured * near)[:, None]
    sigma = SECONDS * fps
    reach = np.arange(-round(3 * sigma), round(3 * sigma) + 1)
    kernel = np.exp(-0.5 * (reach / max(sigma, 1e-6)) ** 2)
    around = np.stack([np.convolve(v, kernel)[len(reach) // 2 :][: len(off)] for v in values.T], 1)
    out = near[:, None] * around[:, :-1] / (around[:, -1:] + ALONE)
    out[anchor] = 0
    return out[:, :-1].reshape(corners.shape), np.exp(out[:, -1])


def legs_move(legs: Array, before: Array, fps: float) -> Array:
    """How far the legs of a whole clip move by more than a network's noise, (S, 8) of 0 to 1; 1 around a motion.

    Args:
        legs: joints from the hips on, (S, 10, 2) px.
        before: all joints as the picture has them, (33, 2) px.
    """
    size = max(float(np.linalg.norm(before[list(SHOULDERS)].mean(0) - before[list(HIPS)].mean(0))), 1e-6)
    joints, roots = (np.array(ends) for ends in zip(*LEGS, strict=True))
    moved = legs[:, joints - HIPS[0]] - legs[:, roots - HIPS[0]] - (before[joints] - before[roots])
    share = np.asarray(smoothstep(np.linalg.norm(moved, axis=2) / size, *REST))
    hold, fade = (max(round(seconds * fps), 1) for seconds in RESTLESS)
    padded = np.pad(share, ((hold + fade, hold + fade), (0, 0)), mode="edge")
    most = np.lib.stride_tricks.sliding_window_view(padded, 2 * hold + 1, 0).max(2)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(most, 2 * fade + 1, 0).mean(2))


def rested(joints: Array, before: Array, share: Array) -> Array:
    """Joints (T, 33, 2) px whose legs stay as they were ``before`` (33, 2) but for a share (T, 8) of what they move."""
    out = joints.copy()
    for k, (joint, root) in enumerate(LEGS):
        moved = joints[:, joint] - joints[:, root] - (before[joint] - before[root])
        out[:, joint] = out[:, root] + before[joint] - before[root] + share[:, k, None] * moved
    return out
