"""The side of the local pool that lives in a worker's process.

Nothing heavy is imported at the top: the environment is set before numpy, OpenBLAS or torch read it.
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dreamactor_cli.contracts import RenderResult
    from dreamactor_cli.executors.base import Task
    from dreamactor_cli.executors.worker import Worker

SECONDS_BETWEEN = 0.2  # of progress


class _Child:
    """What this process knows of itself; there is one, made by `begin`."""

    worker: Worker
    writer: Any  # a multiprocessing Connection; its class depends on the system
    busy = False


def begin(name: str, device: str, environment: Mapping[str, str], writer: Any, log: str) -> None:
    """Make this process a worker.

    Args:
        name, device: as in `worker.Worker`.
        environment: to be set before anything heavy is imported.
        writer: where progress goes.
        log: file for what libraries print.
    """
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.enable()
    threading.Thread(target=_die_with_parent, name="parent", daemon=True).start()
    import cv2

    from dreamactor_cli.executors.worker import Worker

    cv2.setNumThreads(1)  # renderers and extraction have threads and processes of their own
    _Child.worker, _Child.writer = Worker(name, device), writer
    signal.signal(signal.SIGTERM, _stop)


def perform(task: Task, cores: int) -> RenderResult:
    """Do a task; the first word to the parent is the number of this process."""
    from dreamactor_cli.errors import Stopped

    _send({"pid": os.getpid()})
    said: dict[str, float] = {}  # stage -> when

    def tell(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - said.get(stage, -1.0) >= SECONDS_BETWEEN:
            said[stage] = now
            _send({"stage": stage, "done": done, "total": total})

    _Child.busy = True
    try:
        return _Child.worker.do(task, cores, tell)
    except Stopped as stopped:
        _end(stopped.exit_code)
        raise
    finally:
        _Child.busy = False


def _send(message: Mapping[str, object]) -> None:
    """Shorter than a pipe's atomic write, so that a worker that is killed leaves no half of one."""
    with suppress(OSError):  # the parent has gone; the watcher ends us
        _Child.writer.send_bytes(json.dumps(message).encode())


def _stop(number: int, _frame: object) -> None:
    """End; a task that runs takes its temporary files away first."""
    from dreamactor_cli.errors import Stopped

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not _Child.busy:
        _end(128 + number)
    raise Stopped(128 + number)


def _die_with_parent() -> None:
    """End at once when the parent has gone, however it went: nobody else may find us writing to its outputs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        _end(1)


def _end(code: int) -> None:
    """Leave without a word, and take FFmpeg and the extraction's processes along."""
    from dreamactor_cli.executors.worker import end_children

    end_children()
    os._exit(code)
