"""By what an output is known again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli import sidecar
from dreamactor_cli.contracts import Job, Preset, RendererSpec, RenderResult

SPEC = RendererSpec(name="geometry", version="1", needs=(), reference_needs=())


@pytest.fixture
def job(tmp_path: Path) -> Job:
    for name in ("face.png", "clip.mp4", "wall.png"):
        (tmp_path / name).write_bytes(name.encode())
    return Job(
        id="job", references=(tmp_path / "face.png",), output=tmp_path / "out.mp4", preset=Preset(),
        driving=str(tmp_path / "clip.mp4"),
    )  # fmt: skip


def _print(job: Job, spec: RendererSpec = SPEC) -> str:
    return sidecar.fingerprint(sidecar.describe(job, spec))


def _preset(**changes: Any) -> Callable[[Job], Job]:
    return lambda job: replace(job, preset=replace(job.preset, **changes))


@pytest.mark.parametrize(
    "change",
    [
        _preset(crf=20), _preset(region=("head",)), _preset(fps="30"), _preset(background="#000000"), _preset(smoothing=0),
        lambda job: replace(job, seed=1), lambda job: replace(job, start=Fraction(1, 3)), lambda job: replace(job, subject=2),
        lambda job: replace(job, duration=Fraction(2)), lambda job: replace(job, side_by_side=True),
        lambda job: replace(job, driving="motion:nod"), lambda job: replace(job, references=job.references * 2),
        lambda job: replace(job, references=(job.references[0].with_name("wall.png"),)),
    ],
)  # fmt: skip
def test_whatever_changes_the_frames_changes_the_fingerprint(job: Job, change: Callable[[Job], Job]) -> None:
    assert _print(change(job)) != _print(job)


def test_the_version_of_the_renderer_counts(job: Job) -> None:
    assert _print(job, replace(SPEC, version="2")) != _print(job)


@pytest.mark.parametrize(
    "change",
    [
        _preset(name="mine"), lambda job: replace(job, id="other"), lambda job: replace(job, overwrite=True),
        lambda job: replace(job, output=job.output.with_name("b.mp4")),
    ],
)  # fmt: skip
def test_names_and_places_do_not_count(job: Job, change: Callable[[Job], Job]) -> None:
    assert _print(change(job)) == _print(job)


def test_the_content_of_the_inputs_counts_and_not_their_place(job: Job, tmp_path: Path) -> None:
    before = _print(job)
    moved = tmp_path / "elsewhere" / "x.png"
    moved.parent.mkdir()
    moved.write_bytes(job.references[0].read_bytes())
    assert _print(replace(job, references=(moved,))) == before
    moved.write_bytes(b"another face")
    assert _print(replace(job, references=(moved,))) != before


def test_a_picture_behind_counts_by_its_content(job: Job, tmp_path: Path) -> None:
    walled = _preset(background=str(tmp_path / "wall.png"))(job)
    before = _print(walled)
    assert str(tmp_path) not in json.dumps(sidecar.describe(walled, SPEC))
    (tmp_path / "same.png").write_bytes((tmp_path / "wall.png").read_bytes())
    assert _print(_preset(background=str(tmp_path / "same.png"))(job)) == before
    (tmp_path / "wall.png").write_bytes(b"another wall")
    assert _print(walled) != before


def _write(job: Job, **changes: Any) -> None:
    result = RenderResult(id="job", status="ok", output=job.output, sha256=sidecar.output_sha256(job.output), frames=3, **changes)
    sidecar.write_sidecar(job, sidecar.describe(job, SPEC), result)


def test_an_output_is_known_again_until_it_changes(job: Job) -> None:
    assert not sidecar.done_sha256(job.output, _print(job))
    job.output.write_bytes(b"video")
    _write(job, warnings=("odd",), seconds={"render": 1.23456})
    assert sidecar.done_sha256(job.output, _print(job))
    assert not sidecar.done_sha256(job.output, _print(replace(job, seed=1)))
    record = json.loads(sidecar.sidecar_path(job.output).read_text("utf-8"))
    assert (record["output"], record["frames"], record["warnings"]) == ("out.mp4", 3, ["odd"])
    assert record["seconds"] == {"render": 1.235}
    job.output.write_bytes(b"video!")
    assert not sidecar.done_sha256(job.output, _print(job))
    job.output.unlink()
    assert not sidecar.done_sha256(job.output, _print(job))


def test_the_bytes_are_read_unless_size_and_time_are_as_they_were(job: Job) -> None:
    job.output.write_bytes(b"video")
    _write(job)
    assert json.loads(sidecar.sidecar_path(job.output).read_text("utf-8"))["output_stat"] is None  # it may change within a tick
    job.output.write_bytes(b"other")
    assert not sidecar.done_sha256(job.output, _print(job))

    os.utime(job.output, ns=(0, 1_000_000_000))
    _write(job)
    sha256 = sidecar.output_sha256(job.output)
    assert sidecar.done_sha256(job.output, _print(job)) == sha256
    os.utime(job.output, ns=(0, 2_000_000_000))  # as a copy has it
    assert sidecar.done_sha256(job.output, _print(job)) == sha256
    job.output.write_bytes(b"third")
    assert not sidecar.done_sha256(job.output, _print(job))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 99}', '{"fingerprint": 1, "format": 1}'])
def test_a_sidecar_that_cannot_be_read_is_none(job: Job, text: str) -> None:
    job.output.write_bytes(b"video")
    sidecar.sidecar_path(job.output).write_text(text)
    assert not sidecar.done_sha256(job.output, _print(job))


@pytest.mark.parametrize("name", ["frames", "f_%05d.png"])
def test_a_sequence_is_known_by_all_its_pictures(job: Job, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "seq"
    output = folder / name
    pictures = output if name == "frames" else folder
    pictures.mkdir(parents=True)
    for k in range(3):
        (pictures / f"f_{k:05d}.png").write_bytes(bytes([k]))
    assert [p.name for p in sidecar.sequence_files(output)] == [f"f_{k:05d}.png" for k in range(3)]
    sequence = replace(job, output=output)
    _write(sequence)
    assert sidecar.done_sha256(output, _print(sequence))
    assert "%" not in sidecar.sidecar_path(output).name
    (pictures / "f_00001.png").unlink()
    assert not sidecar.done_sha256(output, _print(sequence))


def test_nothing_has_no_hash(tmp_path: Path) -> None:
    assert sidecar.output_sha256(tmp_path / "none.mp4") == ""
    assert sidecar.output_sha256(tmp_path) == ""
