"""Skeletons whose bones are known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from dreamactor_cli import motion_body
from dreamactor_cli.contracts import Body, Controls, Hands, Preset
from dreamactor_cli.retarget.stand_in import with_stand_in
from dreamactor_cli.retarget.transfer import RetargetedStream

# From, to, and which length it is; parents first. Hips and shoulders hang on the middle between the hips.
CHAIN = (
    (11, 13, "arm"), (13, 15, "arm"), (12, 14, "arm"), (14, 16, "arm"), (23, 25, "leg"), (25, 27, "leg"), (24, 26, "leg"),
    (26, 28, "leg"), (27, 29, "foot"), (27, 31, "foot"), (28, 30, "foot"), (28, 32, "foot"), (15, 17, "hand"), (15, 19, "hand"),
    (15, 21, "hand"), (16, 18, "hand"), (16, 20, "hand"), (16, 22, "hand"),
)  # fmt: skip
MEASURED = [(11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26), (26, 28), (11, 12), (23, 24)]


def scaled(joints: np.ndarray, **factors: float) -> np.ndarray:
    """Joints (T, 33, 3) of somebody with other proportions: factors on ``arm``, ``leg``, ``shoulder``."""
    out = joints.copy()
    middle = joints[:, [11, 12]].mean(1)
    for k in (11, 12):
        out[:, k] = middle + factors.get("shoulder", 1) * (joints[:, k] - middle)
    for start, stop, part in CHAIN:
        out[:, stop] = out[:, start] + factors.get(part, 1) * (joints[:, stop] - joints[:, start])
    return out


def lengths(joints: np.ndarray) -> np.ndarray:
    """Lengths of `MEASURED` bones of joints (T, 33, 3), (T, 10)."""
    return np.stack([np.linalg.norm(joints[:, a] - joints[:, b], axis=1) for a, b in MEASURED], 1)


def picture(
    joints: np.ndarray, *, px: float = 200.0, size: tuple[int, int] = (600, 700), hands: Hands | None = None, face: bool = True
) -> Controls:
    """Controls of pictures that show joints (T, 33, 3) m, ``px`` a metre, the hips of the first in the middle; all seen."""
    width, height = size
    flat = joints[..., :2] * px + [width / 2, height * 0.52] - joints[:1, [23, 24], :2].mean(1, keepdims=True) * px
    body = Body(
        joints_2d=flat.astype(np.float32), joints_3d=(joints - joints[:, [23, 24]].mean(1, keepdims=True)).astype(np.float32),
        score=np.ones(joints.shape[:2], np.float32),
    )  # fmt: skip
    controls = Controls(
        num_frames=len(joints), fps=Fraction(25), width=width, height=height, space="reference", body=body, hands=hands
    )
    return with_stand_in(controls) if face else controls


def pose(frames: int = 1, **angles: float) -> np.ndarray:
    """Joints (T, 33, 3) m of the template with joint angles in degrees."""
    return motion_body.perform_body({name: np.full(frames, value) for name, value in angles.items()}, frames).joints


def hide(controls: Controls, *joints: int) -> Controls:
    """The controls with joints that are not seen."""
    assert controls.body is not None
    score = controls.body.score.copy()
    score[:, list(joints)] = 0.1
    return replace(controls, body=replace(controls.body, score=score))


def open_hands(joints: np.ndarray, controls: Controls, px: float = 200.0) -> Hands:
    """Flat open hands at the wrists of a picture, fingers down."""
    assert controls.body is not None
    fan = np.zeros((21, 3))
    for finger in range(5):
        for k in range(4):
            fan[1 + 4 * finger + k] = [0.02 * (finger - 2), 0.05 + 0.025 * k + 0.01 * (finger == 2), 0.01 * k]
    frames = len(joints)
    deep = np.tile(fan, (frames, 2, 1, 1))
    flat = controls.body.joints_2d[:, [15, 16], None] + deep[..., :2] * px
    return Hands(joints_2d=flat.astype(np.float32), joints_3d=deep.astype(np.float32), score=np.ones((frames, 2), np.float32))


def moved(reference: Controls, driver: Controls, **options: object) -> Controls:
    """The whole clip, retargeted."""
    preset = replace(Preset(smoothing=0), **options)  # type: ignore[arg-type]
    return RetargetedStream(reference, driver, preset, driver.fps).window(0, driver.num_frames)
