from __future__ import annotations

import itertools
import multiprocessing
from pathlib import Path

import cv2
import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.contracts import BLENDSHAPES, Controls, Face, Head
from dreamactor_cli.errors import UnreadableInput, UsageError, WorkerLost
from dreamactor_cli.training.synthetic import (
    BROWS,
    EYES,
    FACE,
    FRAMINGS,
    MOUTH,
    PERSON,
    SyntheticClip,
    generate,
    generate_clip,
)
from dreamactor_cli.training.synthetic.preview import preview_sheet

JAW_OPEN = BLENDSHAPES.index("jawOpen")


def face_of(controls: Controls) -> Face:
    assert controls.face is not None
    return controls.face


def head_of(controls: Controls) -> Head:
    assert controls.head is not None
    return controls.head


def same(a: SyntheticClip, b: SyntheticClip) -> bool:
    arrays = [(a.frames, b.frames), (a.references, b.references), (a.masks, b.masks), (a.matte, b.matte), (a.depth, b.depth)]
    for name, signal in a.controls.signals().items():
        arrays += [(array, getattr(b.controls.signals()[name], field)) for field, array in signal.arrays().items()]
    return all(np.array_equal(x, y) for x, y in arrays)


def lip_gap(face: Face, head: Head) -> np.ndarray:
    gap = np.linalg.norm(face.landmarks[:, 13, :2] - face.landmarks[:, 14, :2], axis=1)
    return gap / (head.radius / head_space.SPHERE_RADIUS)


@pytest.fixture(scope="module")
def clip() -> SyntheticClip:
    return generate_clip(7, size=96, frames=20, references=2, framing="face")


def test_the_same_arguments_give_the_same_bytes(clip: SyntheticClip) -> None:
    assert same(clip, generate_clip(7, size=96, frames=20, references=2, framing="face"))
    assert not same(clip, generate_clip(7, size=96, frames=20, references=2, framing="face", motion_seed=8))


def test_a_size_changes_neither_the_person_nor_the_motion(clip: SyntheticClip) -> None:
    large = generate_clip(7, size=192, frames=20, references=2, framing="face")
    small = np.stack([cv2.resize(frame, (96, 96), interpolation=cv2.INTER_AREA) for frame in large.frames])
    assert np.abs(small.astype(float) - clip.frames).mean() < 6
    # Pixel centres are integers: the same place is at 2 x + 0.5 in a picture of twice the size.
    expected = face_of(clip.controls).landmarks[..., :2] * 2 + 0.5
    assert np.allclose(face_of(large.controls).landmarks[..., :2], expected, atol=0.05)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_framing_shows_what_it_says(framing: str) -> None:
    made = generate_clip(3, size=64, frames=3, references=1, framing=framing)
    assert made.frames.shape == (3, 64, 64, 3)
    assert made.references.shape == (1, 64, 64, 3)
    assert made.masks.shape == made.matte.shape == made.depth.shape == (3, 64, 64)
    assert made.framing == framing
    assert made.controls.num_frames == 3
    assert made.reference_controls.num_frames == 1
    assert set(made.controls.signals()) == {"face", "head", "body", "hands"}
    body = made.controls.body
    assert body is not None
    inside = (body.joints_2d > 0).all(-1) & (body.joints_2d < 63).all(-1)
    knees, head_height = inside[:, 25:27], 2 * head_of(made.controls).radius / 64
    assert knees.all() == (framing == "full")
    least, most = {"face": (0.4, 0.9), "bust": (0.2, 0.5), "half": (0.12, 0.32), "full": (0.06, 0.2)}[framing]
    assert ((head_height > least) & (head_height < most)).all()


def test_where_the_matte_is_empty_there_is_only_the_background(clip: SyntheticClip) -> None:
    empty = (clip.matte == 0).all(0)
    assert 0.05 < empty.mean() < 0.9
    assert (clip.frames[:, empty] == clip.frames[0, empty]).all()
    assert (np.isfinite(clip.depth) == (clip.matte > 0)).all()
    assert (clip.seen(PERSON) == (clip.matte > 127)).all()
    seen = clip.depth[clip.matte > 0]
    assert 0.3 < seen.min() < seen.max() < 4


def test_landmarks_lie_on_the_face_that_is_seen(clip: SyntheticClip) -> None:
    face, head = face_of(clip.controls), head_of(clip.controls)
    yaw = np.abs(head_space.euler_degrees(head.rotation)[:, 0])
    frontal = np.flatnonzero((face.score > 0) & (yaw < 30))
    assert len(frontal)
    for t in frontal:
        at = np.rint(face.landmarks[t, :468, :2]).astype(int)
        inside = ((at >= 0) & (at < 96)).all(1)
        assert (clip.matte[t, at[inside, 1], at[inside, 0]] > 0).mean() > 0.97
        # Hair may hide some of the forehead.
        on_face = cv2.dilate(clip.seen(FACE)[t].astype(np.uint8), np.ones((3, 3), np.uint8))
        assert on_face[at[inside, 1], at[inside, 0]].mean() > 0.8


def test_regions_lie_in_each_other(clip: SyntheticClip) -> None:
    face = clip.seen(FACE)
    assert face.any()
    for region in (MOUTH, EYES, BROWS):
        assert clip.seen(region).any()
        assert (clip.seen(region) & face).sum() > 0.7 * clip.seen(region).sum()
    assert not (face & ~clip.seen(PERSON)).any()
    assert clip.seen(MOUTH).sum() < 0.4 * face.sum()


def test_an_open_mouth_is_open_in_pixels_landmarks_and_blendshapes() -> None:
    gaps, weights, dark = [], [], []
    for seed in range(4):
        made = generate_clip(seed, size=96, frames=16, framing="face", identity_seed=2)
        face, head = face_of(made.controls), head_of(made.controls)
        use = (face.score > 0) & (np.abs(head_space.euler_degrees(head.rotation)[:, 0]) < 35)
        gaps.append(lip_gap(face, head)[use])
        weights.append(face.blendshapes[use, JAW_OPEN])
        # Skin at rest is brighter than the inside of the mouth: what is darkest in the mouth tells how open it is.
        dark += [np.percentile(made.frames[t][made.seen(MOUTH)[t]].mean(1), 10) / 255 for t in np.flatnonzero(use)]
    gap, weight = np.concatenate(gaps), np.concatenate(weights)
    assert gap.max() > 0.35
    assert np.corrcoef(gap, weight)[0, 1] > 0.9
    assert np.corrcoef(gap, dark)[0, 1] < -0.3


def test_eyes_that_are_shut_show_no_iris() -> None:
    blink = [BLENDSHAPES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    lowest, heights, closed = 1.0, [], []
    for seed in range(3):
        made = generate_clip(seed, size=96, frames=24, framing="face", identity_seed=4)
        face = face_of(made.controls)
        scale = head_of(made.controls).radius / head_space.SPHERE_RADIUS
        height = np.abs(face.landmarks[:, 386, 1] - face.landmarks[:, 374, 1]) / scale
        heights.append(height)
        closed.append(face.blendshapes[:, blink].max(1))
        lowest = min(lowest, float(height.min()))
    assert lowest < 0.04
    assert np.concatenate(heights).max() > 0.12
    assert np.corrcoef(np.concatenate(heights), np.concatenate(closed))[0, 1] < -0.8


def test_the_same_motion_on_another_person_is_an_exact_pair() -> None:
    one = generate_clip(11, size=64, frames=16, framing="face", identity_seed=21)
    other = generate_clip(11, size=64, frames=16, framing="face", identity_seed=22)
    assert one.motion == other.motion
    assert one.identity != other.identity
    a, b = face_of(one.controls), face_of(other.controls)
    assert np.array_equal(a.gaze, b.gaze)
    moving = a.blendshapes.std(0) > 0.1
    assert moving.sum() > 3
    assert np.abs(a.blendshapes - b.blendshapes)[:, moving].mean() < 0.1
    assert np.abs(a.identity - b.identity).max() > 0.03
    turn_a, turn_b = (head_space.euler_degrees(head_of(c.controls).rotation) for c in (one, other))
    assert np.abs((turn_a - turn_a[:1]) - (turn_b - turn_b[:1])).max() < 4
    assert np.abs(one.frames.astype(int) - other.frames).mean() > 10


def test_expression_owes_nothing_to_the_pose() -> None:
    made = generate_clip(5, size=64, frames=24, framing="half")
    face, head = face_of(made.controls), head_of(made.controls)
    assert np.ptp(head_space.euler_degrees(head.rotation)[:, 0]) > 15
    forehead = [10, 338, 297, 109, 67, 151, 9, 8, 168, 6]
    assert np.abs(face.expression[:, forehead]).max() < 0.08
    assert np.abs(face.expression).max() > 0.12


def test_references_show_the_same_place_from_the_front_first() -> None:
    for seed in range(4):
        made = generate_clip(seed, size=48, frames=2, references=3, framing="bust")
        yaw = head_space.euler_degrees(head_of(made.reference_controls).rotation)[:, 0]
        assert abs(yaw[0]) < 45
        assert np.ptp(yaw) > 15
        nobody = (made.matte == 0).all(0) & ((made.reference_masks & PERSON) == 0).all(0)
        nobody = cv2.erode(nobody.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        assert np.abs(made.references[:, nobody].astype(int) - made.frames[0, nobody]).max() == 0


def test_joints_lie_on_the_person() -> None:
    for seed in (1, 2):
        made = generate_clip(seed, size=96, frames=6, framing="full")
        body = made.controls.body
        assert body is not None
        person = [cv2.dilate((matte > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) for matte in made.matte]
        sure = np.argwhere(body.score > 0.9)
        assert len(sure) > 60
        at = np.clip(np.rint(body.joints_2d).astype(int), 0, 95)
        assert np.mean([person[t][at[t, j, 1], at[t, j, 0]] for t, j in sure]) > 0.97
        thigh = np.linalg.norm(body.joints_3d[:, 23] - body.joints_3d[:, 25], axis=1)
        assert np.allclose(thigh, thigh[0], atol=1e-4)
        assert 0.3 < thigh[0] < 0.6


def test_hands_have_fingers_of_fixed_length() -> None:
    made = generate_clip(4, size=96, frames=8, framing="half")
    hands, body = made.controls.hands, made.controls.body
    assert hands is not None
    assert body is not None
    bone = np.linalg.norm(hands.joints_3d[:, :, 6] - hands.joints_3d[:, :, 5], axis=-1)
    assert np.allclose(bone, bone[0, 0], atol=2e-3)
    assert np.allclose(hands.joints_2d[:, 0, 0], body.joints_2d[:, 15], atol=1e-3)
    assert np.allclose(hands.joints_2d[:, 1, 0], body.joints_2d[:, 16], atol=1e-3)


def test_a_stream_is_the_same_from_workers_and_may_be_gone_on_with() -> None:
    wish = {"size": 32, "frames": 2, "clips_a_person": 2}
    here = generate(5, workers=0, **wish)  # type: ignore[arg-type]
    first = [next(here) for _ in range(4)]
    assert first[0].identity == first[1].identity != first[2].identity
    assert len({c.motion for c in first}) == 4
    there = generate(5, workers=1, start=1, **wish)  # type: ignore[arg-type]
    assert all(same(a, next(there)) for a in first[1:])
    for process in multiprocessing.active_children():
        process.kill()
    with pytest.raises(WorkerLost, match="died"):
        list(itertools.islice(there, 12))


def test_a_sheet_is_written_whole(tmp_path: Path) -> None:
    preview_sheet(tmp_path / "people.png", size=48, rows=2, pictures=3)
    picture = cv2.imread(str(tmp_path / "people.png"))
    assert picture.shape == (96, 48 * 4, 3)
    assert [p.name for p in tmp_path.iterdir()] == ["people.png"]
    with pytest.raises(UsageError, match="no name for a sheet"):
        preview_sheet(tmp_path / "people.jpg")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"framing": "toes"}, "no framing"),
        ({"size": 8}, "at 8 px"),
        ({"frames": 0}, "of 0 frames"),
        ({"identity_seed": -1}, "no seed -1"),
    ],
)
def test_what_cannot_be_is_refused(wish: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        generate_clip(1, **{"size": 32, "frames": 1, **wish})  # type: ignore[arg-type]


def test_assets_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="not a converted MakeHuman"):
        generate_clip(1, size=32, frames=1, assets=tmp_path)
    np.savez(tmp_path / "makehuman.npz", v=np.zeros((3, 3), np.float32))
    with pytest.raises(UnreadableInput, match="it has no"):
        generate_clip(1, size=32, frames=1, assets=tmp_path)


SHARED_ASSETS = Path(__file__).resolve().parents[2].parent / "shared" / "assets" / "makehuman.npz"


@pytest.mark.skipif(not SHARED_ASSETS.exists(), reason="no ../shared/assets")
def test_people_from_makehuman_open_mouths_and_shut_eyes() -> None:
    made = generate_clip(9, size=64, frames=12, framing="face", assets=SHARED_ASSETS)
    face, head = face_of(made.controls), head_of(made.controls)
    seen = face.score > 0
    assert seen.mean() > 0.5
    on_face = [made.seen(FACE)[t].mean() for t in np.flatnonzero(seen)]
    assert min(on_face) > 0.03
    assert np.corrcoef(lip_gap(face, head), face.blendshapes[:, JAW_OPEN])[0, 1] > 0.7
    assert same(made, generate_clip(9, size=64, frames=12, framing="face", assets=SHARED_ASSETS))
