"""What a run is going to do, found out before it begins: what is done, refused or to be extracted, and how long it may take.

Every unique file is hashed once, and only the inputs of jobs that are still to be done are looked into.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress, repeat
from pathlib import Path
from typing import Any, Literal

from dreamactor_cli import sidecar
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Job, JobError, Preset, RendererSpec, RenderResult
from dreamactor_cli.errors import DreamActorError
from dreamactor_cli.executors.settings import cores
from dreamactor_cli.executors.worker import failure_of
from dreamactor_cli.media import sha256_file
from dreamactor_cli.pipeline import already_there, check_output
from dreamactor_cli.plan_inputs import Extraction as Extraction
from dreamactor_cli.plan_inputs import Inputs
from dreamactor_cli.rates import Learnt, Rates, learn, load_rates
from dreamactor_cli.renderers import load_renderer
from dreamactor_cli.renderers.needs import check_needs, weights_sha256

State = Literal["todo", "done", "refused"]
Checks = dict[tuple[object, ...], DreamActorError | str | None]  # what was found out: an error, a hash, or that all is well
OnProgress = Callable[[int, int], None]

_MEGA = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """A job and what is known of it before it runs.

    Attributes:
        fingerprint, description: see `sidecar`; empty if they could not be made.
        error: why it is refused; running it would fail in the same way.
        frames: of the output; 0 is unknown, as it is of what is done.
        width, height: of the output, px; 0 is unknown.
    """

    job: Job
    fingerprint: str = ""
    description: Mapping[str, Any] = field(default_factory=dict)
    state: State = "todo"
    error: JobError | None = None
    frames: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is going to do.

    Attributes:
        jobs: in the order of the manifest.
        extractions: unique inputs of the jobs that are to be done.
        workers: that share the work.
        seconds, bytes: time and disk that it will take, estimated from earlier runs.
    """

    jobs: tuple[PlannedJob, ...]
    extractions: tuple[Extraction, ...]
    workers: int
    seconds: float
    bytes: int

    def count(self, state: State) -> int:
        """Jobs in a state."""
        return sum(planned.state == state for planned in self.jobs)


def make_plan(jobs: Sequence[Job], *, cache: Cache, workers: int, on_progress: OnProgress | None = None) -> Plan:
    """Find out what is to be done; nothing is written.

    Args:
        workers: that will share the work.
        on_progress: is told how many unique inputs and jobs have been looked at, and of how many.
    """
    files = _unique_files(jobs)
    tell = _Counter(on_progress, len(files) + 2 * len(jobs))
    specs = _specs(jobs)
    inputs = Inputs(cache, {name: spec for name, spec in specs.items() if isinstance(spec, RendererSpec)})
    with ThreadPoolExecutor(min(2 * cores(), 16)) as pool:
        for _ in pool.map(_hash, files):
            tell()
        look = partial(_state, specs=specs, checks={})
        # Threads pay where an output has to be hashed; elsewhere they only take turns.
        exist = [os.path.lexists(job.output) for job in jobs]
        made = pool.map(look, compress(jobs, exist), repeat(True))
        states = tell.each(next(made) if exists else look(job, False) for job, exists in zip(jobs, exist, strict=True))
        inputs.look(pool, [planned.job for planned in states if planned.state == "todo"])
        planned = tuple(tell.each(_sized(planned, inputs) for planned in states))
    extractions = tuple(inputs.needed_by([one.job for one in planned if one.state == "todo"]))
    seconds, size = _estimate(planned, extractions, load_rates(cache.root), max(workers, 1))
    return Plan(jobs=planned, extractions=extractions, workers=workers, seconds=seconds, bytes=size)


def record_rates(
    cache: Cache, *, rendered: Iterable[tuple[PlannedJob, RenderResult]], extracted: Iterable[tuple[Extraction, float]] = ()
) -> None:
    """Learn from a run how long things take, for the estimates of the next one.

    Args:
        rendered: jobs with their results; only those count that were rendered now.
        extracted: inputs with the seconds that one worker took; only those count that were not in the cache.
    """
    learnt = [
        Learnt(f"extract {extraction.kind}", extraction.frames, seconds)
        for extraction, seconds in extracted
        if not extraction.cached
    ]
    for planned, result in rendered:
        if result.status != "ok" or not result.frames:
            continue
        pixels = result.frames * planned.width * planned.height / _MEGA
        rendering = result.seconds.get("render", 0.0)
        learnt += [
            Learnt(f"render {planned.job.preset.renderer}", pixels, rendering),
            Learnt("job", 1, sum(result.seconds.values()) - rendering - result.seconds.get("extract", 0.0)),
            Learnt(f"output {planned.job.output.suffix}", pixels, _size(planned.job.output)),
        ]
    learn(cache.root, learnt)


class _Counter:
    """Tells progress, one by one."""

    def __init__(self, on_progress: OnProgress | None, total: int) -> None:
        self._on_progress, self._total, self._done = on_progress, total, 0

    def __call__(self) -> None:
        self._done += 1
        if self._on_progress is not None:
            self._on_progress(self._done, self._total)

    def each(self, planned: Iterable[PlannedJob]) -> list[PlannedJob]:
        """All of them; each is told when it is there."""
        out = []
        for one in planned:
            out.append(one)
            self()
        return out


def _specs(jobs: Sequence[Job]) -> dict[str, RendererSpec | DreamActorError]:
    """What each renderer needs, or why it cannot be had."""
    specs: dict[str, RendererSpec | DreamActorError] = {}
    for name in dict.fromkeys(job.preset.renderer for job in jobs):
        try:
            renderer = load_renderer(name)
            specs[name] = renderer.spec
            renderer.close()
        except DreamActorError as error:
            specs[name] = error
    return specs


def _unique_files(jobs: Iterable[Job]) -> list[Path]:
    """The files that must be hashed, each once."""
    seen: set[object] = set()
    files: dict[Path, None] = {}
    for job in jobs:
        named = {*job.references, job.driving, job.audio, job.preset.background, job.skeleton, job.credentials}
        if not named <= seen:
            seen |= named
            files |= dict.fromkeys(sidecar.input_files(job))
    return list(files)


def _hash(path: Path) -> None:
    """Bring a file's hash to where it is remembered; what is wrong with the file is said for each of its jobs."""
    with suppress(DreamActorError):
        sha256_file(path)


def _state(job: Job, exists: bool, *, specs: Mapping[str, RendererSpec | DreamActorError], checks: Checks) -> PlannedJob:
    """Whether a job is done, refused for what its output or its options say, or to be done.

    Args:
        exists: something has the name of the output.
        checks: what was found out about forms of outputs, kept for the next job.
    """
    planned = PlannedJob(job=job)
    try:
        spec = specs[job.preset.renderer]
        if isinstance(spec, DreamActorError):
            raise spec
        description = sidecar.describe(job, spec, _weights(job.preset, checks))
        planned = PlannedJob(job=job, description=description, fingerprint=sidecar.fingerprint(description))
        there = exists or "%" in job.output.name
        if there and already_there(job, planned.fingerprint) is not None:
            return replace(planned, state="done")
        preset = job.preset
        form = (job.output.suffix, preset.background == "transparent", preset.crf, job.side_by_side, job.credentials, job.key)
        if form not in checks:
            checks[form] = _problem(lambda: check_output(job))
        if isinstance(problem := checks[form], DreamActorError):
            raise problem
    except DreamActorError as error:
        return _refused(planned, error)
    return planned


def _weights(preset: Preset, checks: Checks) -> str:
    """What identifies the weights of a job; what a preset needs is looked into once.

    Raises:
        DreamActorError: what the renderer needs is not there.
    """
    demand = ("needs", preset)
    if demand not in checks:
        checks[demand] = _problem(lambda: check_needs(preset)) or weights_sha256(preset)
    if isinstance(found := checks[demand], DreamActorError):
        raise found
    return found or ""


def _problem(check: Callable[[], object]) -> DreamActorError | None:
    try:
        check()
    except DreamActorError as error:
        return error
    return None


def _refused(planned: PlannedJob, error: DreamActorError) -> PlannedJob:
    return replace(planned, state="refused", error=failure_of(error))


def _sized(planned: PlannedJob, inputs: Inputs) -> PlannedJob:
    """A job with the frames and the size that its output will have; refused if one of its inputs is."""
    if planned.state != "todo":
        return planned
    try:
        frames, width, height = inputs.measure(planned.job)
    except DreamActorError as error:
        return _refused(planned, error)
    return replace(planned, frames=frames, width=width, height=height)


def _estimate(jobs: Sequence[PlannedJob], extractions: Sequence[Extraction], rates: Rates, workers: int) -> tuple[float, int]:
    """Seconds, with all workers busy, and bytes of outputs and cache."""
    missing = [extraction for extraction in extractions if not extraction.cached]
    todo = [planned for planned in jobs if planned.state == "todo"]
    pixels = [planned.frames * planned.width * planned.height / _MEGA for planned in todo]
    extracting = [rates.cost(f"extract {extraction.kind}", extraction.frames) for extraction in missing]
    rendering = [
        rates.cost("job", 1) + rates.cost(f"render {planned.job.preset.renderer}", many)
        for planned, many in zip(todo, pixels, strict=True)
    ]
    size = sum(rates.cost(f"output {planned.job.output.suffix}", many) for planned, many in zip(todo, pixels, strict=True))
    size += sum(rates.cost("signals", extraction.frames) for extraction in missing)
    return sum(max(sum(times) / workers, max(times, default=0.0)) for times in (extracting, rendering)), round(size)


def _size(output: Path) -> int:
    """Bytes of a file, or of the pictures of a sequence."""
    files = sidecar.sequence_files(output) or [output]
    return sum(path.stat().st_size for path in files if path.is_file())
