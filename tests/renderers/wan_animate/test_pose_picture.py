"""Pose pictures: the format that the public model knows, drawn from our controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli.contracts import Body, Controls, Hands, Reference
from dreamactor_cli.renderers.wan_animate.pose_picture import COLORS, FINGERS, LIMBS, NUM_POINTS, draw_poses, skeleton

SIZE = 400
LEFT_WRIST, RIGHT_WRIST, LEFT_TOE, RIGHT_TOE = 7, 4, 18, 19  # of the model's points


@pytest.fixture
def standing() -> Controls:
    """A body of two frames in 400x400 px, every joint at a place of its own; the person's left is at the picture's right."""
    joints = np.zeros((2, 33, 2), np.float32)
    for joint in range(33):
        side = 1 if joint % 2 else -1
        joints[:, joint] = [200 + side * (20 + 5 * joint), 20 + 11 * joint]
    joints[1] += 6
    body = Body(joints_2d=joints, joints_3d=np.zeros((2, 33, 3), np.float32), score=np.ones((2, 33), np.float32))
    return Controls(num_frames=2, fps=Fraction(30), width=SIZE, height=SIZE, space="reference", body=body)


def _empty(num_frames: int = 1) -> Controls:
    return Controls(num_frames=num_frames, fps=Fraction(30), width=SIZE, height=SIZE, space="reference")


def test_joints_are_where_the_body_has_them_in_the_colours_of_the_format(standing: Controls) -> None:
    frames = draw_poses(standing, _empty(), SIZE, SIZE)
    assert frames.shape == (2, SIZE, SIZE, 3)
    assert standing.body is not None
    for place, joint in {RIGHT_WRIST: 16, LEFT_WRIST: 15, LEFT_TOE: 31, RIGHT_TOE: 32, 0: 0, 14: 5, 15: 2, 16: 8, 17: 7}.items():
        x, y = standing.body.joints_2d[0, joint].astype(int)
        assert tuple(frames[0, y, x]) == COLORS[place], joint
    neck = standing.body.joints_2d[0, 11:13].mean(0).astype(int)
    assert tuple(frames[0, neck[1], neck[0]]) == COLORS[1]


def test_limbs_are_dimmed_and_join_their_joints(standing: Controls) -> None:
    frame = draw_poses(standing, _empty(), SIZE, SIZE)[0]
    points, _ = skeleton(standing, _empty())
    for number, (a, b) in enumerate(LIMBS):
        x, y = points[0, [a, b]].mean(0).astype(int)
        dimmed = [int(0.6 * c) for c in COLORS[number]]
        near = frame[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).tolist()
        assert dimmed in near, (a, b)
    assert (frame.reshape(-1, 3).max(1) > 0).mean() < 0.05  # the rest is black


def test_what_is_not_seen_is_not_drawn(standing: Controls) -> None:
    assert standing.body is not None
    score = standing.body.score.copy()
    score[:, 15] = 0.2
    hidden = replace(standing, body=replace(standing.body, score=score))
    _, seen = skeleton(hidden, _empty())
    assert not seen[:, LEFT_WRIST].any()
    assert seen.sum() == 2 * (NUM_POINTS - 1)
    frame = draw_poses(hidden, _empty(), SIZE, SIZE)[0]
    assert not (frame == COLORS[LEFT_WRIST]).all(2).any()


def test_nobody_is_a_black_picture() -> None:
    assert not draw_poses(_empty(3), _empty(), 64, 48).any()


def test_other_sizes_scale_the_whole_picture(standing: Controls) -> None:
    whole, half = (np.argwhere(draw_poses(standing, _empty(), side, side)[0].any(2)) for side in (SIZE, SIZE // 2))
    np.testing.assert_allclose(half.mean(0), whole.mean(0) / 2, atol=1.5)


def test_a_joint_far_outside_harms_nothing(standing: Controls) -> None:
    assert standing.body is not None
    joints = standing.body.joints_2d.copy()
    joints[:, 15], joints[:, 16] = 1e7, np.nan
    frame = draw_poses(replace(standing, body=replace(standing.body, joints_2d=joints)), _empty(), SIZE, SIZE)[0]
    assert frame.any()


def test_fingers_are_rainbow_lines_with_blue_joints_and_unseen_hands_are_left_out() -> None:
    joints = np.zeros((1, 2, 21, 2), np.float32)
    for k in range(21):
        joints[0, :, k] = [60 + 60 * ((k - 1) // 4), 300 - 40 * ((k - 1) % 4)] if k else [180, 380]
    joints[0, 1] += 3
    hands = Hands(joints_2d=joints, joints_3d=np.zeros((1, 2, 21, 3), np.float32), score=np.array([[1, 0]], np.float32))
    frame = draw_poses(replace(_empty(), hands=hands), _empty(), SIZE, SIZE)[0]
    for x, y in joints[0, 0].astype(int):
        assert tuple(frame[y, x]) == (0, 0, 255)
    hues = {tuple(color) for color in frame.reshape(-1, 3).tolist()} - {(0, 0, 0), (0, 0, 255)}
    assert len(FINGERS) - 1 <= len(hues) <= len(FINGERS)  # one of the hues is the blue of the joints
    both = replace(hands, score=np.ones((1, 2), np.float32))
    assert draw_poses(replace(_empty(), hands=both), _empty(), SIZE, SIZE).any(3).sum() > frame.any(2).sum()


def test_without_a_body_the_references_follows_the_torso(reference: Reference, perform: Callable[..., Controls]) -> None:
    assert reference.controls.body is not None
    assert reference.controls.head is not None
    moved = reference.controls.head.torso_2d.copy()
    moved[:] = [[1, 0, 30], [0, 1, -20]]
    controls = replace(reference.controls, head=replace(reference.controls.head, torso_2d=moved), body=None)
    points, seen = skeleton(controls, reference.controls)
    still, _ = skeleton(reference.controls, reference.controls)
    assert seen[0, [2, 5]].all()  # the shoulders of the portrait
    np.testing.assert_allclose(points[0, [2, 5]] - still[0, [2, 5]], [[30, -20], [30, -20]], atol=1e-3)
    np.testing.assert_allclose(points[0, 0], still[0, 0])  # the nose is the face's


def test_the_ear_behind_the_head_is_hidden(reference: Reference) -> None:
    head = reference.controls.head
    assert head is not None
    for degrees, hidden in ((60, 16), (-60, 17)):
        angle = np.radians(degrees)
        turn = np.array([[[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]], np.float32)
        forward = -turn[0, :, 2]  # where the face looks
        _, seen = skeleton(replace(reference.controls, head=replace(head, rotation=turn)), reference.controls)
        assert not seen[0, hidden]
        assert seen[0, 33 - hidden]
        assert (forward[0] < 0) == (
            hidden == 16
        )  # it looks to the picture's left, where the person's right ear goes out of sight
