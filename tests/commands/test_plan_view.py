"""`dreamactor render --dry-run`: what a person, a pipe and a program are told."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import FaceClip

Cli = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def manifest(astronaut: Path, face_clip: FaceClip, tmp_path: Path) -> Path:
    """Two jobs that can be done, one that cannot, and a name that would clear a terminal."""
    (tmp_path / "no\x1b[2Jvideo.mp4").write_bytes(b"x")
    path = tmp_path / "m.csv"
    rows = [f"{astronaut},{face_clip.path}", f"{astronaut},motion:nod", f"{astronaut},no\x1b[2Jvideo.mp4"]
    path.write_text("image,driving,id\n" + "".join(f"{row},job{k}\n" for k, row in enumerate(rows)))
    return path


def test_programs_are_told_everything(cli: Cli, manifest: Path, tmp_path: Path, face_clip: FaceClip) -> None:
    ended = cli(
        "render", manifest, "-o", tmp_path / "out", "--dry-run", "--workers", "2", "--json", "--cache-dir", tmp_path / "cache"
    )
    assert ended.code == 0, ended.err
    *records, total = ended.records()
    inputs = [record for record in records if record["kind"] == "input"]
    jobs = [record for record in records if record["kind"] == "job"]
    assert [(one["type"], one["frames"], one["cached"]) for one in inputs] == [("picture", 1, False), ("clip", 38, False)]
    assert [(one["id"], one["state"], one["frames"] > 0) for one in jobs] == [
        ("job0", "todo", True), ("job1", "todo", True), ("job2", "refused", False),
    ]  # fmt: skip
    assert jobs[2]["error"]["exit_code"] == 4
    assert (total["kind"], total["jobs"], total["todo"], total["refused"], total["workers"]) == ("plan", 3, 2, 1, 2)
    assert total["frames"] == 38 + jobs[1]["frames"]
    assert total["seconds"] > 0 < total["bytes"]
    assert not (tmp_path / "out").exists()


def test_lines_of_a_pipe(cli: Cli, manifest: Path, tmp_path: Path) -> None:
    ended = cli("render", manifest, "-o", tmp_path / "out", "--dry-run", "--shard", "1/1", "--cache-dir", tmp_path / "cache")
    lines = ended.out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["extract", "extract", "todo", "todo", "refused"]
    assert "\x1b" not in ended.out
    assert "job0" in lines[2]
    assert "38 frames" in lines[2]
    assert lines[-1].startswith("3 jobs, 2 to do")


def test_a_part_is_planned_alone(cli: Cli, manifest: Path, tmp_path: Path) -> None:
    told = [
        cli("render", manifest, "-o", tmp_path / "out", "--dry-run", "--json", "--shard", f"{k}/3").records() for k in (1, 2, 3)
    ]
    assert [records[-1]["part"] for records in told] == ["1/3", "2/3", "3/3"]
    jobs = [record["id"] for records in told for record in records if record["kind"] == "job"]
    assert sorted(jobs) == ["job0", "job1", "job2"]


def test_a_terminal_shows_tables(manifest: Path, tmp_path: Path) -> None:
    main, side = pty.openpty()
    command = [sys.executable, "-m", "dreamactor_cli", "render", str(manifest), "-o", str(tmp_path / "out"), "--dry-run", "-q"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "400", "TERM": "xterm"}
    with subprocess.Popen(command, stdout=side, stderr=subprocess.PIPE, env=environment) as process:
        os.close(side)
        shown = b""
        while True:
            try:
                block = os.read(main, 65536)
            except OSError:  # the other side was closed
                break
            if not block:
                break
            shown += block
        assert process.wait(timeout=60) == 0
    os.close(main)
    text = shown.decode()
    assert "\x1b[2J" not in text
    assert "no\\x1b[2Jvideo.mp4" in text
    assert text.index("refused") < text.index("job0")
    assert "3 jobs, 2 to do" in text
