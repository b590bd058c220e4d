"""A run: plan, extract every unique input once, render; results are written as they come, and a run that was stopped goes on.

What a run leaves in its folder, beside the outputs: ``results.jsonl`` (see `results`), ``run.json``, and the report.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dreamactor_cli import results, run_record, strays
from dreamactor_cli.atomic import write_errors
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Job, RenderResult
from dreamactor_cli.errors import DreamActorError, MissingRequirement, Stopped, UsageError
from dreamactor_cli.executors.base import Executor, Gate, Measurement, Progress, Started, Task
from dreamactor_cli.executors.shard import Shard
from dreamactor_cli.folder_lock import alone, claim
from dreamactor_cli.plan import Extraction, Plan, PlannedJob, make_plan, record_rates
from dreamactor_cli.renderers.needs import check_gpu

OUT_OF_MEMORY = (
    "memory",
    "worker-lost",
)  # after these a task is tried again with less; a lost worker may have been killed for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a run deals with what goes wrong.

    Attributes:
        retries: of a task that failed for a reason that may go away.
        max_failures: jobs after which nothing more is begun; None is never.
        gate: what happens to an output that misses a quality gate.
        wait: for another run in the same folder to end.
        gpu: the workers have one, or are to do without it however long it takes.
    """

    retries: int = 1
    max_failures: int | None = None
    gate: Gate = "off"
    wait: bool = False
    gpu: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan is made."""

    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Tasks of one kind begin: ``"extract"`` or ``"render"``."""

    name: str
    tasks: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A task has its result; ``again`` if it is going to be tried once more."""

    phase: str
    result: RenderResult
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that a person should know."""

    text: str


RunEvent = Planned | Phase | Started | Progress | Finished | Note
OnEvent = Callable[[RunEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What became of a run, in jobs.

    Attributes:
        left: neither done nor failed when it ended.
        errors: codes of what failed.
    """

    rendered: int
    skipped: int
    failed: int
    left: int
    errors: frozenset[str]


def run_manifest(
    jobs: Sequence[Job],
    *,
    folder: Path,
    cache: Cache,
    executor: Executor,
    rules: Rules | None = None,
    shard: Shard | None = None,
    on_event: OnEvent = lambda event: None,
) -> RunSummary:
    """Do all jobs of a manifest, or those of one of its parts.

    The executor is closed at the end, however the run ends.

    Args:
        jobs: all of them; what belongs to other parts is left out here.
        folder: where the outputs lie, and where results and report are written.

    Raises:
        UsageError: another run has the folder.
        MissingRequirement: weights or packages that jobs need are not here; nothing was begun.
        Stopped, KeyboardInterrupt: a signal came; what was done is kept, what ran is dropped.
        DiskFull: the results cannot be written.
    """
    shard, rules = shard or Shard(), rules or Rules()
    part = f"{shard.index + 1}-of-{shard.count}" if shard.count > 1 else ""
    try:
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with claim(folder, part, wait=rules.wait, on_wait=lambda text: on_event(Note(text=text))) as lost:
            return _Run(folder, part, cache, executor, rules, on_event, lost).go(shard.take(jobs))
    finally:
        executor.close()


class _Run:
    """One run, while it has the folder."""

    def __init__(
        self, folder: Path, part: str, cache: Cache, executor: Executor, rules: Rules, on_event: OnEvent, lost: threading.Event
    ) -> None:
        self._folder, self._part, self._cache, self._executor = folder, part, cache, executor
        self._rules, self._tell, self._lost = rules, on_event, lost
        self._record = run_record.RunRecord(folder, part, workers=executor.workers)
        self._failed: dict[str, str] = {}  # id -> code
        self._rendered = 0

    def go(self, jobs: Sequence[Job]) -> RunSummary:
        """Plan, extract, render; and whatever happens, leave the folder in order."""
        ending = "failed"
        try:
            strays.sweep({self._folder, *(job.output.parent for job in jobs)})
            self._cache.sweep()
            with alone(self._folder):
                results.fold(self._folder, self._part)
                run_record.fold(self._folder, self._part)
            plan = make_plan(run_record.reopened(self._folder, jobs), cache=self._cache, workers=self._executor.workers)
            _refuse_here(plan, has_gpu=self._rules.gpu)
            self._record.planned(plan)
            self._tell(Planned(plan=plan))
            with results.ResultsFile(self._folder / results.part_name(self._part)) as file:
                todo = self._settle(plan, file)
                todo = self._extract(plan, todo, file)
                self._render(todo, file)
            summary = self._summary(plan)
            ending = "ok" if not self._failed and not summary.left else "failed"
            return summary
        except (Stopped, KeyboardInterrupt):
            ending = "stopped"
            raise
        finally:
            self._executor.close()
            strays.sweep({self._folder, *(job.output.parent for job in jobs)})
            self._conclude(ending)

    def _settle(self, plan: Plan, file: results.ResultsFile) -> list[PlannedJob]:
        """Write down what is done or refused; what is to be done stays."""
        written = [results.EARLIER, results.part_name(self._part)] if self._part else [results.NAME]
        known = {line["id"]: line for name in written for line in results.read(self._folder / name)}
        lines = []
        for planned in plan.jobs:
            if planned.state == "todo":
                continue
            result = run_record.settled(planned)
            if planned.state == "refused":
                self._count(result)
                self._tell(Finished(phase="plan", result=result))
            if not run_record.is_known(known.get(planned.job.id), planned, self._rules.gate):
                lines.append(results.job_record(planned.job, planned.fingerprint, result))
            elif known[planned.job.id]["status"] == "failed" and planned.state == "done":
                self._failed[planned.job.id] = "quality"  # the output is as it was, and so is what the gates say
        file.append(*lines)
        return [planned for planned in plan.jobs if planned.state == "todo"]

    def _extract(self, plan: Plan, todo: list[PlannedJob], file: results.ResultsFile) -> list[PlannedJob]:
        """Measure what is not in the cache; jobs whose input fails here have failed, the others stay."""
        if self._is_enough():
            return todo
        missing = {f"{one.path.name} #{k}": one for k, one in enumerate(plan.extractions) if not one.cached}
        ordered = sorted(missing, key=lambda name: -missing[name].frames)
        tasks = [
            Task(id=name, work=_measurement(missing[name]), cache=self._cache.root, frames=missing[name].frames)
            for name in ordered
        ]
        failed: list[tuple[Extraction, RenderResult]] = []
        for result in self._attempts("extract", tasks):
            self._record.extracted(missing[result.id], result)
            if result.status == "failed":
                failed.append((missing[result.id], result))
        record_rates(self._cache, rendered=(), extracted=self._record.extractions)
        left = []
        for planned in todo:
            harm = next((result for one, result in failed if _needs(planned.job, one)), None)
            if harm is None:
                left.append(planned)
            else:
                self._finish(planned, replace(harm, id=planned.job.id, output=planned.job.output), file)
        return left

    def _render(self, todo: Sequence[PlannedJob], file: results.ResultsFile) -> None:
        """Render, longest first; jobs of one renderer stay together."""
        if not todo or self._is_enough():
            return
        by_id = {planned.job.id: planned for planned in todo}
        tasks = [
            Task(id=planned.job.id, work=planned.job, cache=self._cache.root, frames=planned.frames, gate=self._rules.gate)
            for planned in in_order(todo)
        ]
        rendered = []
        run_record.note_open(self._folder, self._part, [planned.job for planned in todo])
        for result in self._attempts("render", tasks):
            self._finish(by_id[result.id], result, file)
            rendered.append((by_id[result.id], result))
            if self._is_enough():
                break
        record_rates(self._cache, rendered=rendered)

    def _attempts(self, phase: str, tasks: Sequence[Task]) -> Iterator[RenderResult]:
        """Last results of tasks; what failed for a reason that may go away is tried again, when the others are through."""
        if tasks:
            self._tell(Phase(name=phase, tasks=len(tasks), frames=sum(task.frames for task in tasks)))
        while tasks:
            by_id = {task.id: task for task in tasks}
            again: list[Task] = []
            for result in self._executor.run(tasks, self._tell):
                if self._lost.is_set():
                    raise UsageError(f"another run took over {self._folder} while this one slept", "run it again with --wait")
                task = by_id[result.id]
                retry = result.error is not None and result.error.retryable and task.attempt <= self._rules.retries
                retry = retry and result.error is not None and result.error.code != "disk"  # it stays full
                self._tell(Finished(phase=phase, result=result, again=retry))
                if retry and result.error is not None:
                    less = task.memory + (result.error.code in OUT_OF_MEMORY)
                    again.append(replace(task, attempt=task.attempt + 1, memory=less))
                else:
                    yield result
            tasks = again

    def _finish(self, planned: PlannedJob, result: RenderResult, file: results.ResultsFile) -> None:
        file.append(results.job_record(planned.job, planned.fingerprint, result))
        self._count(result)

    def _count(self, result: RenderResult) -> None:
        if result.error is not None:
            self._failed[result.id] = result.error.code
        elif result.status == "ok":
            self._rendered += 1

    def _is_enough(self) -> bool:
        """Whether so much went wrong that nothing more is begun."""
        most = self._rules.max_failures
        return "disk" in self._failed.values() or (most is not None and len(self._failed) >= most)

    def _summary(self, plan: Plan) -> RunSummary:
        skipped = sum(planned.state == "done" and planned.job.id not in self._failed for planned in plan.jobs)
        left = len(plan.jobs) - skipped - self._rendered - len(self._failed)
        return RunSummary(
            rendered=self._rendered, skipped=skipped, failed=len(self._failed), left=left, errors=frozenset(self._failed.values())
        )

    def _conclude(self, ending: str) -> None:
        """Say how the run ended, and write the report; neither may hide what ended it."""
        if self._lost.is_set():
            return  # the folder is another run's now
        try:
            run_record.note_closed(self._folder, self._part)
            self._record.ended(ending, rendered=self._rendered, failed=len(self._failed))
            with alone(self._folder):
                results.join(self._folder)
                run_record.join(self._folder)
                _report(self._folder)
        except DreamActorError as error:
            self._tell(Note(text=f"the report could not be written: {error}"))


def _refuse_here(plan: Plan, *, has_gpu: bool) -> None:
    """End before anything begins if this machine lacks what jobs need: mending it helps, and rendering the others may take hours.

    Raises:
        MissingRequirement: jobs cannot be rendered here.
    """
    lacking = [one.error for one in plan.jobs if one.error is not None and one.error.exit_code == MissingRequirement.exit_code]
    if lacking:
        raise MissingRequirement(f"{len(lacking)} of {len(plan.jobs)} jobs cannot be rendered here: {lacking[0].message}")
    for preset in dict.fromkeys(one.job.preset for one in plan.jobs if one.state == "todo"):
        check_gpu(preset, has_gpu=has_gpu)


def in_order(planned: Iterable[PlannedJob]) -> list[PlannedJob]:
    """Jobs as they are best done: by renderer, then by picture, the longest first, as pictures and within each."""
    listed = list(planned)
    work = {one.job.id: one.frames * max(one.width * one.height, 1) for one in listed}
    renderers: dict[str, int] = {}
    longest: dict[tuple[str, ...], int] = {}
    for one in listed:
        group = _group(one.job)
        renderers[group[0]] = renderers.get(group[0], 0) + work[one.job.id]
        longest[group] = max(longest.get(group, 0), work[one.job.id])

    def order(one: PlannedJob) -> tuple[object, ...]:
        group = _group(one.job)
        return -renderers[group[0]], group[0], -longest[group], group, -work[one.job.id], one.job.id

    return sorted(listed, key=order)


def _group(job: Job) -> tuple[str, ...]:
    return Task(id=job.id, work=job, cache=Path()).group


def _measurement(extraction: Extraction) -> Measurement:
    return Measurement(
        path=extraction.path, signals=extraction.signals, start=extraction.start, duration=extraction.duration,
        subject=extraction.subject,
    )  # fmt: skip


def _needs(job: Job, extraction: Extraction) -> bool:
    """Whether a job cannot be done without an input."""
    if extraction.kind == "picture":
        return extraction.path in job.references
    if extraction.kind == "sound":
        return job.audio == extraction.path
    window = (extraction.start, extraction.duration, extraction.subject)
    return job.driving == str(extraction.path) and (job.start, job.duration, job.subject) == window


def _report(folder: Path) -> None:
    from dreamactor_cli.report import write_report

    write_report(folder)
