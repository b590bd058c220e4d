"""Which task a worker gets next."""

from __future__ import annotations

from pathlib import Path

from dreamactor_cli.contracts import Job, Preset
from dreamactor_cli.executors.base import Measurement, Task, Waiting


def task(name: str, renderer: str = "x", picture: str = "p", frames: int = 10) -> Task:
    job = Job(id=name, references=(Path(picture),), output=Path(name), preset=Preset(renderer=renderer))
    return Task(id=name, work=job, cache=Path(), frames=frames)


def test_a_worker_stays_with_its_picture_and_another_takes_the_next() -> None:
    waiting = Waiting([task("a1", picture="a"), task("a2", picture="a"), task("b1", picture="b"), task("b2", picture="b")])
    first = waiting.take(())
    second = waiting.take((), {first.group})
    assert (first.id, second.id) == ("a1", "b1")
    assert waiting.take(first.group, {second.group}).id == "a2"
    assert waiting.take(first.group, {second.group}).id == "b2"  # nothing else is left: they share
    assert len(waiting) == 0


def test_a_renderer_is_changed_only_when_there_is_nothing_else() -> None:
    waiting = Waiting([task("x1"), task("y1", "y"), task("x2", picture="q"), task("y2", "y", "q")])
    done = [waiting.take(())]
    while waiting:
        done.append(waiting.take(done[-1].group))
    assert [one.id for one in done] == ["x1", "x2", "y1", "y2"]


def test_when_all_are_taken_the_largest_is_shared() -> None:
    waiting = Waiting([task("s1", picture="s"), task("s2", picture="s"), *[task(f"l{k}", picture="l") for k in range(4)]])
    groups = {waiting.take(()).group, waiting.take((), {task("", picture="s").group}).group}
    assert waiting.take((), groups).id == "l1"


def test_measurements_keep_their_order() -> None:
    tasks = [Task(id=str(k), work=Measurement(path=Path(str(k))), cache=Path()) for k in range(4)]
    waiting = Waiting(tasks)
    assert [waiting.take(()).id for _ in tasks] == list("0123")
