"""A face for who has none: what moves heads needs one, and nobody is to draw it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.body_space import EARS, SHOULDERS
from dreamactor_cli.contracts import Controls, Face, Head
from dreamactor_cli.person_space import still_field

EYES_OF_SHOULDERS = 0.18  # distance of the eyes as a share of the shoulders' width


def with_stand_in(controls: Controls) -> Controls:
    """The controls with a template face where the skeleton has its head; as they are if they have a face."""
    if controls.face is not None and controls.head is not None:
        return controls
    frames = controls.num_frames
    center = np.tile([controls.width / 2, controls.height / 2], (frames, 1))
    unit = np.full(frames, 0.1 * min(controls.width, controls.height))
    if controls.body is not None:
        joints = controls.body.joints_2d.astype(np.float64)
        center = joints[:, list(EARS)].mean(1)
        wide = np.linalg.norm(joints[:, SHOULDERS[0]] - joints[:, SHOULDERS[1]], axis=1)
        unit = np.maximum(EYES_OF_SHOULDERS * wide, 1.0)
    rotation = np.tile(np.eye(3), (frames, 1, 1))
    pose = head_space.pose_of_sphere(center, head_space.SPHERE_RADIUS * unit, rotation)
    identity = head_space.template().astype(np.float32)
    still = np.repeat(np.eye(2, 3, dtype=np.float32)[None], frames, 0)
    face = Face(
        landmarks=head_space.to_image(identity, pose).astype(np.float32), expression=np.zeros((frames, 478, 3), np.float32),
        identity=identity, blendshapes=np.zeros((frames, 52), np.float32), gaze=np.zeros((frames, 2, 2), np.float32),
        score=np.zeros(frames, np.float32),
    )  # fmt: skip
    head = Head(
        rotation=rotation.astype(np.float32), center=center.astype(np.float32),
        radius=(head_space.SPHERE_RADIUS * unit).astype(np.float32), score=np.zeros(frames, np.float32), head_2d=still,
        torso_2d=still.copy(), field=still_field(frames),
    )  # fmt: skip
    return replace(controls, face=face, head=head)
