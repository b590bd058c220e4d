"""The local pool: one process a device, each in a pebble pool of its own.

A pool of one for each device and not one pool for all: a worker keeps its device for life, and when it dies while it holds
one of pebble's locks, only its own pool is lost, which is replaced by a new one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path
from typing import Any

from dreamactor_cli.contracts import Job, RenderResult
from dreamactor_cli.errors import DreamActorError, JobFailed, JobTimeout, WorkerLost
from dreamactor_cli.executors.base import OnEvent, Progress, Started, Task, Waiting
from dreamactor_cli.executors.pool_worker import begin, perform
from dreamactor_cli.executors.settings import THREADS, Settings, cores
from dreamactor_cli.executors.worker import failure_of

SECONDS_BETWEEN_LOOKS = 0.5  # whether busy workers are still there
GRACE = 1.0  # seconds that the result of a worker that has just gone may still be on its way


class Pool:
    """See `base.Executor`."""

    def __init__(self, settings: Settings) -> None:
        self.workers = settings.count
        self._logs = tempfile.TemporaryDirectory(prefix="dreamactor-logs-")
        self._wake_reader, self._wake_writer = multiprocessing.Pipe(duplex=False)
        threads = dict.fromkeys(THREADS, str(settings.share))
        logs = Path(self._logs.name)
        self._slots = [
            _Slot(f"cuda:{name}", "cuda", {**threads, "CUDA_VISIBLE_DEVICES": name}, settings.timeout, logs / f"{k}.log")
            for k, name in enumerate(settings.devices)
        ] or [_Slot(f"cpu:{k}", "cpu", threads, settings.timeout, logs / f"{k}.log") for k in range(self.workers)]

    def run(self, tasks: Sequence[Task], on_event: OnEvent) -> Iterator[RenderResult]:
        """See `base.Executor`."""
        waiting = Waiting(tasks)
        share = max(cores() // max(min(self.workers, len(tasks)), 1), 1)
        try:
            while waiting or any(slot.task for slot in self._slots):
                self._fill(waiting, share, on_event)
                self._listen(on_event)
                results = [result for slot in self._slots if (result := slot.result()) is not None]
                self._fill(waiting, share, on_event)  # no worker waits until its result is written down
                yield from results
        finally:
            for slot in self._slots:
                if slot.task is not None:
                    slot.drop()

    def close(self) -> None:
        """See `base.Executor`."""
        for slot in self._slots:
            slot.terminate()  # all at once; to be waited for one by one
        for slot in self._slots:
            slot.drop()
        self._logs.cleanup()

    def _fill(self, waiting: Waiting, share: int, on_event: OnEvent) -> None:
        """Give every worker that has none a task."""
        for slot in self._slots:
            if slot.task is None and waiting:
                task = waiting.take(slot.group, {other.group for other in self._slots if other.task is not None})
                on_event(Started(task=task, worker=slot.name))
                slot.start(task, share, self._wake)

    def _wake(self) -> None:
        with suppress(OSError):
            self._wake_writer.send_bytes(b"!")

    def _listen(self, on_event: OnEvent) -> None:
        """Wait until a result may be there, and tell the progress that comes meanwhile."""
        by_reader: dict[Any, _Slot] = {slot.reader: slot for slot in self._slots if slot.reader is not None}
        for reader in connection.wait([self._wake_reader, *by_reader], SECONDS_BETWEEN_LOOKS):
            if reader is self._wake_reader:
                self._wake_reader.recv_bytes()
                continue
            progress = by_reader[reader].receive()
            if progress is not None:
                on_event(progress)


class _Slot:
    """One worker: a pebble pool of one process, and what it works on."""

    def __init__(self, name: str, device: str, environment: dict[str, str], timeout: float | None, log: Path) -> None:
        self.name = name
        self.group: tuple[str, ...] = ()
        self.task: Task | None = None
        self.reader: Any = None
        self._device, self._environment, self._timeout, self._log = device, environment, timeout, log
        self._pool: Any = None
        self._writer: Any = None
        self._future: Any = None
        self._pid = 0
        self._gone = 0.0  # when the process was first missed
        self._started = 0.0

    def start(self, task: Task, share: int, wake: Callable[[], None]) -> None:
        """Give a task to the worker, which is started if it is not there."""
        self.task, self.group, self._gone, self._started = task, task.group, 0.0, time.time()
        self._future = self._schedule(task, share)
        self._future.add_done_callback(lambda _: wake())

    def receive(self) -> Progress | None:
        """A word of the worker."""
        message = json.loads(self.reader.recv_bytes())
        if "pid" in message:
            self._pid = message["pid"]
            return None
        return Progress(task=self.task.id, worker=self.name, **message) if self.task is not None else None

    def result(self) -> RenderResult | None:
        """The result, if it is there, or if it will never be."""
        if self.task is None:
            return None
        if not self._future.done():
            if not self._vanished():
                return None
            return self._failed(WorkerLost(f"the worker {self.name} ended in the midst of its work", "look at the input"))
        try:
            result: RenderResult = self._future.result()
        except TimeoutError:
            what = f"{self.task.id} had no result after {self._timeout:g} s"
            return self._failed(JobTimeout(what, "give more with --timeout, or look at the input"))
        except (BrokenProcessPool, CancelledError, RuntimeError, OSError) as error:
            return self._failed(_lost(self.name, error, self._log))
        except BaseException as error:  # noqa: BLE001 - of the task, which must not end the run
            return self._failed(JobFailed(f"{self.task.id}: {type(error).__name__}: {error}", "report this with its input"))
        self.task = self._future = None
        return result

    def terminate(self) -> None:
        """Tell the worker to end, without waiting."""
        if self._pool is not None and self._pid:
            with suppress(OSError):
                os.kill(self._pid, 15)

    def drop(self) -> None:
        """End the worker and what it works on; the next task gets a new one."""
        pool, self._pool, self._pid = self._pool, None, 0
        self.task = self._future = None
        self.group = ()
        if pool is None:
            return
        pool.stop()
        pool.join()
        self.reader.close()
        self._writer.close()
        self.reader = None

    def _open(self) -> None:
        from pebble import ProcessPool

        context = multiprocessing.get_context("spawn")
        self.reader, self._writer = context.Pipe(duplex=False)
        arguments = (self.name, self._device, self._environment, self._writer, str(self._log))
        self._pool = ProcessPool(max_workers=1, initializer=begin, initargs=arguments, context=context)

    def _schedule(self, task: Task, share: int) -> Any:
        if self._pool is None:
            self._open()
        try:
            return self._pool.schedule(perform, args=(task, share), timeout=self._timeout)
        except RuntimeError:  # the worker died while it had nothing to do
            self.drop()
            self.task, self.group = task, task.group
            self._open()
            return self._pool.schedule(perform, args=(task, share), timeout=self._timeout)

    def _vanished(self) -> bool:
        """Whether the process has ended without pebble taking it for a death: with exit code 0."""
        if not self._pid or any(child.pid == self._pid for child in multiprocessing.active_children()):
            return False
        self._gone = self._gone or time.monotonic()
        return time.monotonic() - self._gone > GRACE

    def _failed(self, error: DreamActorError) -> RenderResult:
        assert self.task is not None
        task, took = self.task, time.time() - self._started
        self.drop()
        output = task.work.output if isinstance(task.work, Job) else task.work.path
        return RenderResult(
            id=task.id, status="failed", output=output, error=failure_of(error), device=self._device, started=self._started,
            seconds={"failed": round(took, 3)}, worker=self.name, attempts=task.attempt,
        )  # fmt: skip


def _lost(name: str, error: BaseException, log: Path) -> WorkerLost:
    """How a worker ended, from pebble's error and the last words in its log."""
    code = getattr(error, "exitcode", None)
    if code == -9:
        return WorkerLost(f"the worker {name} was killed, perhaps for want of memory", "run again with fewer --workers")
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}" if code is not None else str(error)
    words = ""
    with suppress(OSError):
        lines = log.read_text("utf-8", "replace").strip().splitlines()
        words = f": {lines[-1][:200]}" if lines and code is not None and code > 0 else ""
    return WorkerLost(f"the worker {name} died ({how}{words})", "run again; if it happens again, look at the input")
