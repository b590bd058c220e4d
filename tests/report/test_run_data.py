"""What the reports know of a run, whatever state its files are in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli.report.run_data import read_run
from tests.report.conftest import BEGAN

Line = Callable[..., dict[str, Any]]
Folder = Callable[..., Path]


def test_marks_and_counts(line: Line, folder: Folder) -> None:
    missed = {"gate": "frozen-frames", "passed": False, "value": 1.0, "limit": 0.5, "unit": "s", "message": "it stands still"}
    lines = [
        line("a"), line("b", warnings=["odd"]), line("c", code="no-person"), line("d", status="skipped"),
        line("e", quality=[missed]),
    ]  # fmt: skip
    run = read_run(folder(lines, {"plan": {"jobs": 7}, "started": BEGAN, "ended": BEGAN + 60, "ending": "failed"}))
    assert [job.mark for job in run.jobs] == ["done", "warned", "failed", "skipped", "warned"]
    assert (run.left, run.wall, run.ending) == (2, 60.0, "failed")
    assert run.jobs[4].gates[0].message == "it stands still"
    assert run.jobs[0].speed == pytest.approx(38 / 3.5)


def test_the_last_result_of_a_job_counts(line: Line, folder: Folder) -> None:
    run = read_run(folder([line("a", code="worker-lost"), line("b"), line("a", attempts=2)]))
    assert [(job.id, job.mark, job.attempts) for job in run.jobs] == [("a", "done", 2), ("b", "done", 1)]


def test_a_torn_line_and_nonsense_are_left_out(line: Line, folder: Folder, tmp_path: Path) -> None:
    folder([line("a"), line("b")])
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"\xff\xfe\n[1]\nnull\n{}\n" + path.read_bytes() + b'{"id": "torn", "sta')
    (tmp_path / "run.json").write_text("{", "utf-8")
    run = read_run(tmp_path)
    assert [job.id for job in run.jobs] == ["a", "b"]
    assert run.started == BEGAN + 10
    assert run.wall == pytest.approx(5.0)


def test_files_of_parts_are_joined(line: Line, folder: Folder, tmp_path: Path) -> None:
    folder([line("a")], name="results-1-of-2.jsonl")
    folder([line("b"), line("c")], name="results-2-of-2.jsonl")
    run = read_run(tmp_path)
    assert [(job.id, job.worker) for job in run.jobs] == [
        ("a", "part 1 · cpu:0"), ("b", "part 2 · cpu:0"), ("c", "part 2 · cpu:0")
    ]  # fmt: skip


def test_an_empty_folder_is_an_empty_run(tmp_path: Path) -> None:
    run = read_run(tmp_path)
    assert (run.jobs, run.wall, run.left) == ((), 0.0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": None}, {"seconds": {"render": "long"}}, {"seconds": [1]}, {"started": 1e300}, {"started": "now"},
        {"frames": None}, {"frames": -3}, {"quality": "x"}, {"quality": [1, {}]}, {"warnings": None}, {"references": 3},
        {"error": []}, {"output": None}, {"worker": None}, {"attempts": True},
    ],
)  # fmt: skip
def test_values_of_any_kind_are_borne(line: Line, folder: Folder, changes: dict[str, Any]) -> None:
    from dreamactor_cli.report import write_report

    place = folder([line("a", **changes)], {"plan": [], "command": 3, "inputs": {}, "workers": "two", "started": None})
    [job] = read_run(place).jobs
    assert (job.id, job.frames >= 0, job.attempts) == ("a", True, 1)
    write_report(place)
    assert (place / "report.html").stat().st_size > 1000


def test_numbers_that_json_should_not_hold(tmp_path: Path) -> None:
    text = '{"id": "a", "status": "ok", "frames": NaN, "seconds": {"render": Infinity}, "started": -1}'
    (tmp_path / "results.jsonl").write_text(text + "\n")
    [job] = read_run(tmp_path).jobs
    assert (job.frames, job.took, job.started) == (0, 0.0, 0.0)
    assert json.loads(text)["id"] == "a"
