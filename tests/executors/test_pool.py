"""The local pool: real processes that die, hang and are killed."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from dreamactor_cli.contracts import RenderResult
from dreamactor_cli.executors import load_executor
from dreamactor_cli.executors.base import Progress, Started, Task
from dreamactor_cli.executors.inprocess import InProcess
from dreamactor_cli.executors.pool import Pool
from dreamactor_cli.executors.settings import Settings
from dreamactor_cli.media import read_frames
from dreamactor_cli.strays import sweep

Make = Callable[..., Task]
Do = Callable[..., dict[str, RenderResult]]


def code(result: RenderResult) -> str:
    assert result.error is not None
    return result.error.code


def test_executors_agree_byte_for_byte(make_task: Make, do: Do, tmp_path: Path) -> None:
    made = {}
    for name, settings in (("inprocess", Settings()), ("pool", Settings(workers=2))):
        options = {"renderer": "geometry", "size": "source", "crf": 16}
        tasks = [
            make_task(f"{motion}-{name}", driving=f"motion:{motion}", output=tmp_path / name / f"{motion}.mp4", **options)
            for motion in ("nod", "talk", "turn")
        ]
        results = do(load_executor(name, settings), tasks)
        assert {result.status for result in results.values()} == {"ok"}
        files = sorted((tmp_path / name).glob("*.mp4"))
        assert all(results[f"{file.stem}-{name}"].sha256 == hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
        made[name] = {file.name: file.read_bytes() for file in files}
    assert len(made["pool"]) == 3
    assert made["pool"] == made["inprocess"]


def test_a_worker_that_dies_takes_only_its_job(make_task: Make, do: Do, tmp_path: Path) -> None:
    bad = {"exits": "fakes:Exits", "quietly": "fakes:ExitsQuietly", "killed": "fakes:Killed", "raises": "fakes:Raises"}
    tasks = [make_task(f"good{k}") for k in range(4)]
    tasks[1:1] = [make_task(name, renderer=renderer) for name, renderer in bad.items()]
    events: list[object] = []
    results = do(Pool(Settings(workers=2)), tasks, events)
    assert {name for name, result in results.items() if result.status == "ok"} == {f"good{k}" for k in range(4)}
    for name in ("exits", "quietly", "killed"):
        assert code(results[name]) == "worker-lost"
        assert results[name].error.retryable  # type: ignore[union-attr]
    assert "exit code 7" in results["exits"].error.message  # type: ignore[union-attr]
    assert "memory" in results["killed"].error.message  # type: ignore[union-attr]
    assert code(results["raises"]) == "internal"
    assert sum(isinstance(event, Started) for event in events) == len(tasks)
    sweep([tmp_path / "out"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        name for k in range(4) for name in (f"good{k}.mp4", f"good{k}.mp4.json")
    )


@pytest.mark.parametrize("renderer", ["Hangs", "HangsForGood"])
def test_a_worker_that_hangs_is_ended(make_task: Make, do: Do, tmp_path: Path, renderer: str) -> None:
    began = time.monotonic()
    tasks = [make_task("hangs", renderer=f"fakes:{renderer}"), make_task("good"), make_task("after")]
    results = do(Pool(Settings(workers=1, timeout=15)), tasks)
    assert code(results["hangs"]) == "timeout"
    assert {results["good"].status, results["after"].status} == {"ok"}
    assert time.monotonic() - began < 90
    if renderer == "Hangs":  # it had time to take its own file away
        assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    sweep([tmp_path / "out"])
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_worker_loads_a_renderer_once(make_task: Make, do: Do, tmp_path: Path) -> None:
    tasks = [make_task(f"job{k}", renderer=f"fakes:{('Plain', 'Other')[k % 2]}") for k in range(6)]
    results = do(Pool(Settings(workers=1)), tasks)
    assert {result.status for result in results.values()} == {"ok"}
    grey = [int(np.rint(next(iter(read_frames(tmp_path / "out" / f"job{k}.mp4"))).mean())) for k in range(6)]
    assert grey == [40, 80, 40, 80, 40, 80]  # two renderers were made in all, though the rows take turns


def test_each_worker_sees_its_own_device_before_torch(make_task: Make, do: Do) -> None:
    tasks = [make_task(f"job{k}", renderer="fakes:TellsDevice") for k in range(2)]
    results = do(Pool(Settings(devices=("3", "5"))), tasks)
    told = {result.worker: result.error.message for result in results.values() if result.error}
    share = max(len(os.sched_getaffinity(0)) // 2, 1)
    assert set(told) == {"cuda:3", "cuda:5"}
    for worker, message in told.items():
        assert f"cuda {worker[-1]} torch=False threads={share}" in message


def test_progress_is_told(make_task: Make, do: Do) -> None:
    events: list[object] = []
    do(Pool(Settings(workers=1)), [make_task("slow", renderer="fakes:Slow")], events)
    told = [event for event in events if isinstance(event, Progress)]
    assert {event.stage for event in told} == {"render"}
    assert max(event.done for event in told) > 3
    assert {(event.task, event.worker, event.total) for event in told} == {("slow", "cpu:0", 10)}


def test_an_idle_worker_that_is_killed_is_replaced(make_task: Make) -> None:
    pool = Pool(Settings(workers=1))
    try:
        assert [result.status for result in pool.run([make_task("first")], lambda event: None)] == ["ok"]
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, 9)
        time.sleep(0.5)
        assert [result.status for result in pool.run([make_task("second")], lambda event: None)] == ["ok"]
    finally:
        pool.close()


def test_closing_early_leaves_no_process_and_no_file(make_task: Make, tmp_path: Path) -> None:
    pool = Pool(Settings(workers=2))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    slow = [make_task(f"slow{k}", renderer="fakes:Slow") for k in range(4)]
    results = pool.run([make_task("quick"), *slow], lambda event: None)
    assert next(results).id == "quick"
    time.sleep(1)  # let the next one begin
    results.close()  # type: ignore[attr-defined]
    pool.close()
    left = {child.pid for child in psutil.Process().children(recursive=True)} - before
    assert not [pid for pid in left if "resource_tracker" not in " ".join(psutil.Process(pid).cmdline())]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["quick.mp4", "quick.mp4.json"]


def test_options_that_need_processes_are_refused_without() -> None:
    from dreamactor_cli.errors import UsageError

    for settings in (Settings(timeout=3), Settings(devices=("0",))):
        with pytest.raises(UsageError, match="workers of their own"):
            InProcess(settings)
    with pytest.raises(UsageError, match="choose one of inprocess, pool, ray"):
        load_executor("pol", Settings())
