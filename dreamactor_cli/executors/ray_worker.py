"""The side of the Ray executor that lives in an actor. Imports what is heavy when it is made, as `pool_worker` does."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dreamactor_cli.contracts import RenderResult
    from dreamactor_cli.executors.base import Task


class RayWorker:
    """An actor: one process, one device, what it loaded stays loaded. Two calls at a time: one asks how far the other is."""

    def __init__(self, device: str, environment: Mapping[str, str]) -> None:
        os.environ.update(environment)
        import cv2

        from dreamactor_cli.executors.worker import Worker

        cv2.setNumThreads(1)
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._worker = Worker(self._name, device)
        self._progress = ("", 0, 0)
        self._folder: Path | None = None

    def name(self) -> str:
        """Machine and process; the answer tells that the actor is there."""
        return self._name

    def do(self, task: Task, cores: int) -> RenderResult:
        """See `worker.Worker.do`."""
        output: Path | None = getattr(task.work, "output", None)  # a measurement has none
        self._folder = output.parent if output is not None else None

        def tell(stage: str, done: int, total: int) -> None:
            self._progress = (stage, done, total)

        self._progress = ("", 0, 0)
        return self._worker.do(task, cores, tell)

    def progress(self) -> tuple[str, int, int]:
        """Stage, frames done and in all."""
        return self._progress

    def stop(self) -> None:
        """End this process; FFmpeg goes along, and what was being written too."""
        from dreamactor_cli.executors.worker import end_children
        from dreamactor_cli.strays import remove_own

        end_children()
        if self._folder is not None:
            remove_own(self._folder)
        os._exit(0)
