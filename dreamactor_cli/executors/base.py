"""The seam between a run and who does its work: tasks go in, results come out as they are ready.

An executor never raises for a task: what went wrong with one stands in its result. It does raise what ends a run, like a
cluster that cannot be reached.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
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
    def group(self) -> tuple[str, ...]:
        """What a worker must have made ready: the renderer, and the reference at its size; empty for a measurement."""
        if not isinstance(self.work, Job):
            return ()
        return (self.work.preset.renderer, self.work.preset.size, *map(str, self.work.references))


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

        The order of the tasks is kept as far as no worker must make another renderer or reference ready for it. `Started` is
        told before a worker begins. When the iterator is closed early, what runs is dropped and leaves nothing half-written.
        """

    def close(self) -> None:
        """End all workers; what they work on is dropped."""


class Waiting:
    """Tasks that wait for a worker: in order, but those of one group go to one worker as long as there are other groups."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._groups: dict[tuple[str, ...], deque[Task]] = {}
        for task in tasks:
            self._groups.setdefault(task.group, deque()).append(task)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def take(self, own: tuple[str, ...], others: Collection[tuple[str, ...]] = ()) -> Task:
        """The next task for a worker.

        Args:
            own: group of its last task; empty if it has done none.
            others: groups of what the other workers do.
        """
        group = own if own in self._groups else self._best(own, others)
        task = self._groups[group].popleft()
        if not self._groups[group]:
            del self._groups[group]
        return task

    def _best(self, own: tuple[str, ...], others: Collection[tuple[str, ...]]) -> tuple[str, ...]:
        """Of the worker's renderer, if there is one; that nobody is at, if there is one; and then the first, or the largest."""
        kept = [group for group in self._groups if group[:1] == own[:1]] or list(self._groups)
        free = [group for group in kept if group not in others]
        return free[0] if free else max(kept, key=lambda group: sum(task.frames for task in self._groups[group]))
