"""The seam between a run and who does its work: tasks go in, results come out as they are ready.

An executor never raises for a task: what went wrong with one stands in its result. It does raise what ends a run, like a
cluster that cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

from dreamactor_cli.contracts import Job, RenderResult

Gate = Literal["off", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One unique input whose signals are wanted in the cache: a clip, or a picture.

    Attributes:
        signals: of a clip; empty for a picture, of which the renderers' needs are always measured.
        start, duration: of the window, seconds; None is to the end.
        subject: as in `contracts.Job`.
    """

    path: Path
    signals: tuple[str, ...] = ()
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    subject: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker is given. Everything in it can be sent to another machine that sees the same files.

    Attributes:
        id: of the job; of a measurement, anything that is unique.
        cache: folder of the signals.
        frames: that are expected; 0 is unknown.
        memory: how often memory ran out on this task; each time half as much is to be used.
        attempt: how often it is tried, this time included.
        gate: what to do with the findings of the quality gates.
    """

    id: str
    work: Job | Measurement
    cache: Path
    frames: int = 0
    memory: int = 0
    attempt: int = 1
    gate: Gate = "off"

    @property
    def renderer(self) -> str:
        """What a worker must have loaded; empty for a measurement."""
        return self.work.preset.renderer if isinstance(self.work, Job) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A worker was given a task."""

    task: Task
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a worker is, in frames; ``total`` is 0 if unknown."""

    task: str
    worker: str
    stage: str
    done: int
    total: int


OnEvent = Callable[[Started | Progress], None]


class Executor(Protocol):
    """Does tasks, `workers` of them at a time."""

    workers: int

    def run(self, tasks: Sequence[Task], on_event: OnEvent) -> Iterator[RenderResult]:
        """Results as they are ready, one a task.

        The order of the tasks is kept as far as no worker must load another renderer for it. `Started` is told before a
        worker begins. When the iterator is closed early, what runs is dropped and leaves nothing half-written.
        """

    def close(self) -> None:
        """End all workers; what they work on is dropped."""


class Waiting:
    """Tasks that wait for a worker, in order."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = list(tasks)[::-1]

    def __len__(self) -> int:
        return len(self._tasks)

    def take(self, loaded: str) -> Task:
        """The next task for a worker that has loaded a renderer: one that needs it, if there is any."""
        for index in range(len(self._tasks) - 1, -1, -1):
            if self._tasks[index].renderer in ("", loaded):
                return self._tasks.pop(index)
        return self._tasks.pop()
