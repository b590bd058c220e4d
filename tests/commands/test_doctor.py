"""What `dreamactor doctor` says of this machine, and of one that lacks something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli import environment

Cli = Callable[..., Any]


def test_this_machine_can_render(cli: Cli) -> None:
    ended = cli("doctor", "--json")
    found = {record["name"]: record for record in ended.records()}
    assert ended.code == 0
    assert {"python", "numpy", "mediapipe", "ffmpeg", "cores", "memory", "disk", "cache", "gpu", "models"} <= set(found)
    assert all(record["state"] in ("ok", "note") for record in found.values())
    assert found["numpy"]["detail"].startswith("1.")
    assert "libx264" in found["ffmpeg"]["detail"]


def test_a_missing_package_ends_with_3_and_the_command_that_mends_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> object:
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
        return object()

    monkeypatch.setattr(environment, "import_module", load)
    ended = cli("doctor")
    assert ended.code == 3
    assert "!!  opencv-python-headless" in ended.out
    assert "libGL.so.1" in ended.out
    assert ended.last_line == (
        "dreamactor: error[missing]: cannot render without: opencv-python-headless; "
        "pip install --force-reinstall --no-deps opencv-python-headless==4.11.0.86"
    )


def test_without_ffmpeg(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import imageio_ffmpeg

    def none() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(environment.shutil, "which", lambda _name: None)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    ended = cli("doctor")
    assert ended.code == 3
    assert "ffmpeg" in ended.last_line


def test_a_cache_that_is_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    ended = cli("doctor", "--cache-dir", tmp_path / "file")
    assert ended.code == 3
    assert "cannot render without: cache" in ended.last_line
