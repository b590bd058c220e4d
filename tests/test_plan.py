"""What a plan says before a run, against what the run then does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import sidecar
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Job, Preset, RenderResult
from dreamactor_cli.pipeline import run_job
from dreamactor_cli.plan import Plan, make_plan, record_rates

if TYPE_CHECKING:
    from tests.conftest import FaceClip

Make = Callable[..., Job]


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory, astronaut_rgb: NDArray[np.uint8]) -> Path:
    """Head and shoulders, 200x160 px."""
    path = tmp_path_factory.mktemp("plan") / "portrait.png"
    cv2.imwrite(str(path), astronaut_rgb[:200, 140:300, ::-1])
    return path


@pytest.fixture
def make(portrait: Path, face_clip: FaceClip, tmp_path: Path) -> Make:
    """``make("name", driving=..., fps="30")``: a job; what is a field of a preset goes there."""

    def job(name: str, **changes: Any) -> Job:
        preset = {key: changes.pop(key) for key in list(changes) if key in Preset.__dataclass_fields__}
        whole = Job(
            id=name, references=(portrait,), driving=str(face_clip.path), output=tmp_path / "out" / f"{name}.mp4",
            preset=Preset(**preset),
        )  # fmt: skip
        return replace(whole, **changes)

    return job


def _plan(jobs: list[Job], cache: Cache, workers: int = 2) -> Plan:
    return make_plan(jobs, cache=cache, workers=workers)


def test_a_plan_and_what_becomes_of_it(make: Make, cache: Cache, face_clip: FaceClip, portrait: Path) -> None:
    jobs = [
        make("a"),
        make("b", start=Fraction(1, 5), duration=Fraction(1, 2), fps="30000/1001", size="96x128"),
        make("c", crf=30),
        make("d", driving="motion:nod", duration=Fraction(2, 5), fps="10"),
    ]
    (jobs[0].output.parent).mkdir()
    before = _plan(jobs, cache)
    assert not cache.root.exists()
    assert [planned.state for planned in before.jobs] == ["todo"] * 4
    inputs = [(one.kind, one.path, one.frames, one.cached) for one in before.extractions]
    assert inputs == [("picture", portrait, 1, False), ("clip", face_clip.path, 38, False), ("clip", face_clip.path, 12, False)]
    assert before.extractions[2].start == Fraction(1, 5)
    assert before.seconds > 0 < before.bytes

    results = [run_job(job, cache=cache) for job in jobs]
    assert [planned.frames for planned in before.jobs] == [result.frames for result in results]
    assert [(one.width, one.height) for one in before.jobs] == [(160, 200), (96, 128), (160, 200), (160, 200)]
    for planned, job in zip(before.jobs, jobs, strict=True):
        assert sidecar.done_sha256(job.output, planned.fingerprint)

    after = _plan(jobs, cache)
    assert [planned.state for planned in after.jobs] == ["done"] * 4
    assert (after.extractions, after.seconds, after.bytes) == ((), 0, 0)

    jobs[1].output.unlink()
    jobs[2].output.write_bytes(b"something else")
    again = _plan(jobs, cache)
    assert [planned.state for planned in again.jobs] == ["done", "todo", "refused", "done"]
    assert [one.cached for one in again.extractions] == [True, True]
    assert again.jobs[1].frames == results[1].frames
    assert "--overwrite" in (again.jobs[2].error.message if again.jobs[2].error else "")

    shutil.rmtree(cache.root)
    assert [one.cached for one in _plan(jobs, cache).extractions] == [False, False]


def test_one_bad_row_harms_no_other(make: Make, cache: Cache, tmp_path: Path, portrait: Path) -> None:
    broken, text, other = tmp_path / "broken.mp4", tmp_path / "text.png", tmp_path / "other.mp4"
    broken.write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    text.write_text("no picture")
    other.write_bytes(b"x")
    jobs = [
        make("good"),
        make("broken", driving=str(broken)),
        make("picture", driving=str(portrait)),
        make("text", references=(portrait, text)),
        make("gone", driving=str(tmp_path / "gone.mp4")),
        make("suffix", output=tmp_path / "a.xyz"),
        make("alpha", background="transparent"),
        make("other", output=other),
        make("window", start=Fraction(99)),
        make("renderer", renderer="none"),
        make("motion", driving="motion:none"),
        make("silent", driving=None),
    ]
    plan = _plan(jobs, cache)
    assert [planned.job.id for planned in plan.jobs if planned.state == "todo"] == ["good"]
    refused = {planned.job.id: planned.error for planned in plan.jobs if planned.error is not None}
    assert refused.keys() == {job.id for job in jobs} - {"good"}
    codes = {name: (error.code, error.exit_code) for name, error in refused.items()}
    assert codes["broken"] == codes["text"] == codes["gone"] == ("unreadable", 4)
    assert codes["suffix"] == codes["alpha"] == codes["other"] == codes["window"] == codes["renderer"] == ("usage", 2)
    assert not any(error.retryable for error in refused.values())
    assert "broken.mp4" in refused["broken"].message
    assert [one.path.name for one in plan.extractions] == ["portrait.png", "face.mp4"]


def test_a_speaker_takes_as_long_as_the_sound(
    make: Make, cache: Cache, face_clip: FaceClip, tmp_path: Path, portrait: Path
) -> None:
    sound = face_clip.path  # 1.52 s of a tone
    nobody = make("nobody", kind="lipsync", driving=None, audio=sound, start=Fraction(1, 2))
    dub = make("dub", kind="lipsync", driving=None, audio=sound, references=(face_clip.path,), duration=Fraction(1))
    jobs = [
        nobody,
        make("faster", kind="lipsync", driving="motion:nod", audio=sound, fps="50"),
        dub,
        make("silent", kind="lipsync", driving=None, audio=portrait),
        make("late", kind="lipsync", driving=None, audio=sound, start=Fraction(9)),
    ]
    plan = _plan(jobs, cache)
    assert [planned.state for planned in plan.jobs] == ["todo"] * 3 + ["refused"] * 2
    assert [(one.width, one.height) for one in plan.jobs[:3]] == [(160, 200), (160, 200), (256, 256)]
    assert [abs(planned.frames - frames) <= 2 for planned, frames in zip(plan.jobs, (26, 76, 25), strict=False)] == [True] * 3
    assert [one.path for one in plan.extractions] == [portrait]


def test_controls_are_no_extraction(make: Make, cache: Cache, face_clip: FaceClip, tmp_path: Path) -> None:
    from dreamactor_cli import extract

    whole, head = tmp_path / "whole.controls.safetensors", tmp_path / "head.controls.safetensors"
    extract(face_clip.path, whole, signals=("face", "head"), cache_dir=cache.root)
    extract(face_clip.path, head, signals=("head",), cache_dir=cache.root)
    plan = _plan([make("whole", driving=str(whole), duration=Fraction(1)), make("head", driving=str(head))], cache)
    assert [(planned.state, planned.frames) for planned in plan.jobs] == [("todo", 25), ("refused", 0)]
    assert [one.kind for one in plan.extractions] == ["picture"]


def test_progress_reaches_its_end(make: Make, cache: Cache) -> None:
    told: list[tuple[int, int]] = []
    make_plan([make("a"), make("b", crf=20)], cache=cache, workers=1, on_progress=lambda *now: told.append(now))
    done, total = zip(*told, strict=True)
    assert list(done) == list(range(1, total[0] + 1))


def test_many_workers_take_less_time_but_no_less_than_the_longest(make: Make, cache: Cache) -> None:
    jobs = [make(f"j{k}", crf=k) for k in range(8)]
    alone, two, many = (_plan(jobs, cache, workers).seconds for workers in (1, 2, 1000))
    one = _plan(jobs[:1], cache, 1).seconds
    assert alone > two > many
    assert many <= one < alone


def test_estimates_learn_from_runs(make: Make, cache: Cache, tmp_path: Path) -> None:
    job = make("a")
    [planned] = _plan([job], cache).jobs
    first = _plan([job], cache)
    job.output.parent.mkdir()
    job.output.write_bytes(bytes(5000))
    seconds = {"reference": 1.0, "extract": 50.0, "render": 300.0}
    result = RenderResult(id="a", status="ok", output=job.output, frames=planned.frames, seconds=seconds)
    record_rates(cache, rendered=[(planned, result)], extracted=[(one, 40.0) for one in first.extractions])
    job.output.unlink()
    learnt = _plan([job], cache, workers=1)
    assert learnt.seconds == pytest.approx(2 * 40 + 301, rel=1e-4)
    slower = replace(result, seconds={**seconds, "render": 600.0})
    for _ in range(20):
        record_rates(cache, rendered=[(planned, slower), (planned, replace(slower, status="failed"))])
    assert _plan([job], cache, workers=1).seconds == pytest.approx(2 * 40 + 601, rel=1e-3)


def test_rates_that_cannot_be_kept_are_let_go(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file" / "cache")
    record_rates(cache, rendered=[], extracted=[])
    assert _plan([make("a")], cache).seconds > 0


def test_a_part_without_a_job_is_a_plan_too(cache: Cache) -> None:
    plan = _plan([], cache)
    assert (plan.jobs, plan.extractions, plan.seconds, plan.bytes) == ((), (), 0, 0)


def test_a_plan_can_be_written_down(make: Make, cache: Cache) -> None:
    [planned] = _plan([make("a")], cache).jobs
    assert json.loads(json.dumps(planned.description))["seed"] == 0
