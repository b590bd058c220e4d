"""Does tasks in this process, one after the other: nothing to start, nothing to lose, and no way to end a task that hangs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dreamactor_cli.contracts import RenderResult
from dreamactor_cli.errors import UsageError
from dreamactor_cli.executors.base import OnEvent, Progress, Started, Task, Waiting
from dreamactor_cli.executors.settings import Settings, cores
from dreamactor_cli.executors.worker import Worker


class InProcess:
    """See `base.Executor`."""

    workers = 1

    def __init__(self, settings: Settings) -> None:
        if settings.timeout is not None:
            raise UsageError("--timeout needs workers of their own", "leave --executor inprocess out")
        if settings.devices:
            raise UsageError("--devices needs workers of their own", "leave --executor inprocess out")
        self._worker = Worker("cpu:0")

    def run(self, tasks: Sequence[Task], on_event: OnEvent) -> Iterator[RenderResult]:
        """See `base.Executor`."""
        waiting = Waiting(tasks)
        group: tuple[str, ...] = ()
        while waiting:
            task = waiting.take(group)
            group = task.group
            on_event(Started(task=task, worker=self._worker.name))

            def tell(stage: str, done: int, total: int, task: Task = task) -> None:
                on_event(Progress(task=task.id, worker=self._worker.name, stage=stage, done=done, total=total))

            yield self._worker.do(task, cores(), tell)

    def close(self) -> None:
        """See `base.Executor`."""
        self._worker.close()
