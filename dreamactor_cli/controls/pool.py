"""A small pool of worker processes that are spoken to in lines of JSON.

Each worker is a fresh interpreter, not a fork and not a child of `multiprocessing`: the caller's ``__main__`` is not
imported again, nothing is pickled, and what native libraries print goes to a file of its own.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from importlib import import_module
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from dreamactor_cli import errors
from dreamactor_cli.errors import DreamActorError, JobFailed, JobTimeout, OutOfMemory, WorkerLost
from dreamactor_cli.fresh_python import fresh_python

SILENCE = 600.0  # seconds without a word from any busy worker before it counts as hung
_START = "from dreamactor_cli.controls.pool import serve; serve()"
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

Tell = Callable[[Mapping[str, Any]], None]


class _Worker:
    """One process, its pipes, and the number of the task that it works on."""

    def __init__(self, target: str, payload: Mapping[str, Any], log: Path) -> None:
        command, environment = fresh_python(_START, **dict.fromkeys(_ONE_THREAD, "1"))
        self.log = log
        with open(log, "wb") as stderr:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr, env=environment)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin: IO[bytes] = self.process.stdin
        self.stdout: IO[bytes] = self.process.stdout
        self.task: int | None = None
        self._buffer = b""
        self.send({"target": target, "payload": payload})

    def send(self, message: Mapping[str, Any]) -> None:
        with suppress(BrokenPipeError):  # a dead worker is noticed by the end of its output
            self.stdin.write(json.dumps(message).encode() + b"\n")
            self.stdin.flush()

    def receive(self) -> list[dict[str, Any]] | None:
        """Messages that have come; None at the end of the output."""
        data = os.read(self.stdout.fileno(), 1 << 16)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def epitaph(self) -> str:
        """How the process ended."""
        code = self.process.wait()
        with suppress(OSError):
            lines = self.log.read_text("utf-8", "replace").strip().splitlines()
            if lines and code >= 0:
                return f"exit code {code}: {lines[-1][:200]}"
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.stdout.close()
        with suppress(OSError):  # unsent bytes to a dead process
            self.stdin.close()


class WorkerPool:
    """Workers that are killed when the context is left.

    Args:
        workers: processes.
        target: ``module:function``; called in each worker as ``function(payload)``, it gives a handler that is called as
            ``handler(task, tell)`` for each task and returns a result that JSON can hold.
        payload: for the function.
        logs: folder for what the workers print.
    """

    def __init__(self, workers: int, target: str, payload: Mapping[str, Any], logs: Path) -> None:
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        try:
            for number in range(workers):
                worker = _Worker(target, payload, logs / f"worker-{number}.log")
                self._workers.append(worker)
                self._selector.register(worker.stdout, selectors.EVENT_READ, worker)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.kill()
        self._workers.clear()
        self._selector.close()

    def run(self, tasks: Sequence[Mapping[str, Any]], tell: Tell) -> list[Any]:
        """Results of tasks, in their order.

        Args:
            tasks: what JSON can hold.
            tell: is given each message that a handler tells.

        Raises:
            DreamActorError: of the first task that fails; WorkerLost if a process dies, JobTimeout if all hang.
        """
        results: dict[int, Any] = {}
        waiting = set(range(len(tasks)))

        def feed(worker: _Worker) -> None:
            worker.task = next_task(worker.task, waiting)
            if worker.task is not None:
                waiting.remove(worker.task)
                worker.send({"task": tasks[worker.task]})

        for worker in self._workers:
            worker.task = None
            feed(worker)
        while len(results) < len(tasks):
            ready = self._selector.select(SILENCE)
            if not ready:
                raise JobTimeout(f"no worker has answered for {SILENCE:.0f} s", "run the same command again")
            for key, _ in ready:
                worker = key.data
                messages = worker.receive()
                if messages is None:
                    raise _death_of(worker)
                for message in messages:
                    if "tell" in message:
                        tell(message["tell"])
                    elif "error" in message:
                        raise _revive(message["error"])
                    else:
                        results[worker.task] = message["result"]
                        feed(worker)
        return [results[k] for k in range(len(tasks))]


def next_task(done: int | None, waiting: Set[int]) -> int | None:
    """The task for a worker: the one after that it has done, else the middle of the longest run of tasks that wait.

    Consecutive tasks are parts of one clip: who goes on where it stopped needs no seek and decodes nothing twice.
    """
    if not waiting:
        return None
    if done is not None and done + 1 in waiting:
        return done + 1
    runs = [(task, next(k for k in count(task) if k not in waiting)) for task in sorted(waiting) if task - 1 not in waiting]
    start, stop = max(runs, key=lambda run: run[1] - run[0])
    return start if start == 0 else (start + stop) // 2


class SameProcess:
    """Stands in for a `WorkerPool` where starting processes does not pay."""

    def __init__(self, target: Callable[[Mapping[str, Any]], Callable[[Any, Tell], Any]], payload: Mapping[str, Any]) -> None:
        self._handler = target(payload)

    def __enter__(self) -> SameProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing to kill; the handler gives back what it holds."""
        if hasattr(self._handler, "close"):
            self._handler.close()

    def run(self, tasks: Sequence[Mapping[str, Any]], tell: Tell) -> list[Any]:
        """As `WorkerPool.run`; on one thread as the workers are, because sums depend on how threads share them."""
        from threadpoolctl import threadpool_limits

        try:
            with threadpool_limits(1):
                return [self._handler(task, tell) for task in tasks]
        except DreamActorError:
            raise
        except Exception as error:
            raise _revive(describe_error(error)) from error


def _death_of(worker: _Worker) -> DreamActorError:
    how = worker.epitaph()
    if how == "killed by signal 9":
        return WorkerLost("a worker process was killed, perhaps for want of memory", "run again, with fewer --workers")
    return WorkerLost(f"a worker process died ({how})", "run the same command again")


def _revive(message: Mapping[str, str]) -> DreamActorError:
    """The error that a worker sent."""
    kind = getattr(errors, message["type"], None)
    if not (isinstance(kind, type) and issubclass(kind, DreamActorError)):
        kind = JobFailed
    return kind(message["message"], message["hint"])


def describe_error(error: Exception) -> dict[str, str]:
    """An error as `WorkerPool` understands it."""
    if isinstance(error, DreamActorError):
        return {"type": type(error).__name__, "message": error.message, "hint": error.hint}
    if isinstance(error, MemoryError):
        what = "memory ran out while the clip was measured"
        return {"type": OutOfMemory.__name__, "message": what, "hint": "use fewer --workers"}
    what = f"the clip could not be measured ({type(error).__name__}: {error})"
    return {"type": JobFailed.__name__, "message": what, "hint": "report this with the clip"}


def serve() -> None:
    """Body of a worker process: reads the target, then tasks, until its input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and kills
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what is printed goes to the log
    import cv2

    cv2.setNumThreads(1)

    def send(message: Mapping[str, Any]) -> None:
        out.write(json.dumps(message).encode() + b"\n")

    try:
        first = json.loads(sys.stdin.buffer.readline())
        module, _, function = first["target"].partition(":")
        handler = getattr(import_module(module), function)(first["payload"])
        gc.freeze()  # what was imported stays
        for line in sys.stdin.buffer:
            send({"result": handler(json.loads(line)["task"], lambda message: send({"tell": message}))})
    except BrokenPipeError:
        pass  # the parent has gone
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        with suppress(BrokenPipeError):
            send({"error": describe_error(error)})
