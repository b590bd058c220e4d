from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli import head_space, motion, motion_layers
from dreamactor_cli.contracts import BLENDSHAPES, Controls
from dreamactor_cli.controls import blendshapes
from dreamactor_cli.errors import UnreadableInput, UnsafeInput, UsageError
from dreamactor_cli.resources import presets_dir

FPS = Fraction(25)
NTSC = Fraction(30000, 1001)
EXPECTED = ["greeting", "idle", "nod", "shake", "smile", "surprise", "talk", "turn", "walk", "wave", "wink"]
HEADER = 'name = "mine"\nduration = 2.0\n'


def perform(name: str, fps: Fraction = FPS, **more) -> Controls:
    return motion.synthesise(motion.load_motion(name), fps=fps, width=320, height=240, **more)


def custom(tmp_path: Path, text: str) -> motion.Motion:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return motion.load_motion(str(path))


def weight(controls: Controls, name: str) -> np.ndarray:
    return controls.face.blendshapes[:, BLENDSHAPES.index(name)]


def euler(controls: Controls) -> np.ndarray:
    return head_space.euler_degrees(controls.head.rotation)


def test_the_presets_are_there():
    assert set(EXPECTED) <= set(motion.motion_names())
    assert (presets_dir() / "motion" / "greeting.toml").is_file()


@pytest.mark.parametrize("name", EXPECTED)
def test_preset_is_named_described_and_fits_its_duration(name):
    loaded = motion.load_motion(name)
    assert loaded.name == name
    assert loaded.description.endswith(".")
    for curve in loaded.curves.values():
        assert curve.times[-1] <= float(loaded.duration)


@pytest.mark.parametrize("name", EXPECTED)
def test_preset_begins_neutral_and_moves(name):
    controls = perform(name)
    assert abs(controls.face.expression[0]).max() < 1e-6
    np.testing.assert_allclose(controls.head.rotation[0], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(controls.head.torso_2d[0], np.eye(2, 3), atol=1e-6)
    assert abs(controls.face.gaze[0] - controls.face.gaze[0].mean(0)).max() < 0.2
    assert abs(controls.face.landmarks - controls.face.landmarks[0]).max() > 2
    inside = controls.face.landmarks[..., :2]
    assert inside.min() > 0
    assert (inside < [320, 240]).all()


@pytest.mark.parametrize("name", [n for n in EXPECTED if n != "smile"])
def test_loops_close(name):
    twice = perform(name, duration=2 * Fraction(motion.load_motion(name).duration))
    half = twice.num_frames // 2
    np.testing.assert_array_equal(twice.face.landmarks[:half], twice.face.landmarks[half:])
    step = np.linalg.norm(np.diff(twice.face.landmarks[..., :2], axis=0), axis=2).max(1)
    assert step[half - 1] <= max(0.5, 0.5 * step.max())


@pytest.mark.parametrize("name", EXPECTED)
def test_nothing_moves_faster_than_a_face(name):
    controls = perform(name)
    expression = np.linalg.norm(np.diff(controls.face.expression, axis=0), axis=2)
    assert expression.max() < 0.18  # inter-ocular units in 40 ms
    assert abs(np.diff(euler(controls), axis=0)).max() < 5  # degrees in 40 ms


def test_greeting_looks_smiles_speaks_nods_and_blinks():
    controls = perform("greeting")
    assert controls.num_frames == 100
    blink = weight(controls, "eyeBlinkLeft") > 0.9
    assert (np.diff(blink.astype(int)) == 1).sum() >= 2
    assert weight(controls, "mouthSmileLeft").max() > 0.8
    assert weight(controls, "browInnerUp").max() > 0.4
    jaw = weight(controls, "jawOpen")
    syllables = (jaw[1:-1] > jaw[:-2]) & (jaw[1:-1] >= jaw[2:]) & (jaw[1:-1] > 0.2)
    assert syllables.sum() >= 3
    assert weight(controls, "mouthFunnel").max() > 0.4
    yaw, pitch, _ = euler(controls).T
    assert 5 < np.ptp(yaw) < 25
    assert pitch.max() > 4


def test_turn_goes_to_30_degrees_either_side_and_back():
    yaw = euler(perform("turn"))[:, 0]
    assert yaw.min() == pytest.approx(-30, abs=0.5)
    assert yaw.max() == pytest.approx(30, abs=0.5)
    assert yaw.argmin() < yaw.argmax()
    assert abs(yaw[-1]) < 1


def test_wink_shuts_one_eye():
    controls = perform("wink")
    assert weight(controls, "eyeBlinkLeft").max() == pytest.approx(1, abs=0.01)
    assert weight(controls, "eyeBlinkRight").max() < 0.1


def test_shake_keeps_the_eyes_on_the_camera():
    controls = perform("shake")
    yaw, gaze = euler(controls)[:, 0], controls.face.gaze[:, :, 0].mean(1)
    assert np.corrcoef(yaw, gaze)[0, 1] > 0.9
    assert np.degrees(gaze - gaze[0])[yaw.argmax()] == pytest.approx(yaw.max() * 0.8, rel=0.25)


@pytest.mark.parametrize(
    ("fps", "duration", "frames"),
    [
        (FPS, None, 60),
        (NTSC, None, 72),
        (NTSC, Fraction(10), 300),
        (Fraction(24), Fraction(1, 3), 8),
        (FPS, Fraction(1, 1000), 1),
    ],
)
def test_number_of_frames_is_exact(fps, duration, frames):
    controls = perform("nod", fps, duration=duration)
    assert controls.num_frames == frames
    assert controls.fps == fps


def test_frame_rate_changes_the_sampling_and_not_the_motion():
    slow, fast = perform("greeting", Fraction(15)), perform("greeting", Fraction(60))
    np.testing.assert_allclose(slow.face.landmarks, fast.face.landmarks[::4], atol=1e-3)


def test_same_motion_same_bytes():
    a, b = perform("idle"), perform("idle")
    assert a.face.landmarks.tobytes() == b.face.landmarks.tobytes()
    assert a.head.torso_2d.tobytes() == b.head.torso_2d.tobytes()


def test_signals_agree_with_each_other():
    controls = perform("greeting")
    face, head = controls.face, controls.head
    pose = head_space.pose_of_sphere(head.center, head.radius, head.rotation)
    redrawn = head_space.to_image(face.identity + face.expression, pose)
    np.testing.assert_allclose(redrawn[..., :2], face.landmarks[..., :2], atol=1e-2)
    np.testing.assert_allclose(face.expression, blendshapes.displacement(face.blendshapes), atol=1e-5)
    assert (face.score == 1).all()
    assert (head.score == 1).all()
    found = blendshapes.measure(face.identity + face.expression, face.identity)
    at = [BLENDSHAPES.index(n) for n in ("jawOpen", "mouthSmileLeft", "browInnerUp")]
    assert abs(found - face.blendshapes)[:, at].max() < 0.15


def test_a_longer_duration_loops_or_holds():
    nod, smile = perform("nod", duration=Fraction(6)), perform("smile", duration=Fraction(6))
    assert (euler(nod)[60:, 1] > 8).any()
    assert weight(smile, "mouthSmileLeft")[-1] == pytest.approx(0.85, abs=0.01)


def test_head_and_torso_channels(tmp_path):
    controls = motion.synthesise(
        custom(
            tmp_path,
            HEADER + "[curves.headX]\ntimes=[0, 1]\nvalues=[0, 0.5]\n[curves.headZ]\ntimes=[0, 1]\nvalues=[0, 0.2]\n"
            "[curves.torsoY]\ntimes=[0, 1]\nvalues=[0, 0.1]\n",
        ),
        fps=FPS, width=400, height=600,
    )  # fmt: skip
    unit = motion.INTER_OCULAR * 400
    chin = controls.face.landmarks[:, 168]
    assert chin[-1, 0] - chin[0, 0] == pytest.approx(0.5 * unit, rel=0.05)
    assert controls.head.radius[-1] / controls.head.radius[0] == pytest.approx(1.2)
    np.testing.assert_allclose(controls.head.torso_2d[-1], [[1, 0, 0], [0, 1, 0.1 * unit]], atol=1e-3)
    np.testing.assert_allclose(controls.head.head_2d, np.repeat(np.eye(2, 3)[None], 50, 0))


def test_torso_is_measured_from_frame_0_and_carries_the_head(tmp_path):
    text = HEADER + "[curves.torsoX]\ntimes=[0, 1]\nvalues=[0.4, 0.9]\n[curves.torsoRoll]\ntimes=[0, 1]\nvalues=[0, 10]\n"
    controls = motion.synthesise(custom(tmp_path, text), fps=FPS, width=320, height=240)
    np.testing.assert_allclose(controls.head.torso_2d[0], np.eye(2, 3), atol=1e-6)
    last = controls.head.torso_2d[-1]
    assert np.degrees(np.arctan2(last[1, 0], last[0, 0])) == pytest.approx(10, abs=1e-3)
    assert controls.head.center[-1, 0] - controls.head.center[0, 0] > 0.8 * motion.INTER_OCULAR * 240


def test_names_without_a_side_move_both_sides(tmp_path):
    text = HEADER + "[curves.mouthSmile]\ntimes=[0, 1]\nvalues=[0, 0.6]\n[curves.mouthSmileLeft]\ntimes=[0, 1]\nvalues=[0, 0.3]\n"
    controls = motion.synthesise(custom(tmp_path, text), fps=FPS, width=320, height=240)
    assert weight(controls, "mouthSmileLeft")[-1] == pytest.approx(0.9)
    assert weight(controls, "mouthSmileRight")[-1] == pytest.approx(0.6)


def test_gaze_channels_turn_both_eyes(tmp_path):
    text = HEADER + "[curves.gazeX]\ntimes=[0, 1]\nvalues=[0, 1]\n[curves.gazeY]\ntimes=[0, 1]\nvalues=[0, -1]\n"
    controls = motion.synthesise(custom(tmp_path, text), fps=FPS, width=320, height=240)
    turned = np.degrees(controls.face.gaze[-1] - controls.face.gaze[0])
    assert (turned[:, 0] > 25).all()
    assert (turned[:, 1] < -10).all()


def test_smooth_curves_start_gently_and_never_overshoot():
    curve = motion.Curve(times=(0.5, 0.6, 1.5, 1.6), values=(0, 1, 1, 0.2))
    times = np.linspace(0, 3, 1000)
    values = curve.at(times)
    assert values.min() >= 0
    assert values.max() <= 1
    np.testing.assert_allclose(curve.at(np.array(curve.times)), curve.values)
    assert values[times < 0.5].max() == 0
    assert values[times > 1.6].min() == pytest.approx(0.2)
    assert curve.at(np.array([0.51]))[0] < 0.05  # a straight line would be at 0.1


def test_linear_curves_are_straight():
    curve = motion.Curve(times=(0, 2), values=(0, 1), ease="linear")
    np.testing.assert_allclose(curve.at(np.array([-1, 0.5, 1, 3])), [0, 0.25, 0.5, 1])


def test_blinks_come_at_the_rate_and_close_fully():
    times = np.arange(0, 60, 0.01)
    closed = motion_layers.blinks(times, 60, 15, seed=1)
    assert (np.diff((closed > 0.99).astype(int)) == 1).sum() == 15
    assert closed[0] == closed[-1] == 0
    starts = np.flatnonzero(np.diff((closed > 0.5).astype(int)) == 1)
    assert np.diff(starts).std() > 20  # not a metronome
    assert not np.array_equal(closed, motion_layers.blinks(times, 60, 15, seed=2))
    assert motion_layers.blinks(times, 60, 0, seed=1).max() == 0
    assert motion_layers.blinks(times[:50], 0.5, 60, seed=1).max() == 0  # no room


def test_saccades_rest_between_jumps_and_come_home():
    times = np.arange(0, 12, 0.01)
    eyes = motion_layers.saccades(times, 12, 1, seed=5)
    assert abs(eyes).max() > 0.05
    assert abs(eyes).max() <= max(motion_layers.SACCADE_RANGE) + 1e-9
    still = (np.abs(np.diff(eyes, axis=0)).max(1) < 1e-9).mean()
    assert still > 0.8
    np.testing.assert_allclose(eyes[[0, -1]], 0, atol=1e-9)


@pytest.mark.parametrize("period", [0.3, 2.5, 12.0])
def test_layers_start_at_zero_and_close(period):
    ends = np.array([0.0, period])
    for values in motion_layers.sway(ends, period, 1, seed=3).values():
        np.testing.assert_allclose(values, 0, atol=1e-9)
    np.testing.assert_allclose(motion_layers.saccades(ends, period, 1, seed=3), 0, atol=1e-9)
    np.testing.assert_allclose(motion_layers.blinks(ends, period, 20, seed=3), 0, atol=1e-9)


@pytest.mark.parametrize(("given", "near"), [("greetin", ("greeting",)), ("xyz", ("greeting", "turn"))])
def test_unknown_motion_suggests_the_nearest_or_lists_the_names(given, near):
    with pytest.raises(UsageError) as wrong:
        motion.load_motion(given)
    assert given in wrong.value.message
    assert all(name in wrong.value.hint for name in near)


def test_motion_prefix_and_paths(tmp_path):
    assert motion.load_motion("motion:nod").name == "nod"
    assert custom(tmp_path, HEADER).name == "mine"


CURVE = "[curves.jawOpen]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + "[curves.jawopen]\ntimes=[0]\nvalues=[0]\n", "jawOpen"),
        (HEADER + "[curves.headyaw]\ntimes=[0]\nvalues=[0]\n", "headYaw"),
        (HEADER + CURVE + "times=[0, 1, 1]\nvalues=[0, 0, 0]\n", "increase"),
        (HEADER + CURVE + "times=[0, 1]\nvalues=[0]\n", "2 times but 1 values"),
        (HEADER + CURVE + "times=[0]\nvalues=[1.5]\n", "between 0 and 1"),
        (HEADER + CURVE + "times=[0]\nvalues=[nan]\n", "finite"),
        (HEADER + CURVE + "times=[-1]\nvalues=[0]\n", "curves.jawOpen.times.0"),
        (HEADER + CURVE + "times=[]\nvalues=[]\n", "at least 1"),
        (HEADER + CURVE + 'times=[0]\nvalues=[0]\nease="bouncy"\n', "ease"),
        (HEADER + CURVE + "times=[0]\nvalues=[0]\nspeed=3\n", "speed"),
        (HEADER + "[layers]\nblink_rate = 1000\n", "blink_rate"),
        ('name = "mine"\n', "duration"),
        ('name = "mine"\nduration = 0\n', "duration"),
        ('name = "mine"\nduration = inf\n', "duration"),
        ('name = "mine"\nduration = 1e9\n', "duration"),
        (HEADER + "colour = 3\n", "colour"),
    ],
)
def test_what_a_file_says_wrong_is_said(tmp_path, text, says):
    with pytest.raises(UsageError) as wrong:
        custom(tmp_path, text)
    assert "mine.toml" in wrong.value.message
    assert says in wrong.value.message
    assert "\n" not in wrong.value.line()


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UnreadableInput, match=r"gone\.toml"):
        motion.load_motion(str(tmp_path / "gone.toml"))
    with pytest.raises(UnreadableInput, match="not a TOML file"):
        custom(tmp_path, "name = ")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableInput, match="not a TOML file"):
        motion.load_motion(str(tmp_path / "binary.toml"))
    with pytest.raises(UnreadableInput):
        motion.load_motion(str(tmp_path) + "/")
    (tmp_path / "huge.toml").write_bytes(b"#" * (motion.MAX_FILE_BYTES + 1))
    with pytest.raises(UnsafeInput, match=r"huge\.toml"):
        motion.load_motion(str(tmp_path / "huge.toml"))


def test_too_many_frames_are_refused():
    with pytest.raises(UsageError, match="too long"):
        perform("idle", Fraction(60), duration=Fraction(3600))


def test_curve_names_are_unique():
    assert len(set(motion.CURVE_NAMES)) == len(motion.CURVE_NAMES)
    assert "jaw" not in motion.CURVE_NAMES


def test_walking_lifts_one_foot_after_the_other_on_the_spot():
    body = perform("walk").body
    feet = body.joints_2d[:, [27, 28]]
    px = np.linalg.norm(body.joints_2d[0, 27] - body.joints_2d[0, 25]) / 0.41
    height = (feet[0, 0, 1] - feet[..., 1]) / px
    assert (height.max(0) > 0.08).all()
    assert (height.min(1) < 0.03).all()  # one of them always stands
    standing = height < 0.01
    assert np.ptp(feet[standing[:, 0], 0, 0]) < 0.03 * px
    assert abs(feet[-1] - feet[0]).max() < 0.02 * px


def test_waving_raises_the_right_hand():
    body = perform("wave").body
    wrist, shoulder, other = (body.joints_2d[:, k] for k in (16, 12, 15))
    middle = len(wrist) // 2
    assert wrist[middle, 1] < shoulder[middle, 1]
    assert wrist[middle, 0] < shoulder[middle, 0]  # outwards: the person's right is at the picture's left
    assert abs(other - other[0]).max() < 0.2 * abs(wrist - wrist[0]).max()
    assert wrist[0, 1] > shoulder[0, 1]


@pytest.mark.parametrize("name", EXPECTED)
def test_preset_has_a_body_whose_bones_keep_their_lengths(name):
    body = perform(name).body
    for a, b in ((11, 13), (13, 15), (23, 25), (25, 27), (28, 32)):
        length = np.linalg.norm(body.joints_3d[:, a] - body.joints_3d[:, b], axis=1)
        np.testing.assert_allclose(length, length[0], rtol=1e-4)
    assert (body.score == 1).all()


def test_a_turning_body_takes_the_head_along(tmp_path):
    text = HEADER + "[curves.hipsYaw]\ntimes = [0, 2]\nvalues = [0, 30]\n[curves.spineYaw]\ntimes = [0, 2]\nvalues = [0, 15]\n"
    controls = motion.synthesise(custom(tmp_path, text), fps=FPS, width=300, height=300)
    yaw = euler(controls)[-1, 0]
    assert 42 < yaw <= 45
    line = controls.body.joints_3d[-1, 11] - controls.body.joints_3d[-1, 12]
    assert 42 < abs(np.degrees(np.arctan2(line[2], line[0]))) <= 45


def test_a_leaning_body_moves_the_torso_of_a_portrait(tmp_path):
    text = HEADER + "[curves.spineRoll]\ntimes = [0, 2]\nvalues = [0, 10]\n"
    controls = motion.synthesise(custom(tmp_path, text), fps=FPS, width=300, height=300)
    torso = controls.head.torso_2d[-1]
    assert np.degrees(np.arctan2(torso[1, 0], torso[0, 0])) == pytest.approx(euler(controls)[-1, 2], abs=0.1)


def test_joint_angles_have_limits(tmp_path):
    with pytest.raises(UsageError, match="leftElbow must stay between 0 and 150"):
        custom(tmp_path, HEADER + "[curves.leftElbow]\ntimes = [0, 1]\nvalues = [0, 170]\n")
    with pytest.raises(UsageError, match="leftElbow"):
        custom(tmp_path, HEADER + "[curves.leftElbo]\ntimes = [0, 1]\nvalues = [0, 70]\n")
