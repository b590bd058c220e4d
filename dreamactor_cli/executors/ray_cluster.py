"""A Ray cluster: one actor a device, no restarts, a loop of our own over `ray.wait`; files lie on storage that all nodes see.

Why not more of Ray: its ActorPool loses the tasks of an actor that dies, Ray Data aborts on a row that fails, plain tasks load
the model anew each time, and an actor's own restarts are spent before a dead node is found dead.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dreamactor_cli.contracts import Job, RenderResult
from dreamactor_cli.errors import DreamActorError, JobFailed, JobTimeout, MissingRequirement, UsageError, WorkerLost
from dreamactor_cli.executors.base import OnEvent, Progress, Started, Task, Waiting
from dreamactor_cli.executors.ray_worker import RayWorker
from dreamactor_cli.executors.settings import THREADS, Settings
from dreamactor_cli.executors.worker import failure_of

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_FOR_A_WORKER = 120.0  # that a cluster may take until the first of our actors is there
SECONDS_TO_STOP = 3.0
SECONDS_TO_CONNECT = 10.0


class RayCluster:
    """See `base.Executor`."""

    def __init__(self, settings: Settings) -> None:
        if settings.devices:
            raise UsageError("--devices names devices of this machine", "a Ray cluster knows its own; leave --devices out")
        self._ray = _connect(settings.address)
        self._timeout = settings.timeout
        total = self._ray.cluster_resources()
        gpus, cpus = int(total.get("GPU", 0)), max(int(total.get("CPU", 0)), 1)
        self._device = "cuda" if gpus else "cpu"
        self.workers = settings.workers or gpus or cpus
        self._cores = max(cpus // self.workers, 1)
        self._seats: list[_Seat] = []

    def run(self, tasks: Sequence[Task], on_event: OnEvent) -> Iterator[RenderResult]:
        """See `base.Executor`."""
        waiting = Waiting(tasks)
        patience = time.monotonic() + SECONDS_FOR_A_WORKER
        try:
            while waiting or any(seat.task for seat in self._seats):
                self._man(min(self.workers, len(waiting) + sum(seat.task is not None for seat in self._seats)))
                for seat in self._seats:
                    if waiting and seat.is_free():
                        task = waiting.take(seat.group, {other.group for other in self._seats if other.task is not None})
                        on_event(Started(task=task, worker=seat.name))
                        seat.start(task, self._cores)
                if any(seat.name for seat in self._seats):
                    patience = time.monotonic() + SECONDS_FOR_A_WORKER
                elif time.monotonic() > patience:
                    raise MissingRequirement("the Ray cluster gives no worker", "look at `ray status`; other jobs may have it")
                self._wait()
                for seat in list(self._seats):
                    yield from self._result(seat, on_event)
        finally:
            for seat in list(self._seats):
                if seat.task is not None:
                    self._dismiss(seat)

    def close(self) -> None:
        """See `base.Executor`."""
        for seat in self._seats:
            seat.ask_to_stop()
        for seat in list(self._seats):
            self._dismiss(seat)
        self._ray.shutdown()

    def _man(self, many: int) -> None:
        """Ask for actors until there are so many; those that the cluster has no room for wait without a task."""
        options = {"num_cpus": self._cores, "num_gpus": 1 if self._device == "cuda" else 0}
        actor = self._ray.remote(max_restarts=0, max_concurrency=2, **options)(RayWorker)
        while len(self._seats) < many:
            self._seats.append(_Seat(self._ray, actor.remote(self._device, dict.fromkeys(THREADS, str(self._cores)))))

    def _wait(self) -> None:
        pending = [ref for seat in self._seats for ref in seat.awaited()]
        if pending:
            self._ray.wait(pending, timeout=SECONDS_BETWEEN_LOOKS)

    def _result(self, seat: _Seat, on_event: OnEvent) -> Iterator[RenderResult]:
        """The result of a seat's task, if there is one; a seat whose actor has died is given up."""
        task = seat.task
        try:
            if seat.look(self._timeout, on_event) and task is not None:
                yield seat.take()
        except (WorkerLost, JobTimeout) as error:
            self._dismiss(seat)
            if task is not None:
                yield _failed(task, error, seat)

    def _dismiss(self, seat: _Seat) -> None:
        seat.kill()
        self._seats.remove(seat)


class _Seat:
    """One actor and what it works on."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self.task: Task | None = None
        self.name = ""
        self.group: tuple[str, ...] = ()
        self.began = self.started = 0.0
        self._ray, self._actor = ray, actor
        self._hello: Any = actor.name.remote()
        self._ref: Any = None
        self._asked: Any = None

    def is_free(self) -> bool:
        """Whether the actor is there and has nothing to do."""
        return bool(self.name) and self.task is None

    def awaited(self) -> list[Any]:
        """What an answer is awaited to, but progress, which must not wake anybody."""
        return [ref for ref in (self._hello, self._ref) if ref is not None]

    def start(self, task: Task, cores: int) -> None:
        """Give the actor a task."""
        self.task, self.group = task, task.group
        self.began, self.started = time.monotonic(), time.time()
        self._ref, self._asked = self._actor.do.remote(_absolute(task), cores), None

    def look(self, timeout: float | None, on_event: OnEvent) -> bool:
        """Whether the result is there.

        Raises:
            WorkerLost: the actor has died.
            JobTimeout: it has had its time.
        """
        if self._hello is not None and self._is_ready(self._hello):
            self.name, self._hello = self._get(self._hello), None
        if self._ref is None:
            return False
        if self._is_ready(self._ref):
            return True
        if timeout is not None and time.monotonic() - self.began > timeout:
            what = f"{self.task.id if self.task else 'it'} had no result after {timeout:g} s"
            raise JobTimeout(what, "give more with --timeout, or look at the input")
        self._tell(on_event)
        return False

    def take(self) -> RenderResult:
        """The result, which is there.

        Raises:
            WorkerLost: the actor died.
        """
        task, ref = self.task, self._ref
        assert task is not None
        try:
            result: RenderResult = self._get(ref)
        except JobFailed as error:
            if isinstance(error, WorkerLost):
                raise
            result = _failed(task, error, self)
        self.task = self._ref = self._asked = None
        return replace(result, output=_output(task))

    def ask_to_stop(self) -> None:
        """Let the actor take its temporary files away."""
        with suppress(Exception):
            if self.task is not None:
                self._asked = self._actor.stop.remote()

    def kill(self) -> None:
        """End the actor."""
        with suppress(Exception):  # it may have gone already, or the cluster
            if self.task is not None:
                self._ray.wait([self._actor.stop.remote()], timeout=SECONDS_TO_STOP)
        with suppress(Exception):
            self._ray.kill(self._actor, no_restart=True)
        self.task = self._ref = None

    def _tell(self, on_event: OnEvent) -> None:
        """Tell how far the actor is, when it has answered, and ask again."""
        if self._asked is None:
            self._asked = self._actor.progress.remote()
        elif self._is_ready(self._asked):
            stage, done, total = self._get(self._asked)
            self._asked = None
            if stage and self.task is not None:
                on_event(Progress(task=self.task.id, worker=self.name, stage=stage, done=done, total=total))

    def _is_ready(self, ref: Any) -> bool:
        return bool(self._ray.wait([ref], timeout=0)[0])

    def _get(self, ref: Any) -> Any:
        """An answer that is there.

        Raises:
            JobFailed: the task raised, which is its own fault.
            WorkerLost: the actor or its node has died.
        """
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise JobFailed(f"{type(error.cause).__name__}: {error.cause}", "report this with its input") from error
        except self._ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else ""
            hint = "run again; if it happens again, look at the node"
            raise WorkerLost(
                f"the worker {self.name or 'of the cluster'} died ({type(error).__name__}: {first[:160]})", hint
            ) from error


def _connect(address: str) -> Any:
    """Ray, connected.

    Raises:
        MissingRequirement: there is no Ray, or no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray._private import worker as driver
    except ImportError as error:
        raise MissingRequirement(f"Ray cannot be loaded ({error})", "pip install 'dreamactor[ray]'") from error
    # Ray tells of dead workers on stdout, where a program may be reading our results, which tell of them too.
    driver.print_to_stdstream = lambda *_, **__: None
    before = signal.getsignal(signal.SIGTERM)
    try:
        _reach(address)
        if not ray.is_initialized():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # whatever Ray's parts raise
        what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "start one with `ray start --head`, name one with --ray-address, or leave --executor out"
        raise MissingRequirement(f"no Ray cluster at {address}: {what[:200]}", hint) from error
    finally:
        with suppress(ValueError):  # not the main thread, where Ray leaves the handler alone too
            signal.signal(signal.SIGTERM, before)  # Ray's own would end us with its own exit code
    return ray


def _reach(address: str) -> None:
    """Find out now whether anybody listens: Ray itself tries for many minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_CONNECT).close()


def _absolute(task: Task) -> Task:
    """The task for a process that lives in another folder."""
    work = task.work
    if isinstance(work, Job):
        background = work.preset.background
        if Path(background).is_file():
            background = str(Path(background).absolute())
        work = replace(
            work, references=tuple(path.absolute() for path in work.references), output=work.output.absolute(),
            driving=_absolute_name(work.driving), audio=work.audio and work.audio.absolute(),
            preset=replace(work.preset, background=background), credentials=work.credentials and work.credentials.absolute(),
            key=work.key and work.key.absolute(),
        )  # fmt: skip
    else:
        work = replace(work, path=work.path.absolute())
    return replace(task, work=work, cache=task.cache.absolute())


def _absolute_name(driving: str | None) -> str | None:
    return str(Path(driving).absolute()) if driving and Path(driving).exists() else driving


def _output(task: Task) -> Path:
    return task.work.output if isinstance(task.work, Job) else task.work.path


def _failed(task: Task, error: DreamActorError, seat: _Seat) -> RenderResult:
    return RenderResult(
        id=task.id, status="failed", output=_output(task), error=failure_of(error), started=seat.started, worker=seat.name,
        seconds={"failed": round(time.monotonic() - seat.began, 3)}, attempts=task.attempt,
    )  # fmt: skip
