"""`dreamactor extract` on a clip, a picture, and what cannot be used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dreamactor_cli.controls_file import StoredControls
from dreamactor_cli.media import probe

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

Cli = Callable[..., Any]

ODD_NAME = "-a b'c\"d %05d ü:1.mp4"


@pytest.fixture
def kept(shared_cache: Cache) -> tuple[str, str]:
    """Options that keep signals for the next test."""
    return "--cache-dir", str(shared_cache.root)


def test_a_clip_becomes_one_file_and_a_preview(cli: Cli, face_clip: FaceClip, leftovers: Path, kept: tuple[str, str]) -> None:
    output, preview = leftovers / "face.controls.safetensors", leftovers / "seen.mp4"
    ended = cli("extract", face_clip.path, "-o", output, "--preview", preview, "--json", *kept)
    assert ended.code == 0, ended.err
    [record] = ended.records()
    assert record["output"] == str(output)
    assert (record["frames"], record["fps"], record["width"], record["height"]) == (38, "25", 256, 256)
    assert set(record["signals"]) == {"face", "head", "body", "hands", "matte"}
    stored = StoredControls.read(output)
    assert (stored.num_frames, stored.fps) == (38, Fraction(25))
    face = stored.window(0, 38).face
    assert face is not None
    assert face.score.min() > 0
    info = probe(preview)
    assert (info.num_frames, info.fps, info.width, info.height) == (38, Fraction(25), 256, 256)
    assert info.audio_codec is not None

    again = cli("extract", face_clip.path, "-o", output, "--json", *kept)
    assert again.records()[0]["cache_hits"] == len(record["signals"])


def test_a_window_of_a_clip(cli: Cli, face_clip: FaceClip, tmp_path: Path, kept: tuple[str, str]) -> None:
    arguments = ["--start", "0.4", "--duration", "0:00.48", "--signals", "head", "--json", *kept]
    ended = cli("extract", face_clip.path, "-o", tmp_path, *arguments)
    assert ended.code == 0, ended.err
    [record] = ended.records()
    assert (record["frames"], record["signals"]) == (12, ["head"])
    assert Path(record["output"]) == tmp_path / "face.controls.safetensors"


@pytest.mark.parametrize(
    ("format_", "begins", "signals"),
    [("csv", "Timecode,BlendshapeCount,", ["face", "head"]), ("bvh", "HIERARCHY", ["body"])],
)
def test_other_forms_look_for_what_they_need(
    cli: Cli, face_clip: FaceClip, leftovers: Path, kept: tuple[str, str], format_: str, begins: str, signals: list[str]
) -> None:
    ended = cli("extract", face_clip.path, "-o", leftovers, "--format", format_, "--json", *kept)
    assert ended.code == 0, ended.err
    [record] = ended.records()
    assert record["output"] == f"{leftovers / 'face'}.{format_}"
    assert record["signals"] == signals
    assert (leftovers / f"face.{format_}").read_text("utf-8").startswith(begins)


def test_a_picture_is_a_clip_of_one_frame(cli: Cli, astronaut: Path, tmp_path: Path) -> None:
    ended = cli("extract", astronaut, "-o", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    [record] = ended.records()
    assert (record["frames"], record["width"], record["height"]) == (1, 512, 512)
    assert StoredControls.read(Path(record["output"])).num_frames == 1


def test_one_bad_source_does_not_stop_the_others(cli: Cli, face_clip: FaceClip, tmp_path: Path, kept: tuple[str, str]) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"")
    ended = cli("extract", bad, face_clip.path, "-o", tmp_path / "out", "--signals", "head", *kept)
    assert ended.code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["face.controls.safetensors"]
    assert "bad.mp4" in ended.err
    assert ended.last_line.startswith("dreamactor: error[failed]: 1 of 2 sources failed")


def test_a_bad_source_alone_ends_with_4(cli: Cli, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    ended = cli("extract", bad, "-o", tmp_path / "out")
    assert ended.code == 4
    assert "bad.mp4" in ended.last_line
    assert not (tmp_path / "out").exists()


def test_odd_names(
    cli: Cli, face_clip: FaceClip, leftovers: Path, kept: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(leftovers)
    shutil.copy(face_clip.path, ODD_NAME)
    ended = cli("extract", "--signals", "head", "--preview", f"-seen {ODD_NAME}", "-o", "-out", *kept, "--", ODD_NAME)
    assert ended.code == 0, ended.err
    assert Path("-out", ODD_NAME.removesuffix(".mp4") + ".controls.safetensors").is_file()
    assert probe(Path(f"-seen {ODD_NAME}")).num_frames == 38


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--signals", "face,hnads"], "did you mean 'hands'?"),
        (["--format", "cvs"], "did you mean 'csv'?"),
        (["--start", "1:2:3:4"], "is not a time"),
        (["other.mp4", "--preview", "p.mp4"], "--preview takes one source"),
        (["other.mp4", "-o", "one.csv"], "one file for 2 sources"),
        (["sub/clip.mov", "-o", "out"], "the same name"),
        (["-o", "clip.mp4"], "is a source itself"),
        (["--preview", "./clip.mp4"], "is a source itself"),
        (["--subject", "0"], "--subject"),
    ],
)
def test_what_cannot_be_used(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("extract", "clip.mp4", *arguments)
    assert ended.code == 2
    assert says in ended.last_line
