"""What a plan finds out about the inputs of jobs: whether they can be used, how long they are, and what is in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Controls, Job, RendererSpec
from dreamactor_cli.controls.extract import FACTS, Window, remembered_info, signal_keys
from dreamactor_cli.controls_file import is_controls_file
from dreamactor_cli.driving import MOTION_PREFIX, is_bvh, load_driver
from dreamactor_cli.dubbing import is_dub
from dreamactor_cli.errors import DreamActorError, NoStream, UsageError
from dreamactor_cli.media import image_size, probe, sha256_file
from dreamactor_cli.media.lengths import lengths_of
from dreamactor_cli.pipeline import body_signals, needed_signals
from dreamactor_cli.reference import is_known, known_controls
from dreamactor_cli.retarget.framing import framed_size
from dreamactor_cli.speaking import frame_rate

Kind = Literal["clip", "picture", "sound"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """One unique input of the jobs that are to be done, however many of them share it.

    Attributes:
        signals: of a clip or a sound; empty for a picture, of which the same are always measured.
        start, duration, subject: of a clip, as in `contracts.Job`.
        frames: of the window; 1 for a picture.
        cached: all that is wanted is in the cache.
    """

    path: Path
    kind: Kind = "clip"
    signals: tuple[str, ...] = ()
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    subject: int | None = None
    frames: int = 0
    cached: bool = False


@dataclass(frozen=True, slots=True)
class _Driver:
    """What drives jobs: frames of its window, their rate, and what has to be extracted; of a dub, the size of its video."""

    frames: int
    fps: Fraction
    extractions: tuple[Extraction, ...] = ()
    size: tuple[int, int] | None = None


_Picture = tuple[Extraction, tuple[int, int]]  # with width and height, px
_Key = tuple[object, ...]


class Inputs:
    """Looks into the inputs of jobs, into each once.

    Args:
        specs: of the renderers, by name.
    """

    def __init__(self, cache: Cache, specs: Mapping[str, RendererSpec]) -> None:
        self._cache, self._specs = cache, specs
        self._drivers: dict[_Key, _Driver | DreamActorError] = {}
        self._known: dict[Path, Controls | None] = {}
        self._pictures: dict[Path, _Picture | DreamActorError] = {}

    def look(self, pool: ThreadPoolExecutor, jobs: Sequence[Job]) -> None:
        """Look into all inputs of jobs."""
        drivers = {self._key(job): job for job in jobs}
        self._drivers.update(zip(drivers, pool.map(self._driver, drivers.values()), strict=True))
        pictures = list(dict.fromkeys(path for job in jobs for path in _pictures_of(job, self._drivers[self._key(job)])))
        self._pictures.update(zip(pictures, pool.map(self._picture, pictures), strict=True))

    def measure(self, job: Job) -> tuple[int, int, int]:
        """Frames, width and height that the output of a job will have.

        Raises:
            DreamActorError: one of its inputs cannot be used.
        """
        driver = self._drivers[self._key(job)]
        sizes = []
        for seen in (driver, *(self._pictures[path] for path in _pictures_of(job, driver))):
            if isinstance(seen, DreamActorError):
                raise seen
            sizes.append(seen.size if isinstance(seen, _Driver) else seen[1])
        assert isinstance(driver, _Driver)
        width, height = driver.size or framed_size(job.preset.size, *(sizes[1] or (0, 0)))
        rate = driver.fps if job.preset.fps == "source" else Fraction(job.preset.fps)
        return max(1, round(driver.frames * rate / driver.fps)), width, height

    def needed_by(self, jobs: Sequence[Job]) -> Iterator[Extraction]:
        """Each input of jobs that can be used, once: pictures first."""
        drivers = [self._drivers[self._key(job)] for job in jobs]
        for path in dict.fromkeys(path for job, driver in zip(jobs, drivers, strict=True) for path in _pictures_of(job, driver)):
            seen = self._pictures[path]
            if not isinstance(seen, DreamActorError):
                yield seen[0]
        yield from dict.fromkeys(one for driver in drivers if isinstance(driver, _Driver) for one in driver.extractions)

    def _signals(self, job: Job) -> tuple[str, ...]:
        spec = self._specs[job.preset.renderer]
        signals = needed_signals(job, spec)
        if not spec.body_needs or job.driving is None or job.driving.startswith(MOTION_PREFIX):
            return signals
        # What an unknown picture shows is found out when it is loaded.
        if job.references[0] not in self._known:
            with suppress(DreamActorError):
                self._known[job.references[0]] = known_controls(sha256_file(job.references[0]), self._cache)
        known = self._known.get(job.references[0])
        if job.skeleton is not None:
            return (*signals, *spec.body_needs)
        return signals if known is None else (*signals, *body_signals(job, spec, known))

    def _key(self, job: Job) -> _Key:
        key: _Key = (job.driving, job.start, job.duration, job.subject, self._signals(job))
        if job.driving is not None and job.driving.startswith(MOTION_PREFIX):
            key += (job.preset.fps,)
        return (*key, job.audio, job.references, job.preset.fps) if job.kind == "lipsync" else key

    def _driver(self, job: Job) -> _Driver | DreamActorError:
        try:
            if job.kind == "lipsync":
                return _speaker(job)
            if job.driving is None or job.driving.startswith(MOTION_PREFIX) or _is_at_hand(Path(job.driving)):
                controls = load_driver(
                    job, signals=needed_signals(job, self._specs[job.preset.renderer]), cache=self._cache
                ).controls
                return _Driver(controls.num_frames, controls.fps)
            return self._clip(job, Path(job.driving), self._signals(job))
        except DreamActorError as error:
            return error

    def _clip(self, job: Job, path: Path, signals: tuple[str, ...]) -> _Driver:
        keys = signal_keys(sha256_file(path), signals, start=job.start, duration=job.duration, subject=job.subject)
        info = remembered_info(path, self._cache, keys[FACTS]) or probe(path)
        frames = Window.of(info, job.start, job.duration, None).num_frames
        extraction = Extraction(
            path=path, signals=signals, start=job.start, duration=job.duration, subject=job.subject, frames=frames,
            cached=all(self._cache.has(key) for key in keys.values()),
        )  # fmt: skip
        return _Driver(frames, info.fps, (extraction,))

    def _picture(self, path: Path) -> _Picture | DreamActorError:
        try:
            size = image_size(path)
            cached = is_known(sha256_file(path), self._cache)
        except DreamActorError as error:
            return error
        return Extraction(path=path, kind="picture", frames=1, cached=cached), size


def _is_at_hand(path: Path) -> bool:
    """Whether a file holds its signals, so that nothing is to be measured."""
    return is_bvh(path) or is_controls_file(path)


def _pictures_of(job: Job, driver: _Driver | DreamActorError) -> tuple[Path, ...]:
    """The references, but for a video that is dubbed."""
    return () if isinstance(driver, _Driver) and driver.size else job.references


def _speaker(job: Job) -> _Driver:
    """A sound, as long as its file says. What a job extracts of it is decided when the sound has been heard."""
    if job.audio is None:
        raise UsageError("there is no sound to speak", "name one as audio")
    size = None
    if is_dub(job):
        info = probe(job.references[0])
        fps, size = info.fps, (info.width, info.height)
    else:
        fps = frame_rate(job)
    seconds = lengths_of(job.audio).audio
    if seconds is None:
        raise NoStream(f"{job.audio} has no sound", "give a sound, or a video with sound")
    left = seconds - job.start
    if left <= 0:
        raise UsageError(f"the window of {job.audio.name} is empty", "choose another start or duration")
    return _Driver(max(1, round(min(left, job.duration or left) * fps)), fps, size=size)
