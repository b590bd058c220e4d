"""Hands that are re-posed: palms point and bend as the driver's, fingers come and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dreamactor_cli.contracts import Controls, Hands
from dreamactor_cli.picture_space import move_controls
from tests.retarget.bodies import moved, open_hands, picture, pose


def test_hands_alone_move_on_still_arms(perform: Callable[..., Controls]) -> None:
    driver = perform(0.8, handBend=(0, 60, 0), armRaise=(0, 40, 0))
    reference = picture(pose())
    out = moved(reference, driver, region=("hands",)).body
    assert out is not None
    still = [k for k in range(33) if k not in range(17, 23)]
    np.testing.assert_allclose(out.joints_2d[:, still], np.repeat(reference.body.joints_2d[:, still], 20, 0), atol=1e-2)
    assert np.ptp(out.joints_2d[:, 19], axis=0).max() > 5


def test_fingers_follow_and_ease_back_when_the_hand_is_lost(perform: Callable[..., Controls]) -> None:
    driver = perform(1.6, armRaise=(0, 5))
    wide = picture(np.repeat(pose(), 40, 0))
    hands = open_hands(np.repeat(pose(), 40, 0), wide)
    flat, deep, score = hands.joints_2d.copy(), hands.joints_3d.copy(), hands.score.copy()
    for k in (6, 7, 8):  # the index finger bends to the side
        flat[8:, 0, k] += [12.0 * (k - 5), -6.0 * (k - 5)]
        deep[8:, 0, k] += [0.06 * (k - 5), -0.03 * (k - 5), 0]
    score[28:, 0] = 0
    driver = replace(driver, hands=replace(hands, joints_2d=flat, joints_3d=deep, score=score))
    reference = picture(pose())
    reference = replace(reference, hands=open_hands(pose(), reference))
    out = moved(reference, driver).hands
    assert out is not None
    tip = out.joints_2d[:, 0, 8] - out.joints_2d[:, 0, 0]
    assert tip[20, 0] > tip[0, 0] + 8
    assert abs(tip[39, 0] - tip[0, 0]) < 3  # nobody sees it any longer
    bones = np.linalg.norm(out.joints_3d[:, 0, 6] - out.joints_3d[:, 0, 5], axis=1)
    np.testing.assert_allclose(bones, bones[0], rtol=0.01)


def with_hands_along_the_knuckles(driver: Controls, seen: bool) -> tuple[Controls, np.ndarray]:
    """A filmed driver whose open hands point in the picture as its knuckles do, and where that is, (T, 2, 2)."""
    driver = move_controls(replace(driver, extractor_versions={}, width=4000, height=4000), 1.0, np.full(2, -2000.0))
    body = driver.body
    assert body is not None
    knuckles = body.joints_2d[:, [17, 18]] + body.joints_2d[:, [19, 20]] - 2 * body.joints_2d[:, [15, 16]]
    hands = open_hands(np.repeat(pose(), driver.num_frames, 0), driver)
    way = knuckles / np.linalg.norm(knuckles, axis=2, keepdims=True)
    turn = np.stack([np.stack([way[..., 1], -way[..., 0]], -1), np.stack([way[..., 0], way[..., 1]], -1)], -2)  # from down
    flat = hands.joints_2d - body.joints_2d[:, [15, 16], None]
    hands = replace(
        hands, joints_2d=(flat @ turn + body.joints_2d[:, [15, 16], None]).astype(np.float32),
        joints_3d=np.concatenate([hands.joints_3d[..., :2] @ turn, hands.joints_3d[..., 2:]], 3).astype(np.float32),
        score=hands.score * np.float32(seen),
    )  # fmt: skip
    return replace(driver, hands=hands), way


def off_the_way(hands: Hands, way: np.ndarray) -> np.ndarray:
    """Degrees in the picture between the right hand and where it should point, (T,)."""
    mine = hands.joints_2d[:, 1, 9] - hands.joints_2d[:, 1, 0]
    return np.degrees(np.arccos(np.clip((mine * way[:, 1]).sum(1) / np.linalg.norm(mine, axis=1), -1, 1)))


@pytest.mark.parametrize("seen", [True, False])
def test_on_an_arm_that_takes_the_drivers_pose_the_hand_points_as_the_drivers(
    perform: Callable[..., Controls], seen: bool
) -> None:
    """Though picture and driver begin apart; where the network of hands sees none, the body's joints say where."""
    driver = perform(1.0, rightArmRaise=(150, 60, 60), leftArmRaise=(80, 84, 80), handBend=(70, 70))
    driver, way = with_hands_along_the_knuckles(driver, seen)
    reference = picture(pose(armRaise=10.0))
    reference = replace(reference, hands=open_hands(pose(armRaise=10.0), reference))
    alone = moved(reference, driver, region=("hands",)).hands
    assert alone is not None
    if seen:  # hands alone, on arms that rest, begin as in the picture
        np.testing.assert_allclose(alone.joints_2d[0], reference.hands.joints_2d[0], atol=0.1)
    out = moved(reference, driver).hands
    assert out is not None
    assert np.median(off_the_way(out, way)) < 20


def test_a_hand_bends_as_the_drivers_however_the_forearm_of_the_picture_came_there(perform: Callable[..., Controls]) -> None:
    """A forearm that points at the camera in the picture turns about another axis than a wrist that bends before it."""
    driver = perform(1.0, rightArmRaise=(100, 60, 60), leftArmRaise=(80, 84, 80), handBend=(0, 70, -30))
    driver, way = with_hands_along_the_knuckles(driver, True)
    rest = pose(armRaise=10.0, elbow=80.0)
    reference = picture(rest)
    out = moved(replace(reference, hands=open_hands(rest, reference)), driver).hands
    assert out is not None
    assert off_the_way(out, way).max() < 20


@pytest.mark.parametrize(("pointing", "stays"), [(False, True), (True, False)])
def test_a_wrist_that_body_and_hand_disagree_about_comes_to_the_bone_where_the_forearm_points_at_the_camera(
    perform: Callable[..., Controls], pointing: bool, stays: bool
) -> None:
    """Of a forearm that is seen in its length the hand keeps what it lies beside it."""
    driver = perform(1.0, armRaise=(0, 70, 70))
    driver = replace(driver, hands=open_hands(np.repeat(pose(), driver.num_frames, 0), driver))
    reference = picture(pose(armRaise=10.0))
    body = reference.body
    if pointing:  # an eighth of the forearm in the picture, the rest towards the camera
        flat, deep = body.joints_2d.copy(), body.joints_3d.copy()
        for elbow, wrist, hand in ((13, 15, (17, 19, 21)), (14, 16, (18, 20, 22))):
            arm = deep[0, wrist] - deep[0, elbow]
            at = deep[0, elbow] + arm / 8 - [0, 0, float(np.linalg.norm(arm)) * 0.99]
            shift = at - deep[0, wrist]
            for joint in (wrist, *hand):
                deep[0, joint] += shift
                flat[0, joint] += shift[:2] * 200.0
        body = replace(body, joints_2d=flat.astype(np.float32), joints_3d=deep.astype(np.float32))
        reference = replace(reference, body=body)
    hands = open_hands(pose(), reference)
    reference = replace(reference, hands=replace(hands, joints_2d=hands.joints_2d + np.float32([8.0, 0.0])))
    out = moved(reference, driver)
    off = np.linalg.norm(out.hands.joints_2d[:, :, 0] - out.body.joints_2d[:, [15, 16]], axis=2)
    np.testing.assert_allclose(off[0], 8, atol=0.5)
    assert bool((off[-1] > 4).all()) == stays
    assert stays or off[-1].max() < 1
