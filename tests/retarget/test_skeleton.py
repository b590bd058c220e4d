"""Bones in space from bones in a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dreamactor_cli.retarget.contacts import contacts, standing_shift
from dreamactor_cli.retarget.skeleton import (
    BONES,
    LONGEST,
    SPINE,
    bone_lengths,
    leant_as,
    lifted,
    px_per_metre,
    raw_bones,
    settled,
)
from tests.retarget.bodies import picture, pose


def test_depth_follows_from_the_length_of_a_foreshortened_bone() -> None:
    body = picture(pose(leftArmForward=60.0)).body
    flat, deep, score = (a.astype(np.float64) for a in (body.joints_2d, body.joints_3d, body.score))
    wrong = deep.copy()
    wrong[..., 2] *= 0.5  # networks see less depth than there is
    scale = px_per_metre(flat, deep, score)
    assert scale == pytest.approx(200, rel=0.01)
    true = raw_bones(flat, deep, scale)
    raw = raw_bones(flat, wrong, scale)
    length = np.linalg.norm(true, axis=2)
    better = lifted(raw, length)
    upper = next(k for k, bone in enumerate(BONES) if bone.stop == (13,))
    assert abs(np.linalg.norm(better[0, upper]) / length[0, upper] - 1) < 1e-6
    assert abs(np.linalg.norm(raw[0, upper]) / length[0, upper] - 1) > 0.2
    np.testing.assert_allclose(better[..., :2], raw[..., :2])


def test_another_view_tells_the_length_of_a_hidden_arm() -> None:
    joints = np.concatenate([pose(armForward=85.0), pose(armRaise=30.0)])
    body = picture(joints).body
    flat, deep, score = (a.astype(np.float64) for a in (body.joints_2d, body.joints_3d, body.score))
    deep[..., 2] *= 0.4
    scale = px_per_metre(flat, deep, score)
    both = bone_lengths(raw_bones(flat, deep, scale) / scale[:, None, None], score)
    one = bone_lengths(raw_bones(flat[:1], deep[:1], scale[:1]) / scale[:1, None, None], score[:1])
    true = np.linalg.norm(joints[0, 13] - joints[0, 11])
    assert abs(both[3] / true - 1) < 0.05 < 0.3 < abs(one[3] / true - 1)


@pytest.mark.parametrize("longer", [1.0, 1.4])
def test_one_picture_leans_as_whom_it_agrees_with(longer: float) -> None:
    """A network sees two thirds of a bow; who is bowed alike, and measured over a clip, tells the rest, of whatever length."""
    body = picture(pose(hipsPitch=30.0, armRaise=30.0, leftElbow=50.0)).body
    flat, deep = (a.astype(np.float64) for a in (body.joints_2d, body.joints_3d))
    theirs = raw_bones(flat, deep, np.array([200.0]))[0]
    true = theirs * longer
    seen = true * [1.0, 1.0, 0.67]
    out = leant_as(seen, theirs)
    np.testing.assert_allclose(out[:, :2], seen[:, :2])
    off = [np.abs(np.linalg.norm(bones, axis=1) / np.linalg.norm(true, axis=1) - 1) for bones in (seen, out)]
    assert off[0][SPINE] > 0.03
    assert off[1][SPINE] < 0.01
    assert (off[1] <= off[0] + 1e-9).all()


def test_one_picture_does_not_lean_as_who_is_posed_otherwise() -> None:
    bones = [raw_bones(p.joints_2d.astype(np.float64), p.joints_3d.astype(np.float64), np.array([200.0]))[0]
             for p in (picture(pose(armForward=angle)).body for angle in (10.0, 70.0))]  # fmt: skip
    out = leant_as(*bones)
    arms = [k for k, bone in enumerate(BONES) if bone.part == "arms"]
    np.testing.assert_allclose(out[arms], bones[0][arms])


def test_a_settled_body_agrees_with_its_picture() -> None:
    body = picture(pose(armRaise=30.0, leftElbow=50.0, hipsYaw=20.0)).body
    rng = np.random.default_rng(1)
    noisy = replace(body, joints_3d=(body.joints_3d + rng.normal(0, 0.02, body.joints_3d.shape)).astype(np.float32))
    out = settled(noisy)
    flat, deep = out.joints_2d[0].astype(np.float64), out.joints_3d[0].astype(np.float64)
    scale = np.polyfit(deep[:, 0], flat[:, 0], 1)[0]
    offset = flat - scale * deep[:, :2]
    assert np.ptp(offset, axis=0).max() < 0.01
    np.testing.assert_allclose(out.joints_2d, noisy.joints_2d)
    assert np.abs(deep[:, 2] - body.joints_3d[0, :, 2]).max() < 0.15


def test_a_foot_stands_where_it_is_slow_and_low() -> None:
    feet = np.zeros((30, 2, 2))
    feet[:, 0] = [100, 300]
    feet[:, 1] = [160, 300]
    feet[10:20, 1, 1] -= 40 * np.sin(np.linspace(0, np.pi, 10))
    stands = contacts(feet, np.full(30, 200.0), 25.0)
    assert stands[:, 0].all()
    assert not stands[11:19, 1].any()
    assert stands[[2, 27], 1].all()


def test_the_shift_holds_a_sliding_foot_and_the_anchor() -> None:
    feet = np.zeros((40, 2, 2))
    feet[:, 0, 0] = 0.5 * np.arange(40)  # slides by 20 px
    feet[:, 1, 0] = 90
    stands = np.zeros((40, 2), bool)
    stands[5:35, 0] = True
    shift = standing_shift(feet, stands, anchor=0)
    held = feet[5:35, 0] + shift[5:35]
    assert np.ptp(held[:, 0]) < 2.5
    assert abs(shift[0]).max() < 1e-3
    assert abs(np.diff(shift[:, 0])).max() < 2
    np.testing.assert_allclose(standing_shift(feet, np.zeros((40, 2), bool), 0), 0)


def test_the_network_makes_no_bone_longer_than_it_is() -> None:
    """An upper arm that is seen at its full length does not also point to the camera, whatever the network says."""
    lengths = np.full((1, 21), 60.0)
    bones = np.zeros((1, 21, 3))
    bones[0, :, 0], bones[0, :, 2] = 60.0, -50.0
    bones[0, 5] = (64.0, 30.0, -50.0)  # seen longer than it can be: it lies in the plane
    found = lifted(bones, lengths)
    assert (np.linalg.norm(found[0], axis=1)[:5] <= LONGEST * 60 + 1e-9).all()
    assert (found[0, :5, 2] < 0).all()
    assert found[0, 5, 2] == 0
