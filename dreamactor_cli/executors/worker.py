"""What a worker does with a task, wherever the worker is. Imports what is heavy when it is made, not before."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from dreamactor_cli.contracts import Job, JobError, RenderResult
    from dreamactor_cli.errors import DreamActorError
    from dreamactor_cli.executors.base import Measurement, Task

Tell = Callable[[str, int, int], None]  # stage, done, total


class Worker:
    """Does one task after the other, and keeps what the next one may need.

    Args:
        name: for results, like ``"cpu:0"``.
        device: as in `contracts.RenderSettings`.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        import dreamactor_cli.pipeline  # noqa: F401 - now, so that no task's time is spent on it
        from dreamactor_cli.kept import Kept

        self.name, self._device = name, device
        self._kept = Kept()

    def do(self, task: Task, cores: int, tell: Tell) -> RenderResult:
        """The result of a task; whatever goes wrong stands in it.

        Args:
            cores: that this task may use.

        Raises:
            Stopped, KeyboardInterrupt: a signal came.
        """
        from dreamactor_cli.contracts import Job, RenderResult
        from dreamactor_cli.errors import InputRefused, Stopped, UsageError

        started = time.time()
        try:
            do = self._render if isinstance(task.work, Job) else self._measure
            result = do(task, cores, tell)
        except (Stopped, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - one task must never harm another, whatever it raises
            if not isinstance(error, InputRefused | UsageError):
                self._kept.drop_renderer()
            output = task.work.output if isinstance(task.work, Job) else task.work.path
            failure = failure_of(_ending(error))
            seconds = {"failed": round(time.time() - started, 3)}
            result = RenderResult(id=task.id, status="failed", output=output, error=failure, device=self._device, seconds=seconds)
        return replace(result, started=started, worker=self.name, attempts=task.attempt)

    def close(self) -> None:
        """Give everything back."""
        self._kept.close()

    def _render(self, task: Task, cores: int, tell: Tell) -> RenderResult:
        from dreamactor_cli.cache import Cache
        from dreamactor_cli.pipeline import Means, run_job

        job: Job = task.work  # type: ignore[assignment]
        cache = Cache(task.cache)
        means = Means(
            device=self._device, workers=max(cores >> task.memory, 1), threads=cores, memory=task.memory, kept=self._kept
        )
        result = run_job(job, cache=cache, on_progress=tell, means=means)
        if task.gate == "off" or result.status != "ok":
            return result
        return _gated(task, job, result, cache)

    def _measure(self, task: Task, cores: int, tell: Tell) -> RenderResult:
        """Signals of a clip or a picture, into the cache."""
        from dreamactor_cli.cache import Cache
        from dreamactor_cli.contracts import RenderResult

        work: Measurement = task.work  # type: ignore[assignment]
        cache, began = Cache(task.cache), time.monotonic()
        frames, hits, warnings = self._measured(work, cache, max(cores >> task.memory, 1), tell)
        return RenderResult(
            id=task.id, status="ok", output=work.path, frames=frames, cache_hits=hits, warnings=warnings, device=self._device,
            seconds={"extract": time.monotonic() - began},
        )  # fmt: skip

    def _measured(self, work: Measurement, cache: Cache, workers: int, tell: Tell) -> tuple[int, int, tuple[str, ...]]:
        """Frames, signals that were there already, and warnings."""
        from dreamactor_cli.media import sha256_file

        if not work.signals:
            loaded = self._kept.reference([work.path], [sha256_file(work.path)], size="source", cache=cache)
            return 1, loaded.cache_hits, loaded.warnings
        from dreamactor_cli.controls.extract import extract_controls

        found = extract_controls(
            work.path, signals=work.signals, cache=cache, start=work.start, duration=work.duration, subject=work.subject,
            workers=workers, on_progress=lambda done, total: tell("extract", done, total),
        )  # fmt: skip
        return found.stream.num_frames, found.cache_hits, found.warnings


def end_children() -> None:
    """Kill what this process has started: FFmpeg, and the processes of an extraction."""
    import psutil

    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()


def failure_of(error: DreamActorError) -> JobError:
    """An error as a result tells it."""
    from dreamactor_cli.contracts import JobError

    return JobError(
        type=type(error).__name__, code=error.code, retryable=error.retryable, message=str(error), exit_code=error.exit_code
    )


def _ending(error: BaseException) -> DreamActorError:
    from dreamactor_cli.endings import InternalError, ending_of
    from dreamactor_cli.errors import OutOfMemory

    # torch's own kind of error, and OpenCV's code for it: neither is a MemoryError.
    if type(error).__name__ == "OutOfMemoryError" or getattr(error, "code", None) == -4:
        return OutOfMemory(f"memory ran out: {str(error)[:200]}", "ask for a smaller --size or fewer --workers")
    ending = ending_of(error)
    if isinstance(ending, InternalError) and (frames := traceback.extract_tb(error.__traceback__)):
        # Nobody can ask a worker for a traceback afterwards.
        return InternalError(f"{ending.message} (in {frames[-1].filename}, line {frames[-1].lineno})", ending.hint)
    return ending


def _gated(task: Task, job: Job, result: RenderResult, cache: Cache) -> RenderResult:
    """The result with what the quality gates found."""
    from dreamactor_cli.errors import QualityMissed
    from dreamactor_cli.evaluation.quality import check

    findings = tuple(check(job, result, cache=cache))
    missed = [finding for finding in findings if not finding.passed]
    result = replace(result, quality=findings)
    if not missed:
        return result
    told = tuple(f"{finding.gate}: {finding.message}" for finding in missed)
    if task.gate == "warn":
        return replace(result, warnings=(*result.warnings, *told))
    error = QualityMissed(f"{job.output}: {'; '.join(told)}", "look at it; --qc warn keeps such outputs")
    return replace(result, status="failed", error=failure_of(error))
