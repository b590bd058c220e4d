"""What drives a face that speaks: the sound its mouth, and its own life, a video or a motion the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.cache import Cache
from dreamactor_cli.captions import Captions, load_captions
from dreamactor_cli.contracts import Controls, ControlStream, Job, Preset, Signal
from dreamactor_cli.controls.speech import Heard, hear
from dreamactor_cli.driving import MOTION_FPS, MOTION_PREFIX, MOTION_SIZE, Driver, clip_rate, load_driver
from dreamactor_cli.errors import UsageError
from dreamactor_cli.media import AudioSource
from dreamactor_cli.retarget.transfer import RetargetedStream
from dreamactor_cli.speech_face.life import life
from dreamactor_cli.speech_face.stream import Performance, SpeakingStream, take
from dreamactor_cli.speech_face.tracks import MouthTracks, mouth_tracks

LIFE = "life"  # what the record calls the motion of a head that nobody drives


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker(Driver):
    """A driver whose mouth is driven by sound.

    Attributes:
        tracks: what the mouth does in each frame of the output.
        sound: to go with it.
        fps: of the output.
        preset: how to retarget `controls`, which move all but the mouth.
        heard: the sound, as it was analysed.
        captions: what is said, if it is to be written.
    """

    tracks: MouthTracks
    sound: AudioSource
    fps: Fraction
    preset: Preset
    heard: Heard
    captions: Captions | None

    def speak(self, reference: Controls) -> SpeakingStream:
        """Controls of the reference, speaking."""
        return SpeakingStream(RetargetedStream(reference, self.controls, self.preset, self.fps), reference, self.tracks)


def load_speaker(
    job: Job,
    *,
    signals: tuple[str, ...],
    cache: Cache,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    more_signals: Callable[[], Sequence[str]] | None = None,
    apart: bool = False,
) -> Speaker:
    """Hear the sound of a job and make ready what moves the rest.

    Args:
        signals, more_signals: that the renderer needs, see `load_driver`.
        apart: as of `hear`.

    Raises:
        UsageError: there is no sound, or an option does not go with the driver.
        InputRefused: sound or driver cannot be used.
        MissingRequirement: the weights of the speech encoder are not there.
    """
    if job.audio is None:
        raise UsageError("there is no sound to speak", "name a sound or a video with -a")
    fps = frame_rate(job)
    heard = hear(
        job.audio, fps=fps, cache=cache, start=job.start, duration=job.duration, encoder=job.preset.speech_encoder,
        apart=apart, on_progress=on_progress,
    )  # fmt: skip
    captions = load_captions(job, cache=cache)
    tracks = mouth_tracks(heard.stream, gain=job.preset.mouth_gain, lead=job.preset.lead_ms / 1000)
    sound = AudioSource(job.audio, start=job.start, duration=heard.seconds)
    if job.driving is None:
        curves = life(tracks, fps=float(fps), seed=job.seed, head_motion=job.preset.head_motion)
        own = Performance(curves=curves, num_frames=len(tracks), fps=fps, width=MOTION_SIZE, height=MOTION_SIZE, name=LIFE)
        return Speaker(
            controls=own, warnings=heard.warnings, cache_hits=heard.cache_hits, tracks=tracks, sound=sound, fps=fps,
            preset=_as_it_is(job.preset), heard=heard, captions=captions,
        )  # fmt: skip
    needed = None if job.preset.sound_ends == "rest" else heard.seconds
    driver = load_driver(
        _driver_job(job, needed), signals=signals, cache=cache, workers=workers, on_progress=on_progress,
        more_signals=more_signals,
    )  # fmt: skip
    controls, frames = fit(driver.controls, len(tracks), fps, job.preset)
    repeated = isinstance(controls, Folded) and controls.repeats
    if repeated and job.preset.background == "driving":
        what = f"{job.driving} is shorter than the sound, and its picture is to be the background"
        raise UsageError(what, "add --motion-ends hold or --motion-ends cut")
    synthetic = job.driving.startswith(MOTION_PREFIX)
    return Speaker(
        controls=controls, video=None if repeated else driver.video, first_frame=driver.first_frame,
        cache_hits=driver.cache_hits + heard.cache_hits, warnings=(*driver.warnings, *heard.warnings),
        tracks=tracks.of_length(frames), sound=sound, fps=fps, preset=_as_it_is(job.preset) if synthetic else job.preset,
        heard=heard, captions=captions,
    )  # fmt: skip


def frame_rate(job: Job) -> Fraction:
    """Frames a second of the output: as asked for, else the driver's, else that of the built-in motions."""
    if job.preset.fps != "source":
        return Fraction(job.preset.fps)
    if job.driving is None or job.driving.startswith(MOTION_PREFIX):
        return MOTION_FPS
    path = Path(job.driving)
    return clip_rate(path)


def _as_it_is(preset: Preset) -> Preset:
    """How made-up motion is retargeted: from its first frame on, without a filter that would blunt blinks."""
    return replace(preset, motion="relative", anchor="first", smoothing=0)


def _driver_job(job: Job, seconds: Fraction | None) -> Job:
    """The job of the driver alone, which begins at its own beginning, and of which no more is wanted than there is sound."""
    assert job.driving is not None
    preset = replace(job.preset, fps="source" if not job.driving.startswith(MOTION_PREFIX) else job.preset.fps)
    if seconds is None or job.driving.startswith(MOTION_PREFIX):
        return replace(job, start=Fraction(0), duration=_motion_length(job, seconds), preset=preset)
    path = Path(job.driving)
    fps = clip_rate(path)
    # One frame more than the sound is long, so that a rate that does not divide finds a last one.
    return replace(job, start=Fraction(0), duration=seconds + 1 / fps, preset=preset)


def _motion_length(job: Job, seconds: Fraction | None) -> Fraction | None:
    """How long a built-in motion is performed: one that loops begins again by itself."""
    if seconds is None or job.driving is None:
        return None
    from dreamactor_cli.motion import load_motion

    motion = load_motion(job.driving)
    own = Fraction(motion.duration)
    return seconds if motion.loop or seconds <= own else own


def fit(motion: ControlStream, frames: int, fps: Fraction, preset: Preset) -> tuple[ControlStream, int]:
    """A motion as long as the sound, or the other way round.

    Args:
        motion: of the driver, at its own rate.
        frames: of the sound, at ``fps``.

    Returns:
        The motion, and the number of output frames.
    """
    own = max(1, round(motion.num_frames * fps / motion.fps))
    if own >= frames:
        return motion, own if preset.sound_ends == "rest" else frames
    if preset.motion_ends == "cut":
        return motion, own
    wanted = math.ceil(frames * motion.fps / fps) + 1
    return Folded(whole=motion, num_frames=wanted, rule=preset.motion_ends), frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A `ControlStream` that goes on when the one that it is made of has ended.

    Attributes:
        rule: ``"ping-pong"``, ``"loop"`` or ``"hold"``.
    """

    whole: ControlStream
    num_frames: int
    rule: str

    @property
    def fps(self) -> Fraction:
        """Of the whole."""
        return self.whole.fps

    @property
    def width(self) -> int:
        """Of the whole, px."""
        return self.whole.width

    @property
    def height(self) -> int:
        """Of the whole, px."""
        return self.whole.height

    @property
    def repeats(self) -> bool:
        """Whether frames come again, and not only the last one."""
        return self.rule != "hold"

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Frames of the whole that frames start..stop-1 show."""
        return folded(np.arange(start, stop), self.whole.num_frames, self.rule)

    def window(self, start: int, stop: int) -> Controls:
        """See `ControlStream`."""
        start, stop = max(start, 0), max(min(stop, self.num_frames), 0)
        parts = [
            take(self.whole.window(int(run.min()), int(run.max()) + 1), run - run.min()) for run in _runs(self.rows(start, stop))
        ]
        return _joined(parts) if parts else self.whole.window(0, 0)


def folded(frames: NDArray[np.int64], length: int, rule: str) -> NDArray[np.int64]:
    """Where frames lie in a clip that goes on by a rule after its end, (T,)."""
    if rule == "loop":
        return frames % length
    if rule == "ping-pong" and length > 1:
        place = frames % (2 * length - 2)
        return np.minimum(place, 2 * length - 2 - place)
    return np.minimum(frames, length - 1)


def _runs(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Stretches of rows without a jump, so that no window spans a whole clip."""
    jumps = np.flatnonzero(np.abs(np.diff(rows)) > 1) + 1
    return (run for run in np.split(rows, jumps) if len(run))


def _joined(parts: list[Controls]) -> Controls:
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, Signal] = {}
    for name, signal in parts[0].signals().items():
        arrays = {
            field: np.concatenate([part.signals()[name].arrays()[field] for part in parts]) if shape[0] == "T" else first
            for (field, shape), first in zip(signal.SHAPES.items(), signal.arrays().values(), strict=True)
        }
        joined[name] = replace(signal, **arrays)  # type: ignore[type-var]
    return replace(parts[0], num_frames=sum(part.num_frames for part in parts), **joined)  # type: ignore[arg-type]
