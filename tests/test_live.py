"""What is shown of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dreamactor_cli.console import Console
from dreamactor_cli.contracts import Job, JobError, Preset, RenderResult
from dreamactor_cli.executors.base import Progress, Started, Task
from dreamactor_cli.live import OPENJD, Tally, duration, shown
from dreamactor_cli.run import Finished, Note, Phase, RunEvent

ERROR = JobError(type="NoPersonFound", code="no-person", retryable=False, message="nobody\x1b[2J is there", exit_code=4)


def task(name: str, frames: int) -> Task:
    return Task(id=name, work=Job(id=name, references=(), output=Path(name), preset=Preset()), cache=Path(), frames=frames)


def result(name: str, worker: str, error: JobError | None = None) -> RenderResult:
    return RenderResult(
        id=name, status="failed" if error else "ok", output=Path(f"{name}.mp4"), worker=worker, frames=30, error=error,
        seconds={"render": 2.0},
    )  # fmt: skip


EVENTS: list[RunEvent] = [
    Phase(name="extract", tasks=1, frames=10),
    Started(task=task("clip", 10), worker="cpu:0"),
    Finished(phase="extract", result=result("clip", "cpu:0")),
    Phase(name="render", tasks=3, frames=100),
    Started(task=task("a", 60), worker="cpu:0"),
    Started(task=task("b", 30), worker="cpu:1"),
    Progress(task="a", worker="cpu:0", stage="render", done=30, total=60),
    Progress(task="b", worker="cpu:1", stage="extract", done=30, total=30),
    Finished(phase="render", result=result("b", "cpu:1", ERROR), again=True),
    Started(task=task("c", 10), worker="cpu:1"),
    Finished(phase="render", result=result("a", "cpu:0")),
    Finished(phase="render", result=result("c", "cpu:1")),
    Started(task=task("b", 30), worker="cpu:0"),
    Finished(phase="render", result=result("b", "cpu:0", ERROR)),
    Note(text="that was it"),
]


def test_the_share_of_what_is_done_never_falls() -> None:
    tally, shares = Tally(), []
    for event in EVENTS:
        tally(event)
        shares.append(tally.percent)
    assert shares == sorted(shares)
    assert (shares[2], shares[6], shares[-1]) == (10.0, 10 + 90 * 0.3, 100.0)
    assert (tally.done, tally.tasks, tally.failed) == (3, 3, 1)
    assert [name for name, _ in tally.failures] == ["b"]
    assert tally.workers == {}


def test_a_worker_that_has_begun_the_next_task_is_shown_with_it() -> None:
    tally = Tally()
    for event in (EVENTS[3], EVENTS[4], Started(task=task("next", 5), worker="cpu:0"), EVENTS[10]):
        tally(event)
    assert tally.workers["cpu:0"][0] == "next"


def test_lines_for_people_and_outputs_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(Console(), {}) as tell:
        for event in EVENTS:
            tell(event)
    out, err = capsys.readouterr()
    assert out.split() == ["a.mp4", "c.mp4"]
    assert "dreamactor: render 1/3: a, 30 frames in 2.0 s (cpu:0)" in err
    assert "warning: b: error[no-person]: nobody\\x1b[2J is there; it is tried again" in err
    assert err.splitlines()[-1] == "dreamactor: that was it"


def test_events_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.json = console.quiet = True
    with shown(console, {OPENJD: "/somewhere"}) as tell:
        for event in EVENTS:
            tell(event)
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in lines].count("finished") == 5
    assert {"event": "started", "id": "b", "worker": "cpu:1", "attempt": 1} in lines
    assert [line["done"] for line in lines if line["event"] == "progress"] == [30, 30]
    assert "openjd_progress: 100" in err.splitlines()  # stdout is JSON alone


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (59, "59 s"), (90, "2 min"), (7300, "2 h 2 min")])
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
