"""One job, from files to a file: reference and controls -> retarget -> renderer -> encoder -> sidecar."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import count
from typing import Any

from dreamactor_cli import compose, dubbing, provenance, sidecar
from dreamactor_cli.cache import Cache
from dreamactor_cli.captions import BURN, Captions
from dreamactor_cli.contracts import (
    U8,
    Controls,
    ControlStream,
    Job,
    Reference,
    Renderer,
    RendererSpec,
    RenderResult,
    RenderSettings,
)
from dreamactor_cli.driving import Driver, load_driver
from dreamactor_cli.errors import UsageError
from dreamactor_cli.kept import Kept
from dreamactor_cli.media import AudioSource, VideoWriter
from dreamactor_cli.readying import Readying
from dreamactor_cli.reference import LoadedReference
from dreamactor_cli.renderers.needs import check_needs, weights_sha256
from dreamactor_cli.retarget.figure import moves_figure, shows_hands
from dreamactor_cli.retarget.regions import moves_hands
from dreamactor_cli.retarget.transfer import RetargetedStream
from dreamactor_cli.scene import DrivingScene
from dreamactor_cli.speaking import Speaker, load_speaker
from dreamactor_cli.speech_face.stream import SpeakingStream

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a job may use of a machine. No byte of the output depends on it.

    Attributes:
        device: as in `RenderSettings`.
        workers: processes for extraction; None is one a core.
        threads, memory: as in `RenderSettings`.
        kept: renderer and references of the jobs before; None loads them for this job alone.
    """

    device: str = "cpu"
    workers: int | None = None
    threads: int | None = None
    memory: int = 0
    kept: Kept | None = None


def run_job(
    job: Job, *, cache: Cache, on_progress: Progress | None = None, workers: int | None = None, means: Means | None = None
) -> RenderResult:
    """Render one job.

    Args:
        on_progress: called with the stage (``extract`` or ``render``), what is done and the total, in frames.
        workers: processes for extraction; None is one a core.
        means: in place of ``workers``, all that a worker of a pool is told.

    Returns:
        The result; its status is ``skipped`` if the output is already there with this fingerprint.

    Raises:
        DreamActorError: whatever went wrong; nothing half-written stays.
    """
    tell = on_progress or (lambda stage, done, total: None)
    means = means or Means(workers=workers)
    clock = _Clock()
    with ExitStack() as stack:
        kept = means.kept or stack.enter_context(closing(Kept()))
        renderer = kept.renderer(job.preset.renderer)
        check_needs(job.preset, renderer)
        description = sidecar.describe(job, renderer.spec, weights_sha256(job.preset, renderer))
        done = already_there(job, sidecar.fingerprint(description))
        if done is not None:
            return done
        check_output(job)
        if dubbing.is_dub(job):
            return _dubbed(job, description, cache, clock, tell, means)
        loaded, driver = _inputs(job, description["references"], renderer, kept, cache, clock, tell, means)
        with clock("render"):
            tags = provenance.container_tags(description)
            frames, warnings = _render(job, renderer, loaded.reference, driver, tags, tell, means)
        provenance.sign_output(job, description)
    result = RenderResult(
        id=job.id, status="ok", output=job.output, sha256=sidecar.output_sha256(job.output), frames=frames,
        seconds=clock.seconds, cache_hits=loaded.cache_hits + driver.cache_hits, device=means.device,
        warnings=(*loaded.warnings, *driver.warnings, *_unheard(job, driver), *warnings, *_damage(cache)),
    )  # fmt: skip
    sidecar.write_sidecar(job, description, result)
    return result


def already_there(job: Job, wanted: str) -> RenderResult | None:
    """The result of an earlier run of this very job; None if there is no output yet.

    Raises:
        UsageError: another output is there and may not be overwritten, or the output is an input.
    """
    if not (job.output.is_file() or sidecar.sequence_files(job.output)):
        return None
    if job.output.is_file() and any(job.output.samefile(path) for path in sidecar.input_files(job)):
        raise UsageError(f"{job.output} is an input of this job", "choose another name with -o")
    if job.overwrite:
        return None
    sha256 = sidecar.done_sha256(job.output, wanted)
    if sha256:
        return RenderResult(id=job.id, status="skipped", output=job.output, sha256=sha256)
    raise UsageError(f"{job.output} is already there", "choose another name with -o, or allow it with --overwrite")


def check_output(job: Job) -> None:
    """Refuse a form of output that cannot be written now, and not when the work is done."""
    alpha = job.preset.background == "transparent" and not job.side_by_side
    VideoWriter(job.output, width=1, height=1, fps=Fraction(1), crf=job.preset.crf, alpha=alpha)
    provenance.check_credentials(job)


def needed_signals(job: Job, spec: RendererSpec) -> tuple[str, ...]:
    """Signals of the driver that this job needs; those that carry the driver's pixels only where they are asked for.

    Raises:
        UsageError: the renderer cannot put the person into the picture of this driver.
    """
    wants_pixels = job.preset.mouth == "driver" or job.preset.relight
    scene = spec.scene_needs if _is_in_scene(job, spec) else ()
    return tuple(dict.fromkeys((*spec.needs, *scene, *(("appearance",) if wants_pixels else ()))))


def _is_in_scene(job: Job, spec: RendererSpec) -> bool:
    """Whether the renderer itself puts the person into the driver's picture."""
    if job.preset.background != "driving" or not spec.scene_needs:
        return False
    if job.kind != "animate":
        raise UsageError(f"--background driving with the renderer {spec.name} is for `animate`", "choose another background")
    return True


def body_signals(job: Job, spec: RendererSpec, reference: Controls) -> tuple[str, ...]:
    """Signals of the driver that this job needs because its reference shows a body that is to move."""
    if not moves_figure(reference, job.preset.region):
        return ()
    fingers = moves_hands(job.preset.region) and shows_hands(reference)
    known = needed_signals(job, spec)
    return tuple(name for name in spec.body_needs if name not in known and (name != "hands" or fingers))


def _inputs(
    job: Job, sha256: Sequence[str], renderer: Renderer, kept: Kept, cache: Cache, clock: _Clock, tell: Progress, means: Means
) -> tuple[LoadedReference, Driver]:
    """Reference and driver, side by side; the driver is given up as soon as the reference turns out to be of no use."""

    def load() -> LoadedReference:
        with clock("reference"):
            loaded = kept.reference(job.references, sha256, size=job.preset.size, cache=cache, skeleton=job.skeleton)
        loaded.check(job.references, bodies=job.kind == "animate" and bool(renderer.spec.body_needs))
        return loaded

    def prepare(loaded: LoadedReference) -> None:
        with clock("reference"):
            renderer.prepare(loaded.reference, _settings(job, loaded.reference, means))

    def on_progress(done: int, total: int) -> None:
        readying.check()
        tell("extract", done, total)

    readying = Readying(load, prepare)
    # A process that goes on to other jobs hears them all itself.
    load_any = partial(load_speaker, apart=means.kept is None) if job.kind == "lipsync" else load_driver
    try:
        with clock("extract"):
            driver = load_any(
                job, signals=needed_signals(job, renderer.spec), cache=cache, workers=means.workers, on_progress=on_progress,
                more_signals=lambda: body_signals(job, renderer.spec, readying.loaded().reference.controls),
            )  # fmt: skip
        return readying.result(), driver
    except BaseException as error:
        # What is kept is not to be touched any more when the next job begins.
        readying.give_up(wholly=means.kept is not None and isinstance(error, Exception))
        raise


def _settings(job: Job, reference: Reference, means: Means) -> RenderSettings:
    """What the renderer needs to know."""
    height, width = reference.images.shape[1:3]
    return RenderSettings(
        width=width, height=height, preset=job.preset, seed=job.seed, alpha=compose.needs_alpha(job.preset.background),
        device=means.device, threads=means.threads, memory=means.memory,
    )  # fmt: skip


def _render(
    job: Job, renderer: Renderer, reference: Reference, driver: Driver, metadata: Mapping[str, str], tell: Progress, means: Means
) -> tuple[int, tuple[str, ...]]:
    """Draw and encode all frames; how many there were, and what the encoder has to say."""
    controls = _controls(job, reference, driver)
    tell, told = _ever_further(tell), dict[str, None]()
    settings = _settings(job, reference, means)
    if _is_in_scene(job, renderer.spec):
        scene = DrivingScene(driver, controls.fps, settings.width, settings.height)
        settings = replace(settings, scene=scene, alpha=False)
    settings = replace(
        settings, warn=lambda text: told.update({text: None}),
        on_progress=lambda done, total: tell("render", done, total),
    )  # fmt: skip
    frames = _frames(job, renderer, reference, controls, driver, settings)
    encoded = _encode(job, frames, controls.num_frames, controls.fps, _sound(driver), metadata, tell, _captions(driver))
    return controls.num_frames, (*controls.notices, *told, *encoded)


def _ever_further(tell: Progress) -> Progress:
    """Progress that never goes back: a renderer counts the frames of a segment before they come out."""
    furthest = 0

    def on_progress(stage: str, done: int, total: int) -> None:
        nonlocal furthest
        furthest = max(furthest, done)
        tell(stage, furthest, total)

    return on_progress


def _encode(
    job: Job, frames: Generator[U8, None, None], total: int, fps: Fraction, sound: AudioSource | None,
    metadata: Mapping[str, str], tell: Progress, captions: Captions | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """Write frames as they come, and what is said in them; what there is to tell of it."""
    if captions is not None and captions.form == BURN:
        frames = captions.burned(frames, fps)
    tell("render", 0, total)  # the first frame of the first run waits for kernels to be compiled
    first = next(frames)
    writer = VideoWriter(
        job.output, width=first.shape[1], height=first.shape[0], fps=fps, crf=job.preset.crf, alpha=first.shape[2] == 4,
        audio=sound, metadata=metadata, overwrite=True,
    )  # fmt: skip
    with closing(frames), writer:
        writer.write(first)
        for index in count(1):
            tell("render", index, total)
            frame = next(frames, None)
            if frame is None:
                break
            writer.write(frame)
    if captions is None:
        return writer.warnings
    captions.write(job.output)
    return (*writer.warnings, captions.told(job.output))


def _dubbed(job: Job, description: Mapping[str, Any], cache: Cache, clock: _Clock, tell: Progress, means: Means) -> RenderResult:
    """A job whose source is a video: all of it stays but the mouth."""
    with clock("extract"):
        dub = dubbing.load_dub(
            job, cache=cache, workers=means.workers, on_progress=lambda done, total: tell("extract", done, total)
        )
    with clock("render"):
        tags = provenance.container_tags(description)
        warnings = _encode(job, dub.frames(), dub.num_frames, dub.fps, dub.sound, tags, tell, dub.captions)
    provenance.sign_output(job, description)
    result = RenderResult(
        id=job.id, status="ok", output=job.output, sha256=sidecar.output_sha256(job.output), frames=dub.num_frames,
        seconds=clock.seconds, cache_hits=dub.cache_hits, device=means.device,
        warnings=(*dub.warnings, *warnings, *_damage(cache)),
    )  # fmt: skip
    sidecar.write_sidecar(job, description, result)
    return result


def _controls(job: Job, reference: Reference, driver: Driver) -> RetargetedStream | SpeakingStream:
    """What the renderer draws, in the reference's space."""
    if isinstance(driver, Speaker):
        return driver.speak(reference.controls)
    fps = driver.controls.fps if job.preset.fps == "source" else Fraction(job.preset.fps)
    return RetargetedStream(reference.controls, driver.controls, job.preset, fps)


def _frames(
    job: Job, renderer: Renderer, reference: Reference, controls: ControlStream, driver: Driver, settings: RenderSettings
) -> Generator[U8, None, None]:
    """Finished frames, (H, W, 3) or (H, W, 4), one by one."""
    background = job.preset.background if settings.scene is None else "keep"
    under = compose.backgrounds(background, driver, controls.fps, settings.width, settings.height)
    left = compose.driving_frames(driver, controls.fps) if job.side_by_side and driver.video is not None else None
    for block in renderer.render(reference, controls, settings):
        for drawn in block:
            frame = compose.lay_over(drawn, next(under)) if under is not None else drawn
            if job.side_by_side:
                panels = [reference.images[0], *([next(left)] if left is not None else []), frame[..., :3]]
                frame = compose.beside(panels)
            yield frame


def _sound(driver: Driver) -> AudioSource | None:
    """The driver's sound, if it has any."""
    if isinstance(driver, Speaker):
        return driver.sound
    if driver.video is None or driver.video.audio_codec is None:
        return None
    start = Fraction(driver.first_frame) / driver.video.fps
    return AudioSource(driver.video.path, start=start, duration=driver.controls.num_frames / driver.controls.fps)


def _captions(driver: Driver) -> Captions | None:
    return driver.captions if isinstance(driver, Speaker) else None


def _unheard(job: Job, driver: Driver) -> tuple[str, ...]:
    """Options that this driver cannot serve."""
    if (job.preset.mouth == "driver" or job.preset.relight) and driver.controls.window(0, 1).appearance is None:
        return ("--mouth driver and --relight need a video as driver; this one has no pixels",)
    return ()


def _damage(cache: Cache) -> tuple[str, ...]:
    """What was found damaged in the cache, and made again."""
    count_ = len(cache.damaged)
    return (f"{count_} damaged cache entries were found and made again",) if count_ else ()


class _Clock:
    """Seconds spent in each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began
