import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli.contracts import BLENDSHAPES, Body, Controls, Face, Head
from dreamactor_cli.controls_export import CSV_HEADER, timecode, write_bvh, write_csv
from dreamactor_cli.controls_file import StoredControls, write_controls
from dreamactor_cli.errors import NoPersonFound, UsageError
from dreamactor_cli.head_space import rotation_from_euler


def face(frames: int, seed: int = 0) -> Face:
    rng = np.random.default_rng(seed)
    arrays = {}
    for field, shape in Face.SHAPES.items():
        arrays[field] = rng.uniform(0, 1, [frames if size == "T" else size for size in shape]).astype(np.float32)
    return Face(**arrays)


def head(degrees: np.ndarray) -> Head:
    frames = len(degrees)
    similarity = np.tile(np.eye(2, 3, dtype=np.float32), (frames, 1, 1))
    return Head(
        rotation=rotation_from_euler(degrees).astype(np.float32), center=np.zeros((frames, 2), np.float32),
        radius=np.ones(frames, np.float32), score=np.ones(frames, np.float32), head_2d=similarity,
        torso_2d=similarity, field=np.zeros((frames, 15, 17, 2), np.float32),
    )  # fmt: skip


def controls(frames: int, fps: Fraction = Fraction(30), **signals: object) -> Controls:
    return Controls(num_frames=frames, fps=fps, width=320, height=240, **signals)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_header_is_that_of_live_link_face(tmp_path: Path) -> None:
    write_csv(tmp_path / "face.csv", controls(2, face=face(2)))
    header = (tmp_path / "face.csv").read_text().splitlines()[0]
    assert header.startswith("Timecode,BlendshapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,")
    assert ",JawForward,JawRight,JawLeft,JawOpen,MouthClose," in header
    assert ",NoseSneerRight,TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw," in header
    assert header.endswith(",LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll")
    assert len(CSV_HEADER) == 63
    assert {name.lower() for name in CSV_HEADER[2:54]} == {name.lower() for name in BLENDSHAPES}


def test_every_weight_lands_in_its_column(tmp_path: Path) -> None:
    signal = face(3)
    write_csv(tmp_path / "face.csv", controls(3, face=signal))
    rows = rows_of(tmp_path / "face.csv")
    assert len(rows) == 3
    for frame, row in enumerate(rows):
        assert row["BlendshapeCount"] == "61"
        for index, name in enumerate(BLENDSHAPES):
            assert float(row[name[0].upper() + name[1:]]) == pytest.approx(signal.blendshapes[frame, index], abs=1e-6)
        assert float(row["LeftEyeYaw"]) == pytest.approx(signal.gaze[frame, 1, 0], abs=1e-6)
        assert float(row["LeftEyePitch"]) == pytest.approx(signal.gaze[frame, 1, 1], abs=1e-6)
        assert float(row["RightEyeYaw"]) == pytest.approx(signal.gaze[frame, 0, 0], abs=1e-6)
        assert float(row["HeadYaw"]) == float(row["LeftEyeRoll"]) == 0


def test_head_turns_to_the_persons_left_down_and_to_the_right_shoulder(tmp_path: Path) -> None:
    # Ours: positive yaw turns the nose to the picture's left, which is the person's right.
    degrees = np.array([[20.0, 0, 0], [0, 20, 0], [0, 0, 20]])
    rotation = rotation_from_euler(degrees)
    nose, crown = np.array([0, 0, -1.0]), np.array([0, -1.0, 0])
    assert (rotation[0] @ nose)[0] < -0.3
    down = (rotation[1] @ nose)[1] > 0
    to_picture_left = (rotation[2] @ crown)[0] < 0
    write_csv(tmp_path / "face.csv", controls(3, face=face(3), head=head(degrees)))
    rows = rows_of(tmp_path / "face.csv")
    turn = np.radians(20)
    found = [[float(row[name]) for name in ("HeadYaw", "HeadPitch", "HeadRoll")] for row in rows]
    want = [[-turn, 0, 0], [0, turn if down else -turn, 0], [0, 0, turn if to_picture_left else -turn]]
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_head_angles_together_are_the_rotation(tmp_path: Path) -> None:
    degrees = np.random.default_rng(0).uniform(-50, 50, (20, 3))
    write_csv(tmp_path / "face.csv", controls(20, face=face(20), head=head(degrees)))
    rows = rows_of(tmp_path / "face.csv")
    found = np.degrees([[float(row[f"Head{name}"]) for name in ("Yaw", "Pitch", "Roll")] for row in rows])
    turned = rotate("Y", found[:, 0]) @ rotate("X", found[:, 1]) @ rotate("Z", found[:, 2])
    flip = np.diag([1, -1, -1])
    np.testing.assert_allclose(flip @ turned @ flip, rotation_from_euler(degrees), atol=1e-5)


@pytest.mark.parametrize(
    ("frame", "fps", "text"),
    [
        (0, Fraction(30), "00:00:00:00.000"), (29, Fraction(30), "00:00:00:29.000"), (30, Fraction(30), "00:00:01:00.000"),
        (45, Fraction(60), "00:00:00:45.000"), (25 * 3661, Fraction(25), "01:01:01:00.000"),
        (30, Fraction(30000, 1001), "00:00:01:00.030"), (29, Fraction(30000, 1001), "00:00:00:29.029"),
        (3, Fraction(25, 2), "00:00:00:03.120"),
    ],
)  # fmt: skip
def test_timecode(frame: int, fps: Fraction, text: str) -> None:
    assert timecode(frame, fps) == text


def test_timecode_is_the_time() -> None:
    fps = Fraction(30000, 1001)
    for frame in range(0, 200000, 997):
        hours, minutes, seconds, ticks = timecode(frame, fps).split(":")
        time = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(ticks) / 30
        assert time == pytest.approx(frame / fps, abs=1 / 30000)
        assert float(ticks) < 30


def test_csv_needs_a_face(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no face"):
        write_csv(tmp_path / "face.csv", controls(2, head=head(np.zeros((2, 3)))))
    assert list(tmp_path.iterdir()) == []


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def wander(frames: int, rng: np.random.Generator, around: tuple[float, float, float], reach: float) -> np.ndarray:
    """Unit vectors (T, 3) that move smoothly about a direction."""
    time = np.linspace(0, 2 * np.pi, frames)[:, None]
    return unit(np.array(around) + reach * np.sin(time * rng.uniform(1, 3, 3) + rng.uniform(0, 6, 3)))


def skeleton(frames: int, reach: float = 0.7, seed: int = 0) -> np.ndarray:
    """BlazePose joints (T, 33, 3), m, camera axes, of a person that faces the camera; bones keep their lengths."""
    rng = np.random.default_rng(seed)
    joints = np.zeros((frames, 33, 3))
    left, up, towards = (1.0, 0, 0), (0, -1.0, 0), (0, 0, -1.0)

    def move(around: tuple[float, float, float]) -> np.ndarray:
        return wander(frames, rng, around, reach)

    def pair(one: int, other: int, middle: np.ndarray, half: float) -> None:
        line = half * move(left)
        joints[:, one], joints[:, other] = middle + line, middle - line

    neck = 0.5 * move(up)
    ears = neck + 0.2 * move(up)
    pair(23, 24, np.zeros((frames, 3)), 0.12)
    pair(11, 12, neck, 0.19)
    pair(7, 8, ears, 0.08)
    joints[:, 0] = ears + 0.12 * move(towards)
    for side in (0, 1):
        joints[:, 13 + side] = joints[:, 11 + side] + 0.28 * move((0.3 - 0.6 * side, 1, 0))
        joints[:, 15 + side] = joints[:, 13 + side] + 0.25 * move((0, 0.5, -0.5))
        knuckles = joints[:, 15 + side] + 0.09 * move((0, 0.5, -0.5))
        pair(17 + side, 19 + side, knuckles, 0.03)
        joints[:, 25 + side] = joints[:, 23 + side] + 0.42 * move((0, 1, 0))
        joints[:, 27 + side] = joints[:, 25 + side] + 0.4 * move((0, 1, 0))
        joints[:, 31 + side] = joints[:, 27 + side] + 0.15 * move((0, 0.4, -1))
    return joints


def body(joints: np.ndarray, score: float = 1.0) -> Body:
    frames = len(joints)
    return Body(
        joints_2d=np.zeros((frames, 33, 2), np.float32), joints_3d=joints.astype(np.float32),
        score=np.full((frames, 33), score, np.float32),
    )  # fmt: skip


def rotate(axis: str, degrees: float | np.ndarray) -> np.ndarray:
    """Right-handed rotations (..., 3, 3) about an axis."""
    one, two = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[axis]
    turned = np.zeros((*np.shape(degrees), 3, 3)) + np.eye(3)
    turned[..., one, one] = turned[..., two, two] = np.cos(np.radians(degrees))
    turned[..., two, one] = np.sin(np.radians(degrees))
    turned[..., one, two] = -turned[..., two, one]
    return turned


def read_bvh(path: Path) -> tuple[dict[str, np.ndarray], float, np.ndarray]:
    """Forward kinematics of a BVH file: positions (T, 3) of every joint and end, the frame time, the raw motion."""
    hierarchy, motion = path.read_text().split("MOTION\n")
    joints, stack, parent = [], [], None
    for line in hierarchy.splitlines():
        words = line.split()
        if words[0] in ("ROOT", "JOINT", "End"):
            name = words[1] if words[0] != "End" else f"{parent}End"
            joints.append({"name": name, "parent": parent, "channels": []})
            stack.append(parent)
            parent = name
        elif words[0] == "OFFSET":
            joints[-1]["offset"] = np.array(words[1:], float)
        elif words[0] == "CHANNELS":
            assert int(words[1]) == len(words[2:])
            joints[-1]["channels"] = words[2:]
        elif words[0] == "}":
            parent = stack.pop()
    assert parent is None
    lines = motion.splitlines()
    values = np.array([line.split() for line in lines[2:]], float)
    assert lines[0] == f"Frames: {len(values)}"
    columns, frames = iter(values.T), {None: (np.eye(3), np.zeros(3))}
    for joint in joints:
        above, at = frames[joint["parent"]]
        at, turn = at + above @ joint["offset"], above
        for channel in joint["channels"]:
            if channel.endswith("position"):
                at = at + next(columns)[:, None] * np.eye(3)["XYZ".index(channel[0])]
            else:
                turn = turn @ rotate(channel[0], next(columns))
        frames[joint["name"]] = (turn, at)
    positions = {name: at for name, (_, at) in frames.items() if name}
    return positions, float(lines[1].removeprefix("Frame Time: ")), values


WHERE = {
    "Hips": (23, 24), "Neck": (11, 12), "Head": (7, 8), "HeadEnd": (0,), "LeftArm": (11,), "LeftForeArm": (13,),
    "LeftHand": (15,), "LeftHandEnd": (17, 19), "RightArm": (12,), "RightForeArm": (14,), "RightHand": (16,),
    "RightHandEnd": (18, 20), "LeftUpLeg": (23,), "LeftLeg": (25,), "LeftFoot": (27,), "LeftFootEnd": (31,),
    "RightUpLeg": (24,), "RightLeg": (26,), "RightFoot": (28,), "RightFootEnd": (32,),
}  # fmt: skip


def errors(path: Path, joints: np.ndarray) -> np.ndarray:
    """Distances in cm between what a BVH file shows and joints in camera axes, (names, T)."""
    positions, _, _ = read_bvh(path)
    want = joints * [100, -100, -100]
    return np.stack([np.linalg.norm(positions[name] - want[:, list(at)].mean(1), axis=1) for name, at in WHERE.items()])


@pytest.mark.parametrize("reach", [0.0, 0.3, 0.7, 3.0])
def test_bvh_shows_the_joints(tmp_path: Path, reach: float) -> None:
    joints = skeleton(40, reach)
    write_bvh(tmp_path / "body.bvh", controls(40, body=body(joints)))
    assert errors(tmp_path / "body.bvh", joints).max() < 0.01


def test_bvh_of_noisy_joints_has_the_median_lengths(tmp_path: Path) -> None:
    joints = skeleton(60)
    noisy = joints + np.random.default_rng(1).normal(0, 0.005, joints.shape)
    write_bvh(tmp_path / "body.bvh", controls(60, body=body(noisy)))
    found = errors(tmp_path / "body.bvh", joints)
    assert found.mean() < 1.5
    text = (tmp_path / "body.bvh").read_text()
    offset = float(text.split("JOINT LeftForeArm")[1].split("OFFSET ")[1].split()[0])
    assert offset == pytest.approx(28, abs=0.3)


def test_bvh_of_a_resting_person_is_a_t_pose(tmp_path: Path) -> None:
    joints = skeleton(1, 0.0)
    side = np.array([1.0, 0, 0])
    for one, sign in ((11, 1), (12, -1)):
        for step, at in enumerate((one + 2, one + 4)):
            joints[:, at] = joints[:, one] + sign * side * 0.25 * (step + 1)
        joints[:, [one + 6, one + 8]] = (joints[:, one + 4] + sign * side * 0.1)[:, None]
        joints[:, one + 20] = joints[:, one + 16] + [0, 0, -0.15]
    write_bvh(tmp_path / "body.bvh", controls(1, body=body(joints)))
    _, _, values = read_bvh(tmp_path / "body.bvh")
    np.testing.assert_allclose(values[0, 3:], 0, atol=1e-3)


def test_bvh_frame_time_and_windows(tmp_path: Path) -> None:
    joints = skeleton(600, seed=3)
    signal = controls(600, Fraction(30000, 1001), body=body(joints))
    write_bvh(tmp_path / "body.bvh", signal)
    _, frame_time, values = read_bvh(tmp_path / "body.bvh")
    assert frame_time == pytest.approx(1001 / 30000, abs=1e-8)
    assert len(values) == 600
    assert errors(tmp_path / "body.bvh", joints)[:, 500:530].max() < 0.01
    write_controls(tmp_path / "file", controls(600, Fraction(30000, 1001), body=body(joints), face=face(600)))
    write_bvh(tmp_path / "again.bvh", StoredControls.read(tmp_path / "file"))
    assert (tmp_path / "again.bvh").read_bytes() == (tmp_path / "body.bvh").read_bytes()


def test_bvh_turns_on_without_jumps(tmp_path: Path) -> None:
    joints = skeleton(1, 0.0)[0]
    turns = np.stack([rotate("Y", angle) for angle in np.arange(1100) * 2.0])  # six turns, over two windows
    moved = joints @ turns.transpose(0, 2, 1)
    write_bvh(tmp_path / "body.bvh", controls(1100, body=body(moved)))
    _, _, values = read_bvh(tmp_path / "body.bvh")
    assert np.abs(np.diff(values, axis=0)).max() < 3
    assert np.ptp(values[:, 5]) == pytest.approx(2 * 1099, abs=1)
    assert errors(tmp_path / "body.bvh", moved).max() < 0.01


def test_bvh_with_opposite_bones_and_joints_in_one_point(tmp_path: Path) -> None:
    folded = skeleton(3, 0.0)
    folded[:, 15] = folded[:, 11]  # the forearm folded back onto the arm
    folded[:, 13] = folded[:, 11] + [0.25, 0, 0]
    folded[:, [17, 19]] = (folded[:, 15] + [0.1, 0, 0])[:, None]
    write_bvh(tmp_path / "body.bvh", controls(3, body=body(folded)))
    assert errors(tmp_path / "body.bvh", folded).max() < 0.01
    write_bvh(tmp_path / "point.bvh", controls(3, body=body(np.zeros((3, 33, 3)))))
    assert np.isfinite(read_bvh(tmp_path / "point.bvh")[2]).all()


def test_bvh_goes_by_frames_with_somebody(tmp_path: Path) -> None:
    joints = skeleton(30)
    joints[20:] *= 3
    score = np.ones((30, 33), np.float32)
    score[20:] = 0
    seen = Body(joints_2d=np.zeros((30, 33, 2), np.float32), joints_3d=joints.astype(np.float32), score=score)
    write_bvh(tmp_path / "body.bvh", controls(30, body=seen))
    assert errors(tmp_path / "body.bvh", joints)[:, :20].max() < 0.01
    with pytest.raises(NoPersonFound):
        write_bvh(tmp_path / "none.bvh", controls(30, body=body(joints, score=0.0)))
    with pytest.raises(UsageError, match="no body"):
        write_bvh(tmp_path / "none.bvh", controls(3, face=face(3)))
    assert [path.name for path in tmp_path.iterdir()] == ["body.bvh"]
