"""Single parts of the extractors."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.contracts import Controls
from dreamactor_cli.controls.appearance import MOUTH_HEIGHT, MOUTH_WIDTH, AppearanceExtractor, mouth_places
from dreamactor_cli.controls.assemble import _hold
from dreamactor_cli.controls.base import Tools
from dreamactor_cli.controls.body import BodyExtractor, fill_between
from dreamactor_cli.controls.chunk import CHUNK, chunks_of
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.gaze import gaze_angles
from dreamactor_cli.controls.graphs import Skeleton
from dreamactor_cli.controls.inverse import inverse
from dreamactor_cli.controls.mesh_refine import MeshRefiner
from dreamactor_cli.controls.tracking import LOOKS, PoseTracker
from dreamactor_cli.controls.view import Region, View, shrink


def still_clip(frame: np.ndarray, landmarks: np.ndarray | None = None, fps: float = 25) -> Clip:
    """A clip of one person in the left upper corner."""
    return Clip(
        num_frames=2, fps=fps, width=256, height=256, reference=0, picture=frame, matte=np.zeros((8, 8), np.uint8),
        landmarks=landmarks, anchors=np.zeros((1, 4), np.float32), others=np.zeros((0, 3), np.float32),
    )  # fmt: skip


@pytest.mark.parametrize("frames", [1, 48, 49, 97, 250, 1000, 5000])
def test_chunks_cover_the_clip_once(frames: int) -> None:
    chunks = chunks_of(frames)
    assert [k for start, stop in chunks for k in range(start, stop)] == list(range(frames))
    assert all(0 < stop - start <= CHUNK for start, stop in chunks)


@pytest.mark.parametrize(("half", "size"), [(30, 60), (30, 90), (55, 40), (55, 20), (40, 64)])
def test_region_knows_where_its_pixels_lie(half: int, size: int) -> None:
    ramp = np.stack(np.broadcast_arrays(np.arange(200)[None], np.arange(150)[:, None], 0), -1).astype(np.uint8)
    region = Region(100, 75, half, size)
    crop = region.cut(ramp)
    for x, y in ((5, 7), (size - 6, size - 8), (size // 2, size // 2)):
        expected = region.to_picture(np.array([[x, y, 0.0]]))[0, :2]
        assert np.abs(crop[y, x, :2] - expected).max() < 1.0


def test_region_outside_the_picture_repeats_its_edge() -> None:
    picture = np.full((40, 40, 3), 7, np.uint8)
    assert (Region(-20, 90, 15, 32).cut(picture) == 7).all()
    assert Region(20, 20, 60, 48).cut(picture, grey=True).shape == (48, 48)


def test_shrink_keeps_small_pictures_and_the_mean_of_large_ones() -> None:
    small = np.zeros((30, 20, 3), np.uint8)
    assert shrink(small, 30) is small
    large = np.random.default_rng(0).integers(0, 255, (300, 500), dtype=np.uint8)
    assert shrink(large, 120).shape == (72, 120)
    assert abs(float(shrink(large, 120).mean()) - float(large.mean())) < 2


def test_hold_repeats_the_last_good_value() -> None:
    values = np.array([[0.0], [5], [0], [7], [0]])
    seen = np.array([False, True, False, True, False])
    assert _hold(values, seen, np.array([3.0]))[:, 0].tolist() == [3, 5, 5, 7, 7]
    hands = np.stack([values, values + 1], 1)
    held = _hold(hands, np.stack([seen, ~seen], 1), np.array([[3.0], [4.0]]))
    assert held[:, 0, 0].tolist() == [3, 5, 5, 7, 7]
    assert held[:, 1, 0].tolist() == [1, 1, 1, 1, 1]


def test_frames_that_were_left_out_lie_between_their_neighbours() -> None:
    joints = np.array([0.0, 0, 0, 3, 3, 0], np.float32)
    fill_between(joints, np.array([1, 0, 0, 1, 0, 0], bool), np.array([1, 1, 1, 1, 1, 0], bool))
    assert joints.tolist() == [0, 1, 2, 3, 3, 0]


@pytest.mark.parametrize(("fps", "measured"), [(12, 6), (18, 4), (25, 3), (60, 3)])
def test_a_body_at_rest_is_measured_every_eighth_of_a_second(fps: int, measured: int) -> None:
    class StillPose:
        calls = 0

        def forget(self) -> None: ...

        def __call__(self, rgb: np.ndarray) -> Skeleton:
            self.calls += 1
            return Skeleton(np.mgrid[0:33, 0:2].transpose(1, 2, 0).sum(2).astype(np.float32), np.zeros((33, 3)), np.ones(33))

    pose, frame = StillPose(), np.zeros((64, 64, 3), np.uint8)
    tracker = PoseTracker(still_clip(frame, fps=fps), pose)  # type: ignore[arg-type]
    for index in range(6):
        tracker.track(View(frame, index))
    assert pose.calls == LOOKS - 1 + measured


def test_a_body_that_begins_to_move_is_measured_from_where_it_was_at_rest() -> None:
    rest = np.mgrid[0:33, 0:2].transpose(1, 2, 0).sum(2).astype(np.float32)

    class QuickPose:
        def forget(self) -> None: ...

        def __call__(self, rgb: np.ndarray) -> Skeleton:
            moved = rest.copy()
            moved[15] += 10.0 * max(0, int(rgb[0, 0, 0]) - 2)  # a hand that stands still for three frames
            return Skeleton(moved, np.zeros((33, 3), np.float32), np.ones(33, np.float32))

    clip = still_clip(np.zeros((64, 64, 3), np.uint8), fps=25)
    tools = Tools(clip, {"pose": QuickPose()})
    extractor = BodyExtractor(clip, tools)
    views = [View(np.full((64, 64, 3), index, np.uint8), 100 + index) for index in range(6)]
    rows = [row for batch in (views[:2], views[2:]) for row in extractor.measure(batch)]
    hand = extractor.stack(rows)["joints_2d"][:, 15, 0]
    assert (hand - rest[15, 0]).tolist() == [0, 0, 0, 10, 20, 30]


def test_gaze_follows_the_iris() -> None:
    canonical = np.repeat(head_space.template()[None], 2, 0)
    canonical[1, [*head_space.IRIS_LEFT, *head_space.IRIS_RIGHT], 0] += 0.05
    straight, right = gaze_angles(canonical)
    assert (right[:, 0] - straight[:, 0] > 0.1).all()
    assert np.abs(right[:, 1] - straight[:, 1]).max() < 0.05


def test_refinement_takes_jitter_out_of_the_mesh(face_clip: Any, face_controls: Controls) -> None:
    landmarks = face_controls.face.landmarks
    refiner = MeshRefiner(View(face_clip.frames[0], 0), landmarks[0])
    matrix = face_clip.affine[4]
    truth = landmarks[0].copy()
    truth[:, :2] = truth[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    shaken = truth.copy()
    shaken[:, 0] += 0.9 + 0.5 * np.sin(truth[:, 1] / 12)
    shaken[:, 1] += -0.7 + 0.5 * np.sin(truth[:, 0] / 15)
    refined = refiner.refine([View(face_clip.frames[4], 4)], shaken[None].astype(np.float32))[0]
    inner = [9, 8, 168, 6, 197, 195, 5, 4, 50, 280, 205, 425, 117, 346, 36, 266]
    before = np.linalg.norm(shaken[inner, :2] - truth[inner, :2], axis=1).mean()
    after = np.linalg.norm(refined[inner, :2] - truth[inner, :2], axis=1).mean()
    assert after < 0.6 * before
    assert np.array_equal(refined[:, 2], shaken[:, 2].astype(np.float32))


def test_refinement_leaves_another_picture_alone(face_clip: Any, face_controls: Controls) -> None:
    landmarks = face_controls.face.landmarks[0]
    refiner = MeshRefiner(View(face_clip.frames[0], 0), landmarks)
    noise = np.random.default_rng(0).integers(0, 255, face_clip.frames[0].shape, dtype=np.uint8)
    assert np.abs(refiner.refine([View(noise, 1)], landmarks[None])[0] - landmarks).max() < 0.05


def test_appearance_is_a_ratio_to_the_reference_frame(face_clip: Any, face_controls: Controls) -> None:
    frame, landmarks = face_clip.frames[0], face_controls.face.landmarks[0]

    class Seen:
        def faces(self, views: list[View]) -> list[np.ndarray]:
            return [landmarks for _ in views]

    clip = still_clip(frame, landmarks)
    extractor = AppearanceExtractor(clip, Seen())  # type: ignore[arg-type]
    darker = (frame * 0.5).astype(np.uint8)
    found = extractor.stack([*extractor.measure([View(frame, 0), View(darker, 1)]), None])
    assert found["score"].tolist() == [1, 1, 0]
    assert np.abs(found["shading"][0].astype(int) - 128).max() <= 1
    assert abs(float(np.median(found["shading"][1][24:40, 24:40])) - 66) < 4
    assert found["mouth"].shape == (3, MOUTH_HEIGHT, MOUTH_WIDTH, 3)


@pytest.mark.parametrize("rows", [1, 63, 64, 201])
def test_inverse_by_halves(rows: int) -> None:
    random = np.random.default_rng(rows).normal(size=(rows, rows + 20))
    matrix = (random @ random.T + np.eye(rows)).astype(np.float32)
    assert np.abs(inverse(matrix) @ matrix - np.eye(rows)).max() < 1e-2


def test_mouth_box_runs_from_corner_to_corner_and_lip_to_lip(face_controls: Controls) -> None:
    landmarks = face_controls.face.landmarks[0]
    places = mouth_places(landmarks)
    assert np.abs(places[:, 0] - landmarks[78, :2]).max() < 1e-3
    assert np.abs(places[:, -1] - landmarks[308, :2]).max() < 1e-3
    assert np.linalg.norm(places[0] - landmarks[13, :2], axis=1).min() < 1.0
    assert np.linalg.norm(places[-1] - landmarks[14, :2], axis=1).min() < 1.0


def test_mediapipe_stays_whole_for_others_in_the_process() -> None:
    """What is left out to start fast is there for whoever asks for it."""
    script = (
        "import numpy as np; from dreamactor_cli.controls.graphs import FaceMesh;"
        "assert FaceMesh()(np.zeros((64, 64, 3), np.uint8)) == [];"
        "import mediapipe;"
        "mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True);"
        "assert mesh.process(np.zeros((64, 64, 3), np.uint8)).multi_face_landmarks is None; assert mediapipe.Image"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
