"""Progress and results."""

from __future__ import annotations

import json
import time

import pytest

from dreamactor_cli import console as module
from dreamactor_cli.console import Console


def test_plain_progress_says_each_stage_once_when_it_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress() as on_progress:
        for stage in ("extract", "render"):
            for done in range(101):
                on_progress(stage, done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["dreamactor: extract: 100/100 frames", "dreamactor: render: 100/100 frames"]


def test_plain_progress_of_a_long_stage_tells_speed_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Console().progress() as on_progress:
        on_progress("render", 0, 200)
        now[0] += 30  # kernels are compiled
        for done in range(1, 201):
            on_progress("render", done, 200)
            now[0] += 0.125
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6  # with the first frame, 5, 10, 15, 20 s later, and at the end
    assert lines[0] == "dreamactor: render: 1/200 frames"
    assert lines[2] == "dreamactor: render: 81/200 frames, 8.0 frames/s, 15 s left"


def test_quiet_says_only_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.quiet = True
    console.note("working")
    console.warn("two people")
    with console.progress() as on_progress:
        on_progress("render", 10, 10)
    assert capsys.readouterr().err == "dreamactor: warning: two people\n"


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with Console().progress() as on_progress:
        for done in (0, 5, 10):
            on_progress("render", done, 10)
    shown = capsys.readouterr()
    assert "render" in shown.err
    assert "10/10" in shown.err
    assert shown.out == ""


def test_result_is_a_line_or_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.result("out.mp4", {"output": "out.mp4"})
    console.json = True
    console.result("out.mp4", {"output": "ärger.mp4"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "out.mp4"
    assert json.loads(lines[1]) == {"output": "ärger.mp4"}
