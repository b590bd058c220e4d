"""Jobs for executors: the astronaut, a built-in motion, and renderers that may die."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dreamactor_cli.contracts import Job, Preset, RenderResult
from dreamactor_cli.executors.base import Executor, Task

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache

FAKES = Path(__file__).parent


@pytest.fixture(autouse=True)
def _fakes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAKES))


@pytest.fixture
def make_job(astronaut: Path, tmp_path: Path) -> Callable[..., Job]:
    """``make_job("a", renderer="fakes:Plain", size="64x64")``: 0.4 s of a nod, into ``tmp_path/out``."""

    def make(name: str, **options: Any) -> Job:
        job = {key: options.pop(key) for key in ("references", "driving", "overwrite", "output") if key in options}
        preset = Preset(**{"renderer": "fakes:Plain", "size": "64x64", "crf": 0, **options})
        basics = {"references": (astronaut,), "driving": "motion:nod", "output": tmp_path / "out" / f"{name}.mp4"}
        return Job(id=name, preset=preset, duration=Fraction(2, 5), **{**basics, **job})

    return make


@pytest.fixture
def make_task(make_job: Callable[..., Job], shared_cache: Cache) -> Callable[..., Task]:
    """The same as a task, with the signals of the whole test run."""

    def make(name: str, **options: Any) -> Task:
        return Task(id=name, work=make_job(name, **options), cache=shared_cache.root, frames=10)

    return make


@pytest.fixture
def do() -> Callable[..., dict[str, RenderResult]]:
    """``do(executor, tasks)``: results by task; the executor is closed."""

    def run(executor: Executor, tasks: list[Task], events: list[Any] | None = None) -> dict[str, RenderResult]:
        told: list[Any] = [] if events is None else events
        try:
            results = list(executor.run(tasks, told.append))
        finally:
            executor.close()
        assert len(results) == len(tasks)
        return {result.id: result for result in results}

    return run
