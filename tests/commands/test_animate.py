"""`dreamactor animate` and `dreamactor demo`, from options to files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from dreamactor_cli.media import probe, read_frames

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

Cli = Callable[..., Any]

ODD_NAME = "-a b'c\"d %05d ü:1"


@pytest.fixture
def kept(shared_cache: Cache) -> tuple[str, str]:
    """Options that keep signals for the next test."""
    return "--cache-dir", str(shared_cache.root)


def test_a_picture_moves_by_a_clip(
    cli: Cli, portrait: Path, face_clip: FaceClip, leftovers: Path, kept: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(leftovers)
    arguments = ["animate", "-s", portrait, "-d", face_clip.path, *kept]
    ended = cli(*arguments)
    assert ended.code == 0, ended.err
    assert ended.out == "portrait_face.mp4\n"
    output = leftovers / "portrait_face.mp4"
    info = probe(output)
    assert (info.num_frames, info.fps, info.width, info.height) == (38, Fraction(25), 256, 256)
    assert info.audio_codec is not None
    moved = [np.abs(frame.astype(int) - first).mean() for first, frame in _with_first(output)]
    assert moved[0] == 0
    assert max(moved) > 2
    assert json.loads((leftovers / "portrait_face.mp4.json").read_text("utf-8"))

    again = cli(*arguments, "--json")
    assert again.code == 0
    assert again.records()[0]["status"] == "skipped"

    other = cli(*arguments, "--crf", "30")
    assert other.code == 2
    assert "--overwrite" in other.last_line
    assert cli(*arguments, "--crf", "30", "--overwrite").code == 0


def test_json_tells_what_was_made(cli: Cli, portrait: Path, tmp_path: Path) -> None:
    output = tmp_path / "nod.mp4"
    ended = cli("animate", "-s", portrait, "-d", "motion:nod", "-o", output, "--duration", "0.4", "--fps", "30000/1001", "--json")
    assert ended.code == 0, ended.err
    [record] = ended.records()
    assert (record["status"], record["output"], record["frames"]) == ("ok", str(output), 12)
    assert probe(output).fps == Fraction(30000, 1001)


def test_controls_from_extract_drive_a_picture(
    cli: Cli, portrait: Path, face_clip: FaceClip, tmp_path: Path, kept: tuple[str, str]
) -> None:
    assert cli("extract", face_clip.path, "-o", tmp_path, *kept).code == 0
    controls, output = tmp_path / "face.controls.safetensors", tmp_path / "out.mp4"
    ended = cli("animate", "-s", portrait, "-d", controls, "-o", output, *kept)
    assert ended.code == 0, ended.err
    assert probe(output).num_frames == 38


def test_side_by_side_is_wider(cli: Cli, portrait: Path, face_clip: FaceClip, tmp_path: Path, kept: tuple[str, str]) -> None:
    output = tmp_path / "out.mp4"
    arguments = ["--side-by-side", "--duration", "0.2", "-o", output, *kept]
    ended = cli("animate", "-s", portrait, "-d", face_clip.path, *arguments)
    assert ended.code == 0, ended.err
    info = probe(output)
    assert info.num_frames == 5
    assert info.width == 3 * 256


def test_odd_names(
    cli: Cli, portrait: Path, face_clip: FaceClip, leftovers: Path, kept: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(leftovers)
    shutil.copy(portrait, f"{ODD_NAME}.png")
    shutil.copy(face_clip.path, f"{ODD_NAME}.mp4")
    arguments = ["-s", f"{ODD_NAME}.png", "-d", f"{ODD_NAME}.mp4", "--duration", "0.2", *kept]
    ended = cli("animate", *arguments, "-o", f"-out {ODD_NAME}.mp4")
    assert ended.code == 0, ended.err
    assert probe(Path(f"-out {ODD_NAME}.mp4")).num_frames == 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--region", "fcae"], "did you mean 'face'?"),
        (["--preset", "darft"], "did you mean 'draft'?"),
        (["--renderer", "geometri"], "did you mean 'geometry'?"),
        (["--size", "0x0"], "--size"),
        (["--start", "-1"], "is not a time"),
        (["--device", "cuda:7"], "--device"),
        (["-d", "motion:greting"], "did you mean 'greeting'?"),
        (["-o", "out.xyz"], "unknown output format '.xyz'"),
        (["--background", "transparent"], "MP4 cannot carry transparency"),
    ],
)
def test_what_cannot_be_used(cli: Cli, portrait: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    driving = [] if "-d" in arguments else ["-d", "motion:nod"]
    ended = cli("animate", "-s", portrait, *driving, "-o", tmp_path / "out.mp4", *arguments)
    assert ended.code == 2
    assert says in ended.last_line
    assert list(tmp_path.iterdir()) == []


def test_inputs_that_are_refused_end_with_4(cli: Cli, portrait: Path, face_clip: FaceClip, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((256, 256, 3), 90, np.uint8))
    output = tmp_path / "out.mp4"
    for source, driving, name in ((blank, "motion:nod", "blank.png"), (portrait, tmp_path / "none.mp4", "none.mp4")):
        ended = cli("animate", "-s", source, "-d", driving, "-o", output)
        assert ended.code == 4, ended.err
        assert name in ended.last_line
    assert [path.name for path in tmp_path.iterdir()] == ["blank.png"]


def test_the_output_may_not_be_an_input(cli: Cli, portrait: Path, face_clip: FaceClip, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    shutil.copy(face_clip.path, clip)
    ended = cli("animate", "-s", portrait, "-d", clip, "-o", clip, "--overwrite")
    assert ended.code == 2
    assert clip.read_bytes() == face_clip.path.read_bytes()


def test_demo_needs_nothing(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("demo", "--size", "256x256")
    assert ended.code == 0, ended.err
    assert ended.out == "dreamactor_demo.mp4\n"
    assert str(tmp_path / "dreamactor_demo.mp4") in ended.last_line
    assert probe(tmp_path / "dreamactor_demo.mp4").duration >= 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("stage", ["extract", "render"])
def test_a_signal_leaves_nothing_behind(
    program: Callable[..., subprocess.Popen[str]], portrait: Path, encode_clip: Callable[..., None], face_clip: FaceClip,
    tmp_path: Path, number: signal.Signals, code: int, stage: str,
) -> None:  # fmt: skip
    """Stopped while the clip is looked at, and while frames are drawn."""
    work, scratch, cache = (tmp_path / name for name in ("work", "tmp", "cache"))
    work.mkdir()
    scratch.mkdir()
    driving = "motion:talk"
    if stage == "extract":
        encode_clip(tmp_path / "long.mp4", np.concatenate([face_clip.frames] * 8), face_clip.fps)
        driving = str(tmp_path / "long.mp4")
    arguments = ["-s", portrait, "-d", driving, "-o", "out.mp4", "--size", "1024x1024", "--duration", "60", "--cache-dir", cache]
    process = program("animate", *arguments, cwd=work, TMPDIR=str(scratch))
    limit = time.monotonic() + 120
    while time.monotonic() < limit and not (
        any(work.iterdir()) or (stage == "extract" and cache.exists() and any(cache.rglob("*")))
    ):
        time.sleep(0.1)
    time.sleep(1)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert err.strip().splitlines()[-1].startswith("dreamactor: error[stopped]: ")
    assert "Traceback" not in err
    assert list(work.iterdir()) == []
    assert list(scratch.iterdir()) == []
    assert [path for path in cache.rglob("*") if path.is_file() and "scratch" in path.parts] == []


def _with_first(path: Path) -> Any:
    """Pairs of the first frame and each frame."""
    first = None
    for frame in read_frames(path):
        first = frame.astype(int) if first is None else first
        yield first, frame
