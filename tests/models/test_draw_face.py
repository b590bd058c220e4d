"""Faces drawn from landmarks: what opens shows, where it stands, at any size."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls, Face
from dreamactor_cli.models.draw import View, draw_pose
from dreamactor_cli.models.draw_face import DRAWN, draw_faces, outlines_of

SIDE = 256
LIPS, EYES, BROWS_IRISES = range(3)
UPPER, LOWER = head_space.INNER_LIPS[1:10], head_space.INNER_LIPS[11:]


def face(mouth: float = 0.0, lids: float = 1.0, yaw: float = 0.0, score: float = 1.0) -> Face:
    """The template: its mouth opened by so many inter-ocular units, its eyes by this share, turned by degrees, one frame."""
    shape = head_space.template()
    expression = np.zeros_like(shape)
    upper, lower = list(UPPER), list(reversed(LOWER))
    expression[lower] = shape[upper] - shape[lower] + [0, mouth, 0]  # shut where mouth is 0
    for eye in (head_space.EYE_LEFT, head_space.EYE_RIGHT):
        middle = shape[list(eye), 1].mean()
        expression[list(eye), 1] -= (1 - lids) * (shape[list(eye), 1] - middle)
    rotation = head_space.rotation_from_euler(np.array([[yaw, 0.0, 0.0]]))
    pose = head_space.HeadPose(np.array([60.0]), rotation, np.array([[SIDE / 2, 100.0, 0.0]]))
    return Face(
        landmarks=head_space.to_image(shape + expression, pose).astype(np.float32),
        expression=expression[None].astype(np.float32), identity=shape.astype(np.float32),
        blendshapes=np.zeros((1, 52), np.float32), gaze=np.zeros((1, 2, 2), np.float32), score=np.full(1, score, np.float32),
    )  # fmt: skip


def picture(size: int, **how: float) -> np.ndarray:
    scale = np.full(2, size / SIDE)
    return draw_faces(outlines_of(face(**how), np.zeros(2), scale), size, size)[0].astype(float)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [64, 256, 512])
def test_more_of_the_mouth_shows_the_wider_it_opens(size: int) -> None:
    """At 64 px an opening of a tenth of the eyes' distance is 1.5 px high, and shows."""
    eyes_apart = 60 * size / SIDE
    shut, parted, wide = (
        (picture(size, mouth=mouth)[..., LIPS] - 96).clip(0).sum() / (159 * eyes_apart**2) for mouth in (0, 0.1, 0.4)
    )
    assert shut < 0.03
    assert parted > shut + 0.03
    assert wide > parted + 0.1


@pytest.mark.parametrize("size", [64, 256])
def test_eyes_close_and_take_the_irises_along(size: int) -> None:
    still, shut = picture(size), picture(size, lids=0.05)
    assert shut[..., EYES].sum() < 0.4 * still[..., EYES].sum()
    within = still[..., EYES] > 128
    irises, left = still[..., BROWS_IRISES][within].sum(), shut[..., BROWS_IRISES][within].sum()
    assert irises > 0.1 * 255 * within.sum()
    assert left < 0.4 * irises


def test_it_stands_where_the_face_is_at_any_size() -> None:
    for size in (64, 512):
        for channel in (LIPS, EYES):
            level = picture(size, mouth=0.3)[..., channel]
            x = (level.sum(0) * (np.arange(size) + 0.5)).sum() / level.sum() / size
            assert x == pytest.approx((SIDE / 2 + 0.5) / SIDE, abs=0.01)
    assert picture(64, yaw=40)[..., LIPS].argmax(1).max() < picture(64)[..., LIPS].argmax(1).max()


def test_who_was_not_seen_is_not_drawn() -> None:
    assert np.isnan(outlines_of(face(score=0.0), np.zeros(2), np.ones(2))).all()
    assert not picture(64, score=0.0).any()
    far = np.full((1, len(DRAWN), 2), 1e9, np.float32)
    assert not draw_faces(far, 32, 32).any()


def test_poses_carry_it_in_channels_of_its_own() -> None:
    controls = Controls(num_frames=1, fps=Fraction(25), width=SIDE, height=SIDE, face=face(mouth=0.3))
    whole = draw_pose(controls, SIDE, SIDE)
    assert whole.shape == (1, SIDE, SIDE, 6)
    assert not whole[..., :3].any()
    np.testing.assert_array_equal(whole[0, ..., 3:], picture(SIDE, mouth=0.3))
    part = draw_pose(controls, SIDE // 2, SIDE // 2, View(64, 64, 128, 128))
    assert np.abs(part[0].astype(int) - whole[0, 64:192, 64:192]).mean() < 2
