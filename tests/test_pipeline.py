"""Jobs from files to files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import compose
from dreamactor_cli.api import extract
from dreamactor_cli.contracts import Job, Preset, RenderResult
from dreamactor_cli.errors import NoPersonFound, UnreadableInput, UsageError
from dreamactor_cli.media import probe, read_frames
from dreamactor_cli.pipeline import run_job

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

U8 = NDArray[np.uint8]
Run = Callable[..., RenderResult]


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory, astronaut_rgb: U8) -> Path:
    """Head and shoulders of the astronaut, 256x256."""
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    cv2.imwrite(str(path), astronaut_rgb[:256, 96:352, ::-1])
    return path


@pytest.fixture
def run(portrait: Path, shared_cache: Cache, leftovers: Path) -> Run:
    """``run("out.mp4", "motion:nod", region=("head",), duration=..)``: a short job on the portrait."""

    def start(
        output: str = "out.mp4", driving: object = "motion:nod", *, cache: Cache | None = None, references: Any = None,
        on_progress: Any = None, duration: Fraction | None = Fraction(2, 5), **options: Any,
    ) -> RenderResult:  # fmt: skip
        fields = {name: options.pop(name) for name in list(options) if name in Job.__slots__}
        job = Job(
            id="job", references=references or (portrait,), output=leftovers / output, driving=str(driving),
            preset=replace(Preset(crf=4), **options), duration=duration, **fields,
        )  # fmt: skip
        return run_job(job, cache=cache or shared_cache, on_progress=on_progress, workers=1)

    return start


def _frames(path: Path) -> U8:
    return np.stack(list(read_frames(path)))


def _files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_a_motion_moves_a_picture(run: Run, leftovers: Path, portrait: Path) -> None:
    stages: list[tuple[str, int, int]] = []
    result = run(on_progress=lambda *told: stages.append(told))
    assert (result.id, result.status, result.frames) == ("job", "ok", 10)
    assert set(result.seconds) == {"reference", "extract", "render"}
    info = probe(result.output)
    assert (info.num_frames, info.fps, info.width, info.height, info.audio_codec) == (10, Fraction(25), 256, 256, None)
    frames = _frames(result.output).astype(int)
    picture = cv2.imread(str(portrait))[..., ::-1].astype(int)
    assert np.abs(frames[0] - picture).mean() < 3
    assert np.abs(frames[-1] - picture).mean() > np.abs(frames[0] - picture).mean() + 1
    assert [done for stage, done, _ in stages if stage == "render"] == list(range(11))
    assert _files(leftovers) == ["out.mp4", "out.mp4.json"]


def test_the_sidecar_tells_what_it_was_made_from(run: Run, leftovers: Path, portrait: Path) -> None:
    result = run(region=("head",), seed=7, start=Fraction(1, 5))
    record = json.loads((leftovers / "out.mp4.json").read_text("utf-8"))
    made_from = record["made_from"]
    assert "synthetic" in record
    assert record["output_sha256"] == result.sha256
    assert record["frames"] == result.frames
    assert record["inputs"] == {"references": ["portrait.png"], "driving": "motion:nod"}
    assert made_from["parameters"]["region"] == ["head"]
    assert made_from["seed"] == 7
    assert made_from["window"] == ["1/5", "2/5"]
    assert made_from["renderer"].startswith("geometry ")
    assert str(leftovers) not in json.dumps(record)  # no path of this machine
    assert str(portrait.parent) not in json.dumps(record)


def test_a_job_that_is_done_is_skipped_and_another_is_refused(run: Run, leftovers: Path) -> None:
    first = run()
    before = {name: (leftovers / name).read_bytes() for name in _files(leftovers)}
    told: list[object] = []
    again = run(on_progress=lambda *what: told.append(what))
    assert (again.status, again.sha256, told) == ("skipped", first.sha256, [])
    with pytest.raises(UsageError, match="already there"):
        run(expression_scale=0.5)
    assert {name: (leftovers / name).read_bytes() for name in _files(leftovers)} == before
    changed = run(expression_scale=0.5, region=("head",), overwrite=True)
    assert changed.status == "ok"
    assert changed.sha256 != first.sha256


def test_a_job_is_done_again_if_its_output_is_gone_or_changed(run: Run, leftovers: Path) -> None:
    first = run()
    (leftovers / "out.mp4").unlink()
    again = run()
    assert (again.status, again.sha256) == ("ok", first.sha256)
    with (leftovers / "out.mp4").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UsageError, match="already there"):
        run()


def test_the_same_job_makes_the_same_bytes(run: Run, leftovers: Path, cache: Cache) -> None:
    first = run().output.read_bytes()
    assert run(overwrite=True).output.read_bytes() == first
    fresh = run(overwrite=True, cache=cache)
    assert fresh.cache_hits == 0
    assert fresh.output.read_bytes() == first


def test_a_video_drives_a_picture_with_its_sound(run: Run, face_clip: FaceClip) -> None:
    result = run(driving=face_clip.path, duration=None)
    info = probe(result.output)
    assert (result.frames, info.num_frames, info.fps) == (38, 38, Fraction(25))
    assert info.audio_codec is not None
    assert _sound_seconds(result.output) == pytest.approx(float(info.duration), abs=0.03)
    frames = _frames(result.output).astype(int)
    moved = np.abs(frames - frames[0]).mean((1, 2, 3))
    assert moved[9] > 2  # the head sways to one side and back
    assert moved[9] > 1.5 * moved[-1]


def _sound_seconds(path: Path) -> float:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return sum(frame.samples for frame in container.decode(stream)) / stream.rate


def test_a_controls_file_drives_like_its_video(run: Run, face_clip: FaceClip, shared_cache: Cache, tmp_path: Path) -> None:
    controls = tmp_path / "face.controls.safetensors"
    extract(face_clip.path, controls, signals=("face", "head"), cache_dir=shared_cache.root, workers=1)
    by_video = _frames(run("video.mp4", face_clip.path, duration=None).output)
    by_controls = run("controls.mp4", controls, duration=None)
    np.testing.assert_array_equal(_frames(by_controls.output), by_video)
    assert probe(by_controls.output).audio_codec is None
    part = run("part.mp4", controls, start=Fraction(2, 5), duration=Fraction(1, 5))
    assert part.frames == 5


def test_a_controls_file_without_a_face_is_refused(run: Run, face_clip: FaceClip, shared_cache: Cache, tmp_path: Path) -> None:
    controls = tmp_path / "body.controls.safetensors"
    extract(face_clip.path, controls, signals=("body",), duration=0.2, cache_dir=shared_cache.root, workers=1)
    with pytest.raises(UsageError, match="no face") as wrong:
        run(driving=controls)
    assert "face,head" in wrong.value.hint


@pytest.mark.parametrize(("fps", "frames"), [("source", 10), ("30000/1001", 12), ("50", 20), ("12", 5)])
def test_the_rate_of_the_output_is_exact(run: Run, face_clip: FaceClip, fps: str, frames: int) -> None:
    result = run(driving=face_clip.path, fps=fps)
    info = probe(result.output)
    assert (result.frames, info.num_frames) == (frames, frames)
    assert info.fps == (Fraction(25) if fps == "source" else Fraction(fps))


def test_a_window_of_the_driver(run: Run, face_clip: FaceClip) -> None:
    """What starts later moves relative to its own first frame, and carries the sound of its own time."""
    result = run(driving=face_clip.path, start=Fraction(2, 5), duration=Fraction(3, 5))
    assert result.frames == 15
    assert _sound_seconds(result.output) == pytest.approx(0.6, abs=0.03)
    with pytest.raises(UsageError, match="window"):
        run("late.mp4", face_clip.path, start=Fraction(9))


def test_a_window_of_a_motion(run: Run) -> None:
    assert run("part.mp4", start=Fraction(1, 5), duration=Fraction(2, 5)).frames == 10
    with pytest.raises(UsageError, match="window"):
        run("late.mp4", start=Fraction(3600), duration=None)


def test_a_colour_behind_the_person(run: Run) -> None:
    frames = _frames(run(background="#00c000").output).astype(int)
    corners = frames[:, :20, :20].reshape(-1, 3)
    assert np.abs(corners - [0, 0xC0, 0]).max() < 12
    kept = _frames(run("kept.mp4").output).astype(int)
    assert np.abs(frames - kept)[:, 60:160, 100:160].mean() < 3  # the face


def test_a_picture_behind_the_person(run: Run, tmp_path: Path) -> None:
    wall = np.full((100, 300, 3), (10, 20, 200), np.uint8)
    cv2.imwrite(str(tmp_path / "wall.png"), wall[..., ::-1])
    frames = _frames(run(background=str(tmp_path / "wall.png")).output).astype(int)
    assert np.abs(frames[:, :20, :20] - [10, 20, 200]).max() < 12


def test_the_driver_behind_the_person(run: Run, face_clip: FaceClip) -> None:
    frames = _frames(run(driving=face_clip.path, background="driving").output).astype(int)
    corner = face_clip.frames[:10, :24, :24].astype(int)
    assert np.abs(frames[:, :24, :24] - corner).mean() < 6
    with pytest.raises(UsageError, match="driving video"):
        run("none.mp4", background="driving")


def test_transparent_pictures(run: Run, leftovers: Path) -> None:
    result = run("frames/%05d.png", background="transparent")
    pictures = sorted((leftovers / "frames").glob("*.png"))
    assert len(pictures) == result.frames == 10
    first = cv2.imread(str(pictures[0]), cv2.IMREAD_UNCHANGED)
    assert first.shape == (256, 256, 4)
    assert first[:20, :20, 3].max() < 30
    assert (first[100:140, 110:150, 3] == 255).all()
    assert run("frames/%05d.png", background="transparent").status == "skipped"
    pictures[3].unlink()
    with pytest.raises(UsageError):
        run("frames/%05d.png", background="transparent")


def test_side_by_side(run: Run, face_clip: FaceClip, portrait: Path) -> None:
    """Reference, driver where there is one, result; without a picture of the driver two panels are left."""
    three = _frames(run(driving=face_clip.path, side_by_side=True).output).astype(int)
    assert three.shape[2] == 3 * 256
    picture = cv2.imread(str(portrait))[..., ::-1].astype(int)
    assert np.abs(three[:, :, :256] - picture).mean() < 4
    assert np.abs(three[:, :, 256:512] - face_clip.frames[:10]).mean() < 4
    two = run("two.mp4", side_by_side=True)
    assert probe(two.output).width == 2 * 256


def test_the_drivers_pixels_only_on_demand(run: Run, face_clip: FaceClip) -> None:
    """The light and the mouth of the driver are carried over where they are asked for, and then the frames differ."""
    window = {"driving": face_clip.path, "duration": Fraction(3, 5)}
    plain = _frames(run("plain.mp4", **window).output).astype(int)
    for name, option in (("relit.mp4", {"relight": True}), ("mouth.mp4", {"mouth": "driver"})):
        other = _frames(run(name, **window, **option).output).astype(int)
        assert other.shape == plain.shape
        change = np.abs(other - plain).mean((0, 3))
        assert change[60:180, 60:190].max() > 2, name
        assert change[:, 220:].max() < 3, name  # beside the head


@pytest.mark.parametrize(("size", "expected"), [("128x128", (128, 128)), ("200x300", (200, 300))])
def test_the_size_of_the_output(run: Run, size: str, expected: tuple[int, int]) -> None:
    info = probe(run(size=size, duration=Fraction(1, 5)).output)
    assert (info.width, info.height) == expected


def test_several_views_of_a_person(run: Run, portrait: Path, astronaut: Path) -> None:
    """The first picture is the one that moves."""
    one, two = run("one.mp4"), run("two.mp4", references=(portrait, astronaut))
    np.testing.assert_array_equal(_frames(one.output), _frames(two.output))


def test_a_picture_of_nobody_is_refused_and_leaves_nothing(run: Run, leftovers: Path, tmp_path: Path) -> None:
    wall = tmp_path / "wall.png"
    cv2.imwrite(str(wall), np.random.default_rng(0).integers(90, 110, (256, 256, 3)).astype(np.uint8))
    with pytest.raises(NoPersonFound, match=r"wall\.png") as refused:
        run(references=(wall,))
    assert refused.value.exit_code == 4
    assert refused.value.hint
    assert _files(leftovers) == []


def test_a_failure_in_the_middle_leaves_nothing(run: Run, leftovers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The video and its sidecar appear when they are complete, or not at all."""
    calls = []

    def broken(frame: U8, background: U8) -> U8:
        calls.append(frame)
        if len(calls) > 4:
            raise UnreadableInput("gone")
        return lay_over(frame, background)

    lay_over = compose.lay_over
    monkeypatch.setattr(compose, "lay_over", broken)
    with pytest.raises(UnreadableInput):
        run(background="#102030")
    assert _files(leftovers) == []


def test_a_failed_overwrite_keeps_what_was_there(run: Run, leftovers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run().output.read_bytes()

    def broken(frame: U8, background: U8) -> U8:
        raise UnreadableInput("gone")

    monkeypatch.setattr(compose, "lay_over", broken)
    with pytest.raises(UnreadableInput):
        run(background="#102030", overwrite=True)
    assert (leftovers / "out.mp4").read_bytes() == before


def test_a_damaged_cache_is_made_again_and_told(run: Run, cache: Cache) -> None:
    from dreamactor_cli import cache as cache_module

    first = run(cache=cache)
    entries = sorted(cache.root.glob("??/*.safetensors"))
    assert entries
    for entry in entries:
        data = bytearray(entry.read_bytes())
        data[len(data) // 2] ^= 0xFF
        entry.write_bytes(data)
    cache_module._checked.clear()  # as a new process begins
    again = run(cache=type(cache)(cache.root), overwrite=True)
    assert any("damaged" in warning for warning in again.warnings)
    assert again.sha256 == first.sha256
    cache_module._checked.clear()
    calm = run(cache=type(cache)(cache.root), overwrite=True)
    assert calm.warnings == first.warnings
    assert calm.cache_hits > 0


def test_the_output_is_never_an_input(run: Run, leftovers: Path, portrait: Path) -> None:
    copied = leftovers / "out.mp4"
    copied.write_bytes(portrait.read_bytes())
    with pytest.raises(UsageError, match="input"):
        run(references=(copied,), overwrite=True)
    assert copied.read_bytes() == portrait.read_bytes()
