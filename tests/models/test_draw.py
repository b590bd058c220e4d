"""Poses drawn from geometry: where, how large, in which colour."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Body, Controls, Hands, Head
from dreamactor_cli.models.draw import FINGER_COLOURS, LIMB_COLOURS, LIMBS, View, draw_pose, face_crops

SHOULDERS = {11: (160, 140), 12: (96, 140)}


def head(yaws: list[float], score: float = 1.0, center: tuple[float, float] = (128, 80)) -> Head:
    frames = len(yaws)
    rotation = head_space.rotation_from_euler(np.array([[yaw, 0.0, 0.0] for yaw in yaws]))
    return Head(
        rotation=rotation.astype(np.float32), center=np.tile(np.float32(center), (frames, 1)),
        radius=np.full(frames, 40, np.float32), score=np.full(frames, score, np.float32),
        head_2d=np.zeros((frames, 2, 3), np.float32), torso_2d=np.zeros((frames, 2, 3), np.float32),
        field=np.zeros((frames, 15, 17, 2), np.float32),
    )  # fmt: skip


def body(joints: dict[int, tuple[float, float]]) -> Body:
    places, score = np.zeros((1, 33, 2), np.float32), np.zeros((1, 33), np.float32)
    for joint, place in joints.items():
        places[0, joint], score[0, joint] = place, 1
    return Body(joints_2d=places, joints_3d=np.zeros((1, 33, 3), np.float32), score=score)


def controls(**signals: object) -> Controls:
    frames = next(iter(signals.values())).num_frames  # type: ignore[attr-defined]
    return Controls(num_frames=frames, fps=Fraction(25), width=256, height=256, **signals)  # type: ignore[arg-type]


def drawn(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return picture[..., :3].any(-1)


@pytest.mark.parametrize(("width", "height"), [(256, 256), (128, 128), (512, 512), (256, 128)])
def test_the_sphere_stands_where_the_head_is(width: int, height: int) -> None:
    [picture] = draw_pose(controls(head=head([0])), width, height)
    rows, columns = np.nonzero(drawn(picture))
    scale = np.array([width, height]) / 256
    assert [columns.mean(), rows.mean()] == pytest.approx((np.array([128, 80]) + 0.5) * scale - 0.5, abs=1)
    assert np.sqrt(drawn(picture).sum() / np.pi) == pytest.approx(40 * scale.mean(), rel=0.05)


def test_its_colour_is_how_the_head_is_turned() -> None:
    ahead, left, right = draw_pose(controls(head=head([0, 40, -40])), 256, 256)
    middle = ahead[80, 128, :3].astype(int)
    assert middle == pytest.approx([128, 128, 255], abs=2)
    assert left[80, 128, 0] != right[80, 128, 0]
    assert int(left[80, 128, 0]) + int(right[80, 128, 0]) == pytest.approx(255, abs=4)
    assert np.array_equal(drawn(ahead), drawn(left))


def test_a_head_that_was_not_seen_is_not_drawn() -> None:
    assert not draw_pose(controls(head=head([0], score=0.0)), 64, 64).any()


@pytest.mark.parametrize("center", [(-100.0, 80.0), (300.0, 300.0), (1e9, 0.0), (np.nan, 80.0)])
def test_what_is_far_outside_is_nothing(center: tuple[float, float]) -> None:
    seen = controls(head=head([0], center=center), body=body(SHOULDERS))
    assert draw_pose(seen, 64, 64).shape == (1, 64, 64, 6)


def test_bones_join_joints_that_are_seen() -> None:
    [picture] = draw_pose(controls(body=body({**SHOULDERS, 13: (180, 190)})), 256, 256)
    assert tuple(picture[140, 128, :3]) == LIMB_COLOURS[LIMBS.index((11, 12))]
    assert tuple(picture[165, 170, :3]) == LIMB_COLOURS[LIMBS.index((11, 13))]
    assert not picture[192:].any() or picture[200:].sum() == 0


def test_left_and_right_differ() -> None:
    assert len(set(LIMB_COLOURS)) == len(LIMB_COLOURS)


def test_hands_are_drawn_finger_by_finger() -> None:
    joints = np.zeros((1, 2, 21, 2), np.float32)
    joints[0, 0, 0] = (100, 200)
    for joint in range(1, 21):
        joints[0, 0, joint] = (60 + 20 * ((joint - 1) // 4), 190 - 15 * ((joint - 1) % 4))
    hands = Hands(joints_2d=joints, joints_3d=np.zeros((1, 2, 21, 3), np.float32), score=np.float32([[1, 0]]))
    [picture] = draw_pose(controls(hands=hands), 256, 256)
    for finger, colour in enumerate(FINGER_COLOURS):
        assert tuple(picture[160, 60 + 20 * finger, :3]) == pytest.approx(colour, abs=60)


def test_a_view_is_a_part_of_the_picture() -> None:
    whole = draw_pose(controls(head=head([20]), body=body(SHOULDERS)), 512, 512)
    part = draw_pose(controls(head=head([20]), body=body(SHOULDERS)), 256, 256, View(64, 20, 128, 128))
    cut = whole[0, 40:296, 128:384]
    assert np.abs(cut.astype(int) - part[0]).mean() < 3  # lines are as thick as the drawn picture wants


def test_crops_follow_the_face() -> None:
    frames = np.zeros((2, 100, 120, 3), np.uint8)
    landmarks = np.zeros((2, 5, 2), np.float32)
    for frame, (x, y) in enumerate([(60, 50), (5, 5)]):
        cv2.circle(frames[frame], (x, y), 10, (255, 0, 0), -1)
        landmarks[frame] = [(x, y), (x - 10, y), (x + 10, y), (x, y - 10), (x, y + 10)]
    crops = face_crops(frames, landmarks, 32)
    assert crops.shape == (2, 32, 32, 3)
    red = crops[0, ..., 0] > 127
    assert red.mean() == pytest.approx(np.pi * 10**2 / (20**2 * 1.3), abs=0.06)
    assert np.argwhere(red).mean(0) == pytest.approx([15.5, 15.5], abs=1)
    assert crops[1, 16, 16, 0] == 255


def test_a_window_is_drawn_as_in_the_clip() -> None:
    clip = controls(head=head([0, 15, 30]))
    assert np.array_equal(draw_pose(clip, 64, 64)[1:], draw_pose(clip.window(1, 3), 64, 64))
    assert draw_pose(replace(clip, head=None), 8, 8).sum() == 0
