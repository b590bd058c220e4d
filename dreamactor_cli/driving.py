"""What drives a job: a video, a controls file, a BVH animation, or a built-in motion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Controls, ControlStream, Job
from dreamactor_cli.controls_file import StoredControls, is_controls_file
from dreamactor_cli.errors import UnreadableInput, UsageError
from dreamactor_cli.media import VideoInfo, is_video, probe, sha256_file

MOTION_PREFIX = "motion:"
MOTION_FPS = Fraction(25)
MOTION_SIZE = 512  # px, of the synthetic driver's frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A driver, ready to be retargeted.

    Attributes:
        controls: of the driving window.
        video: where the motion came from a video, else None.
        first_frame: of the window in the video.
        cache_hits: signals that were read and not made.
    """

    controls: ControlStream
    video: VideoInfo | None = None
    first_frame: int = 0
    cache_hits: int = 0
    warnings: tuple[str, ...] = ()


def is_bvh(path: Path) -> bool:
    """Whether a file is called a BVH file."""
    return path.suffix.lower() == ".bvh"


def clip_rate(path: Path) -> Fraction:
    """Frames a second of a video, a controls file or a BVH file.

    Raises:
        InputRefused: it cannot be read.
    """
    if is_bvh(path):
        from dreamactor_cli.bvh import read_bvh

        return read_bvh(path).fps
    return StoredControls.read(path).fps if is_controls_file(path) else probe(path).fps


def driving_sha256(driving: str) -> str:
    """What identifies a driver: the hash of its file, or of the built-in motion's values."""
    if not driving.startswith(MOTION_PREFIX):
        return sha256_file(Path(driving))
    name = driving.removeprefix(MOTION_PREFIX)
    return _motion_sha256(name, sha256_file(Path(name)) if Path(name).is_file() else "")


@lru_cache(maxsize=1024)
def _motion_sha256(name: str, file_sha256: str) -> str:  # noqa: ARG001 - a part of the key
    from hashlib import sha256

    from dreamactor_cli.motion import load_motion

    return sha256(load_motion(name).model_dump_json().encode()).hexdigest()


def load_driver(
    job: Job,
    *,
    signals: tuple[str, ...],
    cache: Cache,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    more_signals: Callable[[], Sequence[str]] | None = None,
) -> Driver:
    """Controls of a job's driver.

    Args:
        signals: that the renderer needs.
        more_signals: names those that it needs too of a video, see `extract_controls`.

    Raises:
        UsageError: the driver is none, or lacks the signals.
        InputRefused: it cannot be read, or shows nobody.
    """
    if job.driving is None:
        raise UsageError("there is no driver", "name a video, a controls file, a BVH file or motion:NAME with -d")
    if job.driving.startswith(MOTION_PREFIX):
        return Driver(controls=_motion(job))
    path = Path(job.driving)
    if is_bvh(path):
        return Driver(controls=_bvh(job, path))
    if is_controls_file(path):
        stored = StoredControls.read(path)
        lacking = [name for name in signals if name not in stored.signals]
        if lacking:
            hint = f"make it again with: dreamactor extract SOURCE --signals {','.join(signals)} -o FILE"
            raise UsageError(f"{path} has no {' and no '.join(lacking)} signal", hint)
        return Driver(controls=_Window.cut(stored, job.start, job.duration))
    if not is_video(path):
        probe(path)  # says best what is wrong with the file
        raise UnreadableInput(f"{path} is not a video", "give a video, a controls file, a BVH file or motion:NAME")
    return _video(job, path, signals, cache, workers, on_progress, more_signals)


def _motion(job: Job) -> ControlStream:
    from dreamactor_cli.motion import load_motion, synthesise

    assert job.driving is not None
    motion = load_motion(job.driving.removeprefix(MOTION_PREFIX))
    fps = MOTION_FPS if job.preset.fps == "source" else Fraction(job.preset.fps)
    until = None if job.duration is None else job.start + job.duration
    controls = synthesise(motion, fps=fps, width=MOTION_SIZE, height=MOTION_SIZE, duration=until)
    return _Window.cut(controls, job.start, job.duration)


def _bvh(job: Job, path: Path) -> ControlStream:
    from dreamactor_cli.bvh import read_bvh
    from dreamactor_cli.bvh_joints import driving_body
    from dreamactor_cli.motion import embody

    bvh = read_bvh(path)
    figure, head = driving_body(bvh, path)
    controls = embody(figure, head, fps=bvh.fps, width=MOTION_SIZE, height=MOTION_SIZE, name="bvh")
    return _Window.cut(controls, job.start, job.duration)


def _video(
    job: Job,
    path: Path,
    signals: tuple[str, ...],
    cache: Cache,
    workers: int | None,
    on_progress: Callable[[int, int], None] | None,
    more_signals: Callable[[], Sequence[str]] | None,
) -> Driver:
    from dreamactor_cli.controls.extract import extract_controls

    found = extract_controls(
        path, signals=signals, cache=cache, start=job.start, duration=job.duration, subject=job.subject, workers=workers,
        on_progress=on_progress, more_signals=more_signals,
    )  # fmt: skip
    warnings = (*found.info.warnings, *found.warnings)
    return Driver(
        controls=found.stream, video=found.info, first_frame=round(job.start * found.info.fps), cache_hits=found.cache_hits,
        warnings=tuple(dict.fromkeys(warnings)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """A part of a `ControlStream`, itself one."""

    whole: ControlStream
    first: int
    num_frames: int

    @property
    def fps(self) -> Fraction:
        return self.whole.fps

    @property
    def width(self) -> int:
        return self.whole.width

    @property
    def height(self) -> int:
        return self.whole.height

    @classmethod
    def cut(cls, whole: ControlStream, start: Fraction, duration: Fraction | None) -> ControlStream:
        """Frames from ``start`` for ``duration`` seconds.

        Raises:
            UsageError: nothing is left.
        """
        first = round(start * whole.fps)
        left = whole.num_frames - first
        if start < 0 or left < 1 or (duration is not None and duration <= 0):
            length = float(whole.num_frames / whole.fps)
            raise UsageError(
                f"the window of the driver is empty: it lasts {length:.2f} s", "choose another --start or --duration"
            )
        frames = left if duration is None else min(left, max(round(duration * whole.fps), 1))
        return whole if (first, frames) == (0, whole.num_frames) else cls(whole=whole, first=first, num_frames=frames)

    def window(self, start: int, stop: int) -> Controls:
        """See `ControlStream`."""
        start, stop = max(start, 0), min(stop, self.num_frames)
        return self.whole.window(self.first + start, self.first + stop)
