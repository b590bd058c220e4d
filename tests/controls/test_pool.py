"""The pool of worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli.controls.pool import SameProcess, WorkerPool, next_task
from dreamactor_cli.errors import JobFailed, NoPersonFound, OutOfMemory, WorkerLost

Tell = Callable[[Mapping[str, Any]], None]


def open_worker(payload: Mapping[str, Any]) -> Callable[[Any, Tell], Any]:
    """Target of the workers: does what a task says."""

    def handle(task: Any, tell: Tell) -> Any:
        tell({"frames": 1})
        if task == "refuse":
            raise NoPersonFound("nobody in x.mp4", "give another")
        if task == "fail":
            raise ZeroDivisionError("by zero")
        if task == "memory":
            raise MemoryError
        if task == "die":
            print("last words", flush=True)
            os._exit(3)
        if task == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "wait":
            time.sleep(60)
        return [payload["factor"] * task, os.getpid()]

    return handle


@pytest.fixture
def pool_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], WorkerPool]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    return lambda workers: WorkerPool(workers, "test_pool:open_worker", {"factor": 10}, tmp_path)


def test_results_come_in_the_order_of_tasks(pool_of: Callable[[int], WorkerPool]) -> None:
    told: list[Any] = []
    with pool_of(2) as pool:
        results = pool.run([3, 1, 2, 5], told.append)
        again = pool.run([7], told.append)
    assert [value for value, _ in results] == [30, 10, 20, 50]
    assert again[0][0] == 70
    assert told == [{"frames": 1}] * 5
    assert all(pid != os.getpid() for _, pid in results)


def test_workers_go_on_where_they_stopped() -> None:
    waiting = set(range(8))
    last: dict[int, int | None] = {0: None, 1: None}
    done: dict[int, list[int]] = {0: [], 1: []}
    for worker in (0, 1, 0, 1, 0, 1, 1, 1):
        last[worker] = task = next_task(last[worker], waiting)
        assert task is not None
        waiting.remove(task)
        done[worker].append(task)
    assert done == {0: [0, 1, 2], 1: [4, 5, 6, 7, 3]}
    assert next_task(3, waiting) is None


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        ("refuse", NoPersonFound, "nobody in x.mp4"), ("fail", JobFailed, "by zero"), ("memory", OutOfMemory, "memory"),
        ("die", WorkerLost, "last words"), ("killed", WorkerLost, "memory"),
    ],
)  # fmt: skip
def test_failures_have_their_type(pool_of: Callable[[int], WorkerPool], task: str, error: type[Exception], words: str) -> None:
    with pool_of(1) as pool, pytest.raises(error, match=words):
        pool.run([task], lambda message: None)


def test_an_interrupt_kills_the_workers_at_once(pool_of: Callable[[int], WorkerPool]) -> None:
    def interrupt(message: Mapping[str, Any]) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    pool = pool_of(1)
    pids = [worker.process.pid for worker in pool._workers]
    with pytest.raises(KeyboardInterrupt), pool:
        pool.run(["wait"], interrupt)
    assert time.monotonic() - began < 30
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_same_process_gives_the_same_results_and_errors() -> None:
    with SameProcess(open_worker, {"factor": 2}) as pool:
        assert [value for value, _ in pool.run([1, 2], lambda message: None)] == [2, 4]
        with pytest.raises(JobFailed, match="by zero"):
            pool.run(["fail"], lambda message: None)
