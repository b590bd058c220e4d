"""Bodies that are re-posed: what is known of the skeletons must come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli.contracts import Controls, Preset
from dreamactor_cli.errors import UsageError
from dreamactor_cli.picture_space import move_controls
from dreamactor_cli.retarget import body
from dreamactor_cli.retarget.transfer import RetargetedStream
from tests.retarget.bodies import hide, lengths, moved, open_hands, picture, pose, scaled

FPS = Fraction(25)
LEGS, ARMS = tuple(range(25, 33)), tuple(range(13, 23))
DANCE = {
    "rightArmRaise": (0, 80, 20), "rightElbow": (0, 90, 30), "leftArmForward": (0, 70, -20), "leftElbow": (0, 20, 60),
    "leftThighForward": (0, 60, 0), "leftKnee": (0, 80, 0), "hipsYaw": (0, 25, -15), "spinePitch": (0, 15, 0),
    "headYaw": (0, 20, 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def dance(perform: Callable[..., Controls]) -> Controls:
    """1.2 s with all limbs in motion, towards the camera too."""
    return perform(1.2, **DANCE)


def noisy(driver: Controls, px: float, metres: float) -> Controls:
    """A driver with the noise of a tracker."""
    rng = np.random.default_rng(0)
    body = driver.body
    assert body is not None
    flat = body.joints_2d + rng.normal(0, px, body.joints_2d.shape)
    deep = body.joints_3d + rng.normal(0, metres, body.joints_3d.shape)
    return replace(
        driver, body=replace(body, joints_2d=flat.astype(np.float32), joints_3d=deep.astype(np.float32)),
        extractor_versions={},
    )  # fmt: skip


@pytest.mark.parametrize(
    "build",
    [{"arm": 0.65, "leg": 0.55, "shoulder": 0.7}, {"arm": 1.7}, {"shoulder": 1.6, "leg": 1.1}],
    ids=["child", "ape", "wide"],
)
def test_limbs_keep_the_lengths_of_the_reference(build: dict[str, float], dance: Controls) -> None:
    joints = scaled(pose(armRaise=12.0, leftArmForward=30.0, elbow=15.0), **build)
    out = moved(picture(joints), dance).body
    assert out is not None
    known = lengths(joints)
    assert np.abs(lengths(out.joints_3d.astype(np.float64)) / known - 1).max() < 0.03
    turned = out.joints_3d[:, 15] - out.joints_3d[:, 13]
    assert np.ptp(turned, axis=0).max() > 0.05  # and they do move


def test_noise_of_a_tracker_does_not_show_in_the_lengths(dance: Controls) -> None:
    joints = scaled(pose(armRaise=12.0), arm=1.5)
    out = moved(picture(joints), noisy(dance, 1.5, 0.01), smoothing=5).body
    assert out is not None
    error = lengths(out.joints_3d.astype(np.float64)) / lengths(joints) - 1
    assert np.abs(np.median(error, axis=0)).max() < 0.03
    assert np.abs(error).max() < 0.12


def test_without_bone_lengths_the_drivers_build_comes_through(dance: Controls, perform: Callable[..., Controls]) -> None:
    reference = picture(scaled(pose(), arm=0.5))
    kept, taken = (moved(reference, dance, bone_length=value).body for value in ("auto", "off"))
    assert kept is not None
    assert taken is not None
    before, *_ = lengths(reference.body.joints_3d.astype(np.float64))
    drift = [np.abs(lengths(b.joints_3d.astype(np.float64))[:, :4] / before[:4] - 1).max() for b in (kept, taken)]
    assert drift[0] < 0.03 < 0.3 < drift[1]


@pytest.mark.parametrize("smoothing", [0, 5])
def test_the_anchor_frame_is_the_picture(dance: Controls, smoothing: int) -> None:
    reference = picture(scaled(pose(armRaise=20.0, leftElbow=40.0, thighOut=5.0), arm=1.3))
    reference = replace(reference, hands=open_hands(pose(), reference))
    out = moved(reference, noisy(dance, 1.0, 0.01), smoothing=smoothing)
    for mine, given in ((out.body, reference.body), (out.hands, reference.hands)):
        np.testing.assert_allclose(mine.joints_2d[0], given.joints_2d[0], atol=1e-3)
    np.testing.assert_allclose(out.body.joints_3d[0], reference.body.joints_3d[0], atol=1e-4)
    np.testing.assert_allclose(out.head.center[0], reference.head.center[0], atol=1e-3)


def test_a_still_driver_leaves_the_picture(perform: Callable[..., Controls]) -> None:
    reference = picture(scaled(pose(rightArmRaise=50.0), leg=1.4))
    out = moved(reference, perform(0.4, jawOpen=(0, 1)))
    np.testing.assert_allclose(out.body.joints_2d, np.repeat(reference.body.joints_2d, 10, 0), atol=1e-2)


def test_who_drives_itself_gets_its_own_joints(dance: Controls) -> None:
    reference = move_controls(replace(dance.window(0, 1), space="reference", width=4000, height=4000), 1.0, np.full(2, -2000.0))
    out = moved(reference, dance).body
    assert out is not None
    torso = np.linalg.norm(dance.body.joints_2d[0, 11] - dance.body.joints_2d[0, 23])
    error = np.linalg.norm(out.joints_2d - 2000 - dance.body.joints_2d, axis=2)[:, 11:] / torso
    assert np.median(error) < 0.01
    assert error.max() < 0.1


def test_a_limb_that_comes_far_takes_the_drivers_pose(perform: Callable[..., Controls]) -> None:
    driver = perform(1.0, armRaise=(150, 0, 0), elbow=(60, 0, 0))
    out = moved(picture(pose(armRaise=10.0)), driver).body
    assert out is not None
    assert (out.joints_2d[-1, [15, 16], 1] > out.joints_2d[-1, [11, 12], 1] + 60).all()  # the hands hang, as the driver's do


def test_a_limb_that_moves_far_in_a_film_is_followed_from_the_first_frame(perform: Callable[..., Controls]) -> None:
    """A filmed driver's pose is one that a picture can be in, unlike the standing figure of a built-in motion."""
    driver = perform(1.0, rightArmRaise=(150, 60, 60), leftArmRaise=(80, 84, 80))
    driver = move_controls(replace(driver, extractor_versions={}, width=4000, height=4000), 1.0, np.full(2, -2000.0))
    reference = picture(pose(armRaise=10.0))
    out = moved(reference, driver).body
    assert out is not None
    assert out.joints_2d[0, 16, 1] < out.joints_2d[0, 12, 1] - 60  # one hand is up, as the driver's is
    np.testing.assert_allclose(out.joints_2d[0, 15], reference.body.joints_2d[0, 15], atol=8)  # the other hangs as before


def test_what_agrees_with_a_film_at_its_anchor_begins_as_it_is(perform: Callable[..., Controls]) -> None:
    """A few degrees between picture and driver are errors of measurement, until the limb has moved by more than they are."""
    driver = perform(1.0, rightArmRaise=(60, 60, 150))
    driver = move_controls(replace(driver, extractor_versions={}, width=4000, height=4000), 1.0, np.full(2, -2000.0))
    reference = picture(pose(rightArmRaise=52.0))
    out = moved(reference, driver).body
    assert out is not None
    np.testing.assert_allclose(out.joints_2d[0, 16], reference.body.joints_2d[0, 16], atol=1e-2)
    mine, theirs = (b.joints_3d[-1, 16] - b.joints_3d[-1, 12] for b in (out, driver.body))
    cosine = mine @ theirs / (np.linalg.norm(mine) * np.linalg.norm(theirs))
    assert cosine > np.cos(np.radians(1))  # by relative motion alone it would be 8 degrees


@pytest.mark.parametrize("yaw", [0.0, 25.0])
def test_a_limb_that_has_arrived_points_where_the_drivers_does(perform: Callable[..., Controls], yaw: float) -> None:
    """Whichever way the torso of the picture faces: its own is kept, and the arm is seen as in the film."""
    driver = perform(1.0, rightArmRaise=(20, 20, 95))
    driver = move_controls(replace(driver, extractor_versions={}, width=4000, height=4000), 1.0, np.full(2, -2000.0))
    out = moved(picture(pose(hipsYaw=-yaw)), driver).body
    assert out is not None
    mine, theirs = (b.joints_3d[-1, 16] - b.joints_3d[-1, 14] for b in (out, driver.body))
    assert mine @ theirs / (np.linalg.norm(mine) * np.linalg.norm(theirs)) > np.cos(np.radians(2))


@pytest.mark.parametrize(("bend", "follows"), [(0, False), (60, True)])
def test_a_torso_that_moves_far_in_a_film_is_put_as_the_drivers(
    perform: Callable[..., Controls], bend: float, follows: bool
) -> None:
    """A squat that is seen from the side stays one, though the picture faces the other way."""
    driver = perform(1.0, hipsYaw=(25, 25), spinePitch=(0, bend, 0))
    driver = move_controls(replace(driver, extractor_versions={}, width=4000, height=4000), 1.0, np.full(2, -2000.0))
    reference = picture(pose(hipsYaw=-25.0))
    out = moved(reference, driver).body
    assert out is not None
    mine, theirs, now = (b.joints_3d[0, 11, 2] - b.joints_3d[0, 12, 2] for b in (reference.body, driver.body, out))
    assert mine * theirs < 0
    assert now == pytest.approx(theirs if follows else mine, rel=0.1)


def test_absolute_motion_takes_the_drivers_pose_at_once(perform: Callable[..., Controls]) -> None:
    driver = perform(0.4, rightArmRaise=(90, 90))
    out = moved(picture(scaled(pose(), arm=1.4)), driver, motion="absolute").body
    assert out is not None
    upper = out.joints_3d[0, 14] - out.joints_3d[0, 12]
    assert abs(upper[1]) < 0.15 * np.linalg.norm(upper)
    assert upper[0] < 0


def test_standing_feet_do_not_slide(perform: Callable[..., Controls]) -> None:
    squat = perform(
        1.6, thighForward=(0, 70, 0), knee=(0, 100, 0), ankle=(0, 30, 0), leftThighOut=(0, -8, 0), rightThighOut=(0, 8, 0)
    )
    reference = picture(scaled(pose(thighOut=8.0), leg=1.5, shoulder=0.8), size=(600, 900))
    out = moved(reference, squat).body
    assert out is not None
    hips = np.ptp(out.joints_2d[:, [23, 24]].mean(1), axis=0)
    feet = np.ptp(out.joints_2d[:, [27, 28]].mean(1), axis=0)
    leg = 200 * 1.5 * 0.83
    assert hips.max() > 0.1 * leg
    assert feet.max() < 0.02 * leg


def test_a_foot_that_the_driver_does_not_show_does_not_pin_the_body(perform: Callable[..., Controls]) -> None:
    still = perform(1.2, jawOpen=(0, 0.1))
    assert still.body is not None
    flat = still.body.joints_2d.copy()
    flat[..., 0] += np.linspace(0, 900, len(flat))[:, None]  # px that it travels
    flat[:, [27, 29, 31]] = flat[:1, [27, 29, 31]]  # a foot that is guessed stays where it was guessed
    driver = replace(still, body=replace(still.body, joints_2d=flat), width=4000, height=4000, extractor_versions={})
    reference = picture(pose())
    hidden, shown = (moved(reference, d).body.joints_2d[:, [23, 24], 0].mean(1) for d in (hide(driver, 27, 29, 31), driver))
    assert np.ptp(hidden) > 1.3 * np.ptp(shown)


def test_spine_and_neck_give_way(dance: Controls, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = picture(pose())
    assert dance.head is not None
    unmeasured = replace(dance.head, torso_2d=np.tile(np.eye(2, 3, dtype=np.float32), (dance.num_frames, 1, 1)))
    driver = noisy(replace(dance, head=unmeasured, width=2000, height=2000), 0.0, 0.0)  # all of the body is in its picture
    assert driver.body is not None
    flat = driver.body.joints_2d.copy()
    flat[5:, [11, 12], 1] -= 90.0  # px, as a network's shoulders wander when arms are raised
    wandered = replace(driver, body=replace(driver.body, joints_2d=flat))

    def off() -> tuple[float, float]:
        """How far shoulders and head go by what the driver's shoulders wander, px."""
        out, plain = moved(reference, wandered), moved(reference, driver)
        shoulders = (out.body.joints_2d - plain.body.joints_2d)[8:, [11, 12], 1].mean()
        return float(shoulders), float(np.abs(out.head.center - plain.head.center)[8:].mean())

    shoulders, head = off()
    monkeypatch.setattr(body, "SPINE_GIVES", 1e-9)
    monkeypatch.setattr(body, "NECK_GIVES", 1e-9)
    stiff_shoulders, stiff_head = off()
    assert shoulders < stiff_shoulders - 1  # which went where the driver's went
    assert head < 0.7 * stiff_head  # which stayed as the driver's did


def test_a_portrait_moves_the_upper_part_of_a_whole_body(perform: Callable[..., Controls]) -> None:
    driver = perform(1.0, spineRoll=(0, 12, 0), headYaw=(0, 20, 0), leftThighForward=(0, 60, 0))
    driver = replace(hide(driver, *ARMS, 23, 24, *LEGS), extractor_versions={})
    driver = replace(driver, width=2000, height=2000)
    reference = picture(pose())
    stream = RetargetedStream(reference, driver, Preset(smoothing=0), FPS)
    out = stream.window(0, 25).body
    assert out is not None
    still = reference.body.joints_2d[0]
    np.testing.assert_allclose(out.joints_2d[:, [23, 24, *LEGS]], np.repeat(still[None, [23, 24, *LEGS]], 25, 0), atol=0.5)
    assert np.abs(out.joints_2d[12, [11, 12]] - still[[11, 12]]).max() > 3
    assert np.abs(out.joints_2d[12, 13] - out.joints_2d[12, 11] - (still[13] - still[11])).max() < 25  # arms ride along
    (notice,) = stream.notices
    assert "does not show arms, hands or legs" in notice


def test_a_whole_body_moves_what_a_half_one_shows(dance: Controls) -> None:
    reference = hide(picture(pose(armRaise=15.0), size=(600, 420)), *LEGS)
    driver = move_controls(replace(dance, extractor_versions={}, width=4000, height=4000), 1.0, np.full(2, -2000.0))
    stream = RetargetedStream(reference, driver, Preset(smoothing=0), FPS)
    out = stream.window(0, dance.num_frames).body
    assert out is not None
    assert np.ptp(out.joints_2d[:, 16], axis=0).max() > 40
    assert "the picture does not show the driver's legs" in stream.notices[0]


def test_framed_alike_nothing_is_told(dance: Controls) -> None:
    assert RetargetedStream(picture(pose()), dance, Preset(), FPS).notices == ()


def test_a_driver_without_a_body_leaves_it_at_rest(dance: Controls) -> None:
    unseen = replace(dance.body, score=np.zeros_like(dance.body.score), joints_2d=np.zeros_like(dance.body.joints_2d))
    for driver in (replace(dance, body=None), replace(dance, body=unseen)):
        stream = RetargetedStream(picture(pose()), driver, Preset(), FPS)
        assert stream.window(0, 5).body is None
        assert "no body" in stream.notices[0]
        with pytest.raises(UsageError, match="without a face"):
            RetargetedStream(picture(pose(), face=False), driver, Preset(), FPS)


def test_a_portrait_has_no_body(dance: Controls) -> None:
    out = moved(hide(picture(pose()), *ARMS, 23, 24, *LEGS), dance)
    assert out.body is None
    assert out.hands is None


def test_face_and_head_keep_the_body_still(dance: Controls) -> None:
    reference = picture(pose())
    out = moved(reference, dance, region=("face", "head"))
    assert out.body is None
    assert np.abs(out.head.rotation[15] - out.head.rotation[0]).max() > 0.1


def test_the_body_alone_carries_an_unmoved_head(dance: Controls) -> None:
    reference = picture(pose())
    out = moved(reference, dance, region=("body",))
    np.testing.assert_allclose(out.head.rotation, np.repeat(reference.head.rotation, dance.num_frames, 0), atol=0.02)
    np.testing.assert_allclose(out.face.expression, np.repeat(out.face.expression[:1], dance.num_frames, 0), atol=1e-4)
    neck = out.head.center - out.body.joints_2d[:, [11, 12]].mean(1)
    assert np.ptp(neck, axis=0).max() < 2
    assert np.ptp(out.head.center, axis=0).max() > 3


def test_windows_agree_with_the_whole(dance: Controls) -> None:
    stream = RetargetedStream(picture(scaled(pose(), arm=1.2)), noisy(dance, 1.0, 0.01), Preset(), Fraction(30))
    whole = stream.window(0, stream.num_frames).body
    parts = [stream.window(k, k + 7).body.joints_2d for k in range(0, stream.num_frames, 7)]
    assert whole is not None
    np.testing.assert_allclose(np.concatenate(parts), whole.joints_2d, atol=1e-3)


def test_a_body_without_a_face_turns_its_head_too(dance: Controls) -> None:
    out = moved(picture(pose(), face=False), dance)
    assert out.face is None
    assert out.head is None
    assert out.body is not None
    nose = out.body.joints_2d[:, 0, 0] - out.body.joints_2d[:, [7, 8], 0].mean(1)
    assert np.ptp(nose) > 3


@pytest.mark.parametrize("legs", [True, False])
def test_who_is_cut_by_the_picture_sinks_no_further_than_that_it_is_seen(perform: Callable[..., Controls], legs: bool) -> None:
    driver = perform(1.0, headYaw=(0, 10, 0))
    assert driver.body is not None
    down = np.concatenate([np.zeros(5), np.linspace(0, 400, 15), np.full(5, 400.0)])
    flat = driver.body.joints_2d + np.stack([0 * down, down], 1)[:, None].astype(np.float32)
    driver = replace(driver, body=replace(driver.body, joints_2d=flat), height=2000, extractor_versions={})
    reference = picture(pose()) if legs else hide(picture(pose()), *LEGS)
    out = moved(reference, driver).body
    assert out is not None
    hips, chest = (reference.body.joints_2d[0, pair].mean(0) for pair in ([23, 24], [11, 12]))
    sunk = (out.joints_2d[-1, [23, 24]].mean(0) - hips)[1] / np.linalg.norm(hips - chest)
    assert sunk > 0.4
    assert (sunk > 0.8) == legs
    assert (sunk <= body.SINK) != legs
