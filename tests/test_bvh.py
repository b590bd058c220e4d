"""Animations of other programs, and of our own."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli.bvh import exact_rate, read_bvh
from dreamactor_cli.bvh_joints import driving_body, find_joints
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Controls, Job, Preset
from dreamactor_cli.controls_export import write_bvh
from dreamactor_cli.driving import load_driver
from dreamactor_cli.errors import DreamActorError, InputRefused, UnreadableInput, UnsafeInput, UsageError

ANGLES = {
    "elbow": (11, 13, 15), "other elbow": (12, 14, 16), "knee": (23, 25, 27), "other knee": (24, 26, 28),
    "shoulder": (23, 11, 13), "other shoulder": (24, 12, 14), "hip": (11, 23, 25), "other hip": (12, 24, 26),
}  # fmt: skip
MIXAMO = """HIERARCHY
ROOT mixamorig:Hips
{
  OFFSET 0 100 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT mixamorig:Spine { OFFSET 0 10 0 CHANNELS 3 Zrotation Yrotation Xrotation
    JOINT mixamorig:Neck { OFFSET 0 45 0 CHANNELS 3 Zrotation Yrotation Xrotation
      JOINT mixamorig:Head { OFFSET 0 10 0 CHANNELS 3 Zrotation Yrotation Xrotation
        End Site { OFFSET 0 18 0 } } }
    JOINT mixamorig:LeftShoulder { OFFSET 5 40 0 CHANNELS 3 Zrotation Yrotation Xrotation
      JOINT mixamorig:LeftArm { OFFSET 12 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
        JOINT mixamorig:LeftForeArm { OFFSET 28 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
          JOINT mixamorig:LeftHand { OFFSET 26 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
            End Site { OFFSET 8 0 0 } } } } }
    JOINT mixamorig:RightShoulder { OFFSET -5 40 0 CHANNELS 3 Zrotation Yrotation Xrotation
      JOINT mixamorig:RightArm { OFFSET -12 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
        JOINT mixamorig:RightForeArm { OFFSET -28 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
          JOINT mixamorig:RightHand { OFFSET -26 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
            End Site { OFFSET -8 0 0 } } } } } }
  JOINT mixamorig:LeftUpLeg { OFFSET 9 -5 0 CHANNELS 3 Zrotation Yrotation Xrotation
    JOINT mixamorig:LeftLeg { OFFSET 0 -42 0 CHANNELS 3 Zrotation Yrotation Xrotation
      JOINT mixamorig:LeftFoot { OFFSET 0 -42 0 CHANNELS 3 Zrotation Yrotation Xrotation
        JOINT mixamorig:LeftToeBase { OFFSET 0 -8 12 CHANNELS 3 Zrotation Yrotation Xrotation
          End Site { OFFSET 0 0 6 } } } } }
  JOINT mixamorig:RightUpLeg { OFFSET -9 -5 0 CHANNELS 3 Zrotation Yrotation Xrotation
    JOINT mixamorig:RightLeg { OFFSET 0 -42 0 CHANNELS 3 Zrotation Yrotation Xrotation
      JOINT mixamorig:RightFoot { OFFSET 0 -42 0 CHANNELS 3 Zrotation Yrotation Xrotation
        JOINT mixamorig:RightToeBase { OFFSET 0 -8 12 CHANNELS 3 Zrotation Yrotation Xrotation
          End Site { OFFSET 0 0 6 } } } } }
}
"""
JOINTS = 19  # that turn, after the hips: 3 channels each
LEFT_ARM = 6  # first of the channels of LeftArm, behind the hips' 6: Spine, Neck, Head, LeftShoulder, LeftArm


def animated(tmp_path: Path, rows: np.ndarray, *, time: str = "0.0333333", text: str = MIXAMO, name: str = "a.bvh") -> Path:
    path = tmp_path / name
    lines = "\n".join(" ".join(f"{value:.5f}" for value in row) for row in rows)
    path.write_text(f"{text}MOTION\nFrames: {len(rows)}\nFrame Time: {time}\n{lines}\n")
    return path


def still(frames: int = 3) -> np.ndarray:
    """Channels of the rest pose, (T, 60)."""
    rows = np.zeros((frames, 6 + 3 * JOINTS))
    rows[:, 1] = 0
    return rows


def angle(joints: np.ndarray, a: int, b: int, c: int) -> np.ndarray:
    """Angles at joint b, degrees, (T,)."""
    u, v = joints[:, a] - joints[:, b], joints[:, c] - joints[:, b]
    cosine = (u * v).sum(1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def job(driving: Path, **more: object) -> Job:
    return Job(id="a", references=(), output=Path("a.mp4"), preset=Preset(), driving=str(driving), **more)  # type: ignore[arg-type]


def test_our_own_export_drives_again(perform: Callable[..., Controls], tmp_path: Path, cache: Cache) -> None:
    clip = perform(
        1.0, fps=Fraction(30000, 1001), rightArmRaise=(0, 90, 20), rightElbow=(0, 100, 10), leftArmForward=(0, 80),
        leftElbow=(0, 60), leftThighForward=(0, 50, 0),
        leftKnee=(0, 70, 0), hipsYaw=(0, 30, -20), spineRoll=(0, 12, 0), headYaw=(0, 25),
    )  # fmt: skip
    path = tmp_path / "own.bvh"
    write_bvh(path, clip)
    driver = load_driver(job(path), signals=("face", "head"), cache=cache).controls
    assert driver.fps == Fraction(30000, 1001)
    assert driver.num_frames == clip.num_frames
    again = driver.window(0, driver.num_frames)
    for name, joints in ANGLES.items():
        difference = angle(again.body.joints_3d, *joints) - angle(clip.body.joints_3d, *joints)
        assert np.abs(difference).max() < 5, name
    turned = again.head.rotation @ clip.head.rotation.swapaxes(1, 2)
    apart = np.degrees(np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert np.abs(apart - apart[0]).max() < 12  # their ears and noses differ, their turns do not


def test_a_t_pose_of_mixamo_is_a_person_who_faces_us(tmp_path: Path) -> None:
    rows = still()
    rows[:, LEFT_ARM + 4 * 3] = [0, -45, -90]  # about z: down
    path = animated(tmp_path, rows)
    body, head = driving_body(read_bvh(path), path)
    joints = body.joints
    assert (joints[:, 11, 0] > joints[:, 12, 0]).all()  # the person's left is at the picture's right
    assert (joints[:, 31, 2] < joints[:, 27, 2]).all()  # toes towards the camera
    assert (joints[:, 27, 1] > joints[:, 23, 1]).all()
    np.testing.assert_allclose(head, np.tile(np.eye(3), (3, 1, 1)), atol=1e-6)
    upper = joints[:, 13] - joints[:, 11]
    slope = np.degrees(np.arctan2(upper[:, 1], upper[:, 0]))
    np.testing.assert_allclose(slope, [0, 45, 90], atol=0.01)
    assert 0.5 < np.linalg.norm(joints[0, 11] - joints[0, 27]) < 1.5  # metres, whatever the file's unit


@pytest.mark.parametrize("yaw", [0, 90, 180, -135])
def test_who_looks_elsewhere_is_turned_to_the_camera(tmp_path: Path, yaw: float) -> None:
    rows = still(2)
    rows[:, 4] = yaw
    rows[1, 4] += 20
    path = animated(tmp_path, rows)
    body, head = driving_body(read_bvh(path), path)
    assert abs(body.joints[0, 11, 2] - body.joints[0, 12, 2]) < 1e-6
    turn = np.degrees(np.arccos(np.clip((np.trace(head, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    np.testing.assert_allclose(turn, [0, 20], atol=0.01)


def test_z_may_be_up(tmp_path: Path) -> None:
    import re

    def swapped(found: re.Match[str]) -> str:
        x, y, z = (float(v) for v in found.group(1).split())
        return f"OFFSET {x} {-z} {y}"

    text = re.sub(r"OFFSET ((?:-?\d+ ){2}-?\d+)", swapped, MIXAMO)
    path = animated(tmp_path, still(), text=text)
    joints = driving_body(read_bvh(path), path)[0].joints
    assert (joints[:, 27, 1] > joints[:, 23, 1] + 0.5).all()
    assert (joints[:, 31, 2] < joints[:, 27, 2]).all()


@pytest.mark.parametrize(
    "names",
    [
        "{Side}Shoulder {Side}Arm {Side}ForeArm {Side}Hand {Side}UpLeg {Side}Leg {Side}Foot {Side}ToeBase",  # CMU, Rokoko's own
        "{Side}Shoulder {Side}Arm {Side}ForeArm {Side}Hand {Side}Thigh {Side}Shin {Side}Foot {Side}Toe",  # Rokoko
        "clavicle_{s} upperarm_{s} lowerarm_{s} hand_{s} thigh_{s} calf_{s} foot_{s} ball_{s}",  # Unreal
        "{s}Collar {s}Shldr {s}ForeArm {s}Hand {s}Thigh {s}Shin {s}Foot {s}Toe",  # Poser, Daz
        "{side}_collar {side}_shoulder {side}_elbow {side}_wrist {side}_hip {side}_knee {side}_ankle {side}_foot_end",  # SMPL
        "DEF-shoulder.{S} DEF-upper_arm.{S} DEF-forearm.{S} DEF-hand.{S} DEF-thigh.{S} DEF-shin.{S} DEF-foot.{S} DEF-toe.{S}",
        "Bip01_{S}_Clavicle Bip01_{S}_UpperArm Bip01_{S}_Forearm Bip01_{S}_Hand Bip01_{S}_Thigh Bip01_{S}_Calf Bip01_{S}_Foot "
        "Bip01_{S}_Toe0",
    ],
)  # fmt: skip
def test_joints_are_known_by_the_names_of_other_programs(names: str) -> None:
    listed = ["Hips"]
    for side in ("left", "right"):
        listed += names.format(Side=side.title(), side=side, s=side[0], S=side[0].upper()).split()
    found = find_joints([*listed, "Neck", "Head"])
    parts = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot_index")
    for s, side in enumerate(("left", "right")):
        assert [found[f"{side}_{part}"] for part in parts] == [2 + 8 * s + k for k in range(7)]
    assert found["head"] == 18


@pytest.mark.parametrize(
    ("digits", "rate"),
    [
        ("0.0333333", 30), ("0.03333", 30), ("0.033367", Fraction(30000, 1001)), ("0.0333667", Fraction(30000, 1001)),
        (".04", 25), ("0.0083333", 120), ("0.041708", Fraction(24000, 1001)), ("0.0416667", 24), ("0.11", 9),
        ("0.0375", Fraction(80, 3)),
    ],
)  # fmt: skip
def test_a_rounded_frame_time_is_the_rate_that_was_meant(digits: str, rate: Fraction) -> None:
    assert exact_rate(Path("a.bvh"), digits) == rate


def test_a_window_of_an_animation(tmp_path: Path, cache: Cache) -> None:
    path = animated(tmp_path, still(30))
    found = load_driver(job(path, start=Fraction(1, 2), duration=Fraction(1, 5)), signals=("face", "head"), cache=cache)
    assert found.controls.num_frames == 6
    with pytest.raises(UsageError, match="empty"):
        load_driver(job(path, start=Fraction(5)), signals=("face", "head"), cache=cache)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", UnreadableInput, "no HIERARCHY"),
        ("HIERARCHY\nROOT Hips\n{\nOFFSET 0 0\n", UnreadableInput, "no HIERARCHY"),
        ("HIERARCHY ROOT Hips { OFFSET 0 0 x CHANNELS 0 } MOTION", UnreadableInput, "in place of a number"),
        ("HIERARCHY ROOT Hips { OFFSET 0 0 nan CHANNELS 0 } MOTION", InputRefused, "no length"),
        ("HIERARCHY ROOT Hips { OFFSET 0 0 0 CHANNELS 7 } MOTION", UnreadableInput, "channels"),
        ("HIERARCHY ROOT Hips { OFFSET 0 0 0 CHANNELS 1 Wrotation } MOTION", UnreadableInput, "Wrotation"),
        ("HIERARCHY ROOT Hips { OFFSET 0 0 0 MOTION", UnreadableInput, "not closed"),
        ("HIERARCHY MOTION", UnreadableInput, "no joint"),
        ("HIERARCHY ROOT a { ROOT b { } } MOTION", UnreadableInput, "ROOT within"),
        ("HIERARCHY ROOT a { " + "JOINT b { " * 1200 + "MOTION", UnsafeInput, "more than 1000 joints"),
        ("HIERARCHY ROOT a { } MOTION\nFrames: 1\n", UnreadableInput, "no Frames and Frame Time"),
        ("HIERARCHY ROOT a { } MOTION\nFrames: 999999\nFrame Time: 0.04\n", UnsafeInput, "999999 frames"),
        ("HIERARCHY ROOT a { } MOTION\nFrames: 1\nFrame Time: 0.0\n", InputRefused, "frame time"),
        ("HIERARCHY ROOT a { CHANNELS 1 Xrotation } MOTION\nFrames: 2\nFrame Time: 0.04\n1\n", UnreadableInput, "fewer"),
        ("HIERARCHY ROOT a { CHANNELS 1 Xrotation } MOTION\nFrames: 1\nFrame Time: 0.04\nx\n", UnreadableInput, "not a number"),
        ("HIERARCHY ROOT a { CHANNELS 1 Xrotation } MOTION\nFrames: 1\nFrame Time: 0.04\ninf\n", InputRefused, "not finite"),
        ("HIERARCHY ROOT Hips { } MOTION\nFrames: 1\nFrame Time: 0.04\n", InputRefused, "no joint for left_shoulder"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, cache: Cache, text: str, error: type[DreamActorError], says: str
) -> None:
    path = tmp_path / "bad.bvh"
    path.write_text(text)
    with pytest.raises(error, match=says) as refused:
        load_driver(job(path), signals=("face", "head"), cache=cache)
    assert "bad.bvh" in refused.value.message
    assert refused.value.hint


def test_joints_that_carry_their_own_places(tmp_path: Path) -> None:
    """As Unreal and Rokoko write them: six channels each, the place in the parent in them and not only in the offset."""
    text = MIXAMO.replace(
        "JOINT mixamorig:LeftForeArm { OFFSET 28 0 0 CHANNELS 3 Zrotation",
        "JOINT mixamorig:LeftForeArm { OFFSET 28 0 0 CHANNELS 6 Xposition Yposition Zposition Zrotation",
    )
    rows = np.insert(still(), [LEFT_ARM + 5 * 3] * 3, np.array([28.0, 0, 0]), axis=1)
    path = animated(tmp_path, rows, text=text)
    plain = animated(tmp_path, still(), name="plain.bvh")
    first, second = (driving_body(read_bvh(p), p)[0].joints for p in (path, plain))
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_fingers_of_a_file_are_taken(tmp_path: Path) -> None:
    text = MIXAMO.replace(
        "End Site { OFFSET 8 0 0 }",
        "JOINT mixamorig:LeftHandIndex1 { OFFSET 8 0 3 CHANNELS 0 } JOINT mixamorig:LeftHandPinky1 { OFFSET 7 0 -3 CHANNELS 0 }",
    )
    path = animated(tmp_path, still(), text=text)
    joints = driving_body(read_bvh(path), path)[0].joints
    assert joints[0, 19, 2] < joints[0, 15, 2] < joints[0, 17, 2]
    assert joints[0, 20, 0] < joints[0, 16, 0]
