"""Extraction from clips whose motion is known."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import BLENDSHAPES, Controls
from dreamactor_cli.controls import extract, measurer
from dreamactor_cli.controls.chunk import WARM_UP
from dreamactor_cli.controls.extract import Extraction, extract_controls
from dreamactor_cli.controls.measurer import Source, Window
from dreamactor_cli.errors import NoPersonFound, UnreadableInput, UsageError
from dreamactor_cli.media import probe, read_frames

RIGID = list(head_space.RIGID)


def test_landmarks_go_where_the_pixels_went(face_clip: Any, face_controls: Controls) -> None:
    landmarks = face_controls.face.landmarks[:, RIGID, :2]
    matrices = face_clip.affine
    expected = np.einsum("tij,nj->tni", matrices[:, :, :2], landmarks[0]) + matrices[:, None, :, 2]
    error = np.linalg.norm(landmarks - expected, axis=2)
    assert face_controls.num_frames == face_clip.num_frames
    assert face_controls.fps == face_clip.fps
    assert (face_controls.face.score == 1).all()
    assert error.mean() < 1.0
    assert error.mean(1).max() < 2.0


def test_head_turns_and_grows_with_the_picture(face_clip: Any, face_controls: Controls) -> None:
    linear = face_clip.affine[:, :, :2]
    angle = np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    roll = head_space.euler_degrees(face_controls.head.rotation)[:, 2]
    assert np.abs(roll - roll[0] - angle).max() < 1.0
    scale = np.hypot(linear[:, 0, 0], linear[:, 1, 0])
    assert np.abs(face_controls.head.radius / face_controls.head.radius[0] / scale - 1).max() < 0.05


def test_flow_of_the_torso_is_the_motion_of_the_pixels(face_clip: Any, face_controls: Controls) -> None:
    points = np.array([[90.0, 230.0], [150.0, 235.0]])
    found = np.einsum("tij,nj->tni", face_controls.head.torso_2d[:, :, :2], points) + face_controls.head.torso_2d[:, None, :, 2]
    expected = np.einsum("tij,nj->tni", face_clip.affine[:, :, :2], points) + face_clip.affine[:, None, :, 2]
    still = np.linalg.norm(points - expected, axis=2).mean()
    assert np.linalg.norm(found - expected, axis=2).mean() < 0.25 * still


def test_flow_of_the_head_starts_at_identity_and_stays_a_correction(face_controls: Controls) -> None:
    head_2d = face_controls.head.head_2d
    assert np.abs(head_2d[0] - [[1, 0, 0], [0, 1, 0]]).max() < 1e-4
    center = face_controls.head.center
    moved = np.einsum("tij,tj->ti", head_2d[:, :, :2], center) + head_2d[:, :, 2]
    assert np.linalg.norm(moved - center, axis=1).max() < 6


def test_jaw_opens_with_the_chin(face_clip: Any, face_controls: Controls) -> None:
    opened = face_controls.face.blendshapes[:, BLENDSHAPES.index("jawOpen")]
    assert np.corrcoef(opened, face_clip.jaw)[0, 1] > 0.8
    assert np.abs(face_controls.face.expression[0]).max() < 1e-3


def test_second_run_reads_nothing_of_the_video(
    face_clip: Any, face_extraction: Extraction, shared_cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the video was opened")

    monkeypatch.setattr(extract, "probe", fail)
    monkeypatch.setattr(measurer, "read_frames", fail)
    again = extract_controls(face_clip.path, signals=["head", "face"], cache=shared_cache)
    assert again.cache_hits == 2
    assert again.info == face_extraction.info
    assert again.stream.num_frames == face_clip.num_frames


def test_only_the_missing_signal_is_made(face_clip: Any, cache: Cache) -> None:
    window = {"cache": cache, "duration": Fraction(1, 5), "workers": 1}
    extract_controls(face_clip.path, signals=["matte"], **window)
    both = extract_controls(face_clip.path, signals=["matte", "body"], **window)
    assert both.cache_hits == 1
    assert set(both.stream.signals) == {"matte", "body"}
    assert both.stream.num_frames == 5
    assert not list((cache.root / "scratch").glob("*"))


def test_damaged_entry_is_made_again_and_told(face_clip: Any, tmp_path: Path) -> None:
    window = {"signals": ["matte"], "duration": Fraction(1, 10), "workers": 1}
    first = extract_controls(face_clip.path, cache=Cache(tmp_path / "c"), **window).stream.matte.window(0, 2)
    for entry in (tmp_path / "c").rglob("*.safetensors"):
        entry.write_bytes(entry.read_bytes()[:-3] + b"xyz")
    from dreamactor_cli import cache as cache_module

    cache_module._checked.clear()
    again = extract_controls(face_clip.path, cache=Cache(tmp_path / "c"), **window)
    assert any("damaged" in warning for warning in again.warnings)
    assert np.array_equal(first, again.stream.matte.window(0, 2))


@pytest.mark.slow
def test_result_does_not_depend_on_the_number_of_workers(face_clip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "_WORTH_A_POOL", 0)
    monkeypatch.setattr(extract, "chunks_of", lambda n: [(0, n // 2), (n // 2, n)])
    names = []
    for workers in (1, 2):
        cache = Cache(tmp_path / str(workers))
        extract_controls(face_clip.path, signals=["face", "head"], cache=cache, workers=workers, duration=Fraction(1, 2))
        names.append(sorted(path.name for path in cache.root.rglob("*.safetensors")))  # names hold checksums
    assert names[0] == names[1]
    assert len(names[0]) == 3


def test_frames_with_nobody_are_held(astronaut_rgb: np.ndarray, make_clip: Callable[..., Path], cache: Cache) -> None:
    face = astronaut_rgb[:256, 96:352]
    nobody = np.full_like(face, 90)
    clip = make_clip(np.stack([nobody] * 4 + [face] * 5 + [nobody] * 4))
    found = extract_controls(clip, signals=["face", "head"], cache=cache, workers=1)
    controls = found.stream.window(0, 13)
    assert controls.face.score.tolist() == [0] * 4 + [1] * 5 + [0] * 4
    assert np.array_equal(controls.face.landmarks[0], controls.face.landmarks[4])
    assert np.array_equal(controls.face.landmarks[12], controls.face.landmarks[8])
    assert (controls.head.radius > 20).all()


def test_nobody_at_all_is_refused(make_clip: Callable[..., Path], cache: Cache) -> None:
    from skimage import data

    clip = make_clip(np.stack([np.ascontiguousarray(data.coffee()[:256, :256])] * 3), name="my coffee.mp4")
    with pytest.raises(NoPersonFound, match=r"my coffee\.mp4"):
        extract_controls(clip, signals=["face"], cache=cache, workers=1)
    assert not list((cache.root / "scratch").glob("*"))


def test_one_of_two_people_is_followed(astronaut_rgb: np.ndarray, make_clip: Callable[..., Path], cache: Cache) -> None:
    face = astronaut_rgb[:256, 96:352]
    pair = np.concatenate([face, face[:, ::-1]], 1)
    clip = make_clip(np.stack([pair] * 3))
    chosen = extract_controls(clip, signals=["face"], cache=cache, workers=1)
    assert any("2 people" in warning and "--subject" in warning for warning in chosen.warnings)
    middle = []
    for subject in (1, 2):
        found = extract_controls(clip, signals=["face"], cache=cache, workers=1, subject=subject)
        middle.append(found.stream.window(0, 3).face.landmarks[:, :468, 0].mean())
        assert found.warnings == ()
    assert middle[0] < 256 < middle[1]
    with pytest.raises(UsageError, match="--subject 3"):
        extract_controls(clip, signals=["face"], cache=cache, workers=1, subject=3)


def test_scene_cut_is_told_and_ends_the_flow(astronaut_rgb: np.ndarray, make_clip: Callable[..., Path], cache: Cache) -> None:
    first = astronaut_rgb[:256, 96:352]
    second = astronaut_rgb[20:220, 130:330]
    second = np.ascontiguousarray(np.repeat(np.repeat(second, 2, 0), 2, 1)[60:316, 70:326, ::-1])
    clip = make_clip(np.stack([first] * 6 + [second] * 6))
    found = extract_controls(clip, signals=["head"], cache=cache, workers=1)
    assert found.scene_cuts == (6,)
    assert any("scene cut" in warning and "0.24 s" in warning for warning in found.warnings)
    assert np.array_equal(found.stream.window(6, 12).head.torso_2d, np.tile(np.eye(2, 3, dtype=np.float32), (6, 1, 1)))


@pytest.mark.parametrize(
    ("options", "word"),
    [({"start": Fraction(5)}, "--start"), ({"duration": Fraction(0)}, "--duration"), ({"signals": ["aura"]}, "aura")],
)
def test_what_cannot_be_asked_for(face_clip: Any, cache: Cache, options: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        extract_controls(face_clip.path, **{"signals": ["face"], "cache": cache, **options})


def test_missing_file(tmp_path: Path, cache: Cache) -> None:
    with pytest.raises(UnreadableInput, match=r"absent\.mp4"):
        extract_controls(tmp_path / "absent.mp4", signals=["face"], cache=cache)


def test_window_samples_at_another_rate(face_clip: Any) -> None:
    info = probe(face_clip.path)
    window = Window.of(info, Fraction(2, 5), Fraction(4, 5), Fraction(25, 2))
    assert (window.start, window.num_frames) == (10, 10)
    assert [window.source(k) for k in range(4)] == [10, 12, 14, 16]
    shown = list(Source(window, face_clip.path, info).frames(2, 4))
    assert [(frame, damaged) for frame, _, damaged in shown] == [(2, False), (3, False)]
    assert np.abs(shown[0].picture.astype(int) - face_clip.frames[14]).mean() < 4


def test_consecutive_chunks_are_decoded_once(face_clip: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    def counted(path: Path, start: int, *arguments: Any, **options: Any) -> Any:
        opened.append(start)
        return read_frames(path, start, *arguments, **options)

    monkeypatch.setattr(measurer, "read_frames", counted)
    info = probe(face_clip.path)
    source = Source(Window.of(info, Fraction(0), None, None), face_clip.path, info)
    first, second = list(source.frames(0, 6)), list(source.frames(6 - WARM_UP, 10))
    assert opened == [0]
    assert [frame for frame, _, _ in second] == list(range(6 - WARM_UP, 10))
    assert second[0].picture is first[-WARM_UP].picture
    again = list(source.frames(2, 4))
    assert opened == [0, 2]
    assert np.array_equal(again[0].picture, first[2].picture)
    source.close()


def test_more_signals_are_asked_for_when_the_first_look_is_done(face_clip: Any, cache: Cache) -> None:
    window = {"duration": Fraction(1, 5), "workers": 1}
    asked: list[int] = []

    def more() -> list[str]:
        asked.append(1)
        return ["matte"]

    both = extract_controls(face_clip.path, signals=["face"], cache=cache, more_signals=more, **window)
    assert list(both.stream.signals) == ["face", "matte"]
    assert both.cache_hits == 0
    again = extract_controls(face_clip.path, signals=["face"], cache=cache, more_signals=more, **window)
    assert again.cache_hits == 2
    assert len(asked) == 2
    alone = extract_controls(face_clip.path, signals=["face"], cache=cache, more_signals=list, **window)
    assert list(alone.stream.signals) == ["face"]
