"""The gates of ``--qc``: what of a result can be measured, against what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import U8, Finding, Job, RenderResult
from dreamactor_cli.driving import Driver, load_driver
from dreamactor_cli.evaluation import gates
from dreamactor_cli.evaluation.clip import Clip, read_clip
from dreamactor_cli.evaluation.driver import DriverMotion, driver_motion
from dreamactor_cli.evaluation.faces import SeenFace, likeness, see_faces
from dreamactor_cli.media import is_video, load_image
from dreamactor_cli.retarget.framing import framed_size

LOST_LIMIT = 0.2  # share of the frames that were looked at
MOST_TURN = 50.0  # degrees; beyond it detectors lose real faces too
IDENTITY_LIMIT = 0.45  # one minus the correlation of the skin's detail; of 9 renders all lie below, of 72 swapped faces 68 above
GIF_TOP_RATE = 50  # frames a second that a GIF carries


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a job asked for, as far as it can be known without rendering."""

    frames: int
    fps: Fraction | None
    motion: DriverMotion | None
    sound: bool
    image: U8 | None


def check(job: Job, result: RenderResult, *, cache: Cache, workers: int | None = None) -> tuple[Finding, ...]:
    """Measure a finished output. Takes a fraction of the rendering: one pass over the output, faces on a dozen frames.

    A gate that does not apply is left out: identity needs a reference, frozen frames a driver whose motion is taken over,
    sound a file that has some, colour drift a background that stays. Of a video that was dubbed only the lengths are
    measured: it may cut, wander and go black as it likes.

    Args:
        cache: where the driver's signals already lie.
        workers: processes, should the driver have to be extracted first.

    Returns:
        What each gate found, passed or not.

    Raises:
        DreamActorError: the output, the driver or the reference cannot be read.
    """
    dubbed = bool(job.references) and is_video(job.references[0])
    image = load_image(job.references[0]).rgb if job.references and not dubbed else None
    clip = read_clip(result.output, aspect=_aspect(job, image))
    asked = _asked(job, result, clip, image, cache, workers)
    fps = clip.fps or asked.fps
    found: list[Finding | None] = []
    if asked.frames:
        found.append(gates.frame_count(clip.lengths.pictures if clip.lengths else clip.num_frames, asked.frames))
    if clip.lengths is not None and clip.lengths.video is not None:
        found.append(gates.av_length(clip.lengths.video, clip.lengths.audio, sound_expected=asked.sound))
    if dubbed:
        return tuple(finding for finding in found if finding is not None)
    if asked.motion is not None and fps is not None:
        found.append(gates.frozen_frames(clip.spark, fps, asked.motion))
    found.append(gates.black_frames(clip.light, None if image is None else float(np.percentile(image.max(2), 99))))
    found += _of_faces(clip, asked)
    if job.preset.background != "driving" and not job.preset.relight:
        found.append(gates.colour_drift(clip.colour))
    segment = None if job.preset.renderer == "geometry" else job.preset.segment_frames
    found.append(gates.seam_jumps(clip.change, asked.motion, segment))
    return tuple(finding for finding in found if finding is not None)


def _aspect(job: Job, image: U8 | None) -> float | None:
    """Width by height of the result's panel where reference and driver stand beside it."""
    if not job.side_by_side or image is None:
        return None
    width, height = framed_size(job.preset.size, image.shape[1], image.shape[0])
    return width / height


def _asked(job: Job, result: RenderResult, clip: Clip, image: U8 | None, cache: Cache, workers: int | None) -> _Asked:
    driver = load_driver(job, signals=("face", "head"), cache=cache, workers=workers) if job.driving else None
    if driver is None:
        return _Asked(frames=result.frames, fps=None, motion=None, sound=job.audio is not None and _carries(job), image=image)
    fps = driver.controls.fps if job.preset.fps == "source" else Fraction(job.preset.fps)
    frames = result.frames or max(round(driver.controls.num_frames * fps / driver.controls.fps), 1)
    motion = driver_motion(driver.controls, job.preset, clip.fps or fps, clip.num_frames)
    if job.output.suffix.lower() == ".gif" and fps > GIF_TOP_RATE:
        frames = 0  # resampled by the encoder
    return _Asked(frames=frames, fps=fps, motion=motion, sound=_sounds(job, driver), image=image)


def _sounds(job: Job, driver: Driver) -> bool:
    has = job.audio is not None or (driver.video is not None and driver.video.audio_codec is not None)
    return has and _carries(job)


def _carries(job: Job) -> bool:
    return job.output.suffix.lower() in (".mp4", ".mov", ".webm")


def _of_faces(clip: Clip, asked: _Asked) -> list[Finding | None]:
    """The gates that look for faces; none where the reference's own face is not found, as in some drawings."""
    references = see_faces([(0, asked.image)]) if asked.image is not None else []
    if asked.image is not None and not references:
        return []
    faces = see_faces(clip.faces)
    return [_person_lost(clip, faces, asked.motion), _identity(references[0], faces) if references and faces else None]


def _person_lost(clip: Clip, faces: list[SeenFace], motion: DriverMotion | None) -> Finding | None:
    """In how many of the frames in which the driver shows a face the output shows none."""
    frames = [number for number, _ in clip.faces]
    if motion is not None:
        frames = [f for f in frames if motion.seen[f] and motion.turn[f] < MOST_TURN]
    if not frames:
        return None
    seen = {face.frame for face in faces}
    lost = [frame for frame in frames if frame not in seen]
    share = len(lost) / len(frames)
    first = f"the first is frame {lost[0]}" if lost else ""
    said = f"no face is found in {len(lost)} of {len(frames)} frames, {first}; see whether the head leaves the picture"
    return Finding(
        gate="person-lost", passed=share <= LOST_LIMIT, value=round(share, 3), limit=LOST_LIMIT, unit="share",
        message=said if share > LOST_LIMIT else "",
    )  # fmt: skip


def _identity(reference: SeenFace, faces: list[SeenFace]) -> Finding:
    """How far the face gets from the reference's, at the worst fifth of the frames.

    The measure is what can be had without the weights of a face recogniser: the skin of both faces is brought into one
    layout by their meshes, and the correlation of its brightness is taken, without what is finer than pores and coarser
    than a cheek. It holds for the same picture moved, which is what the geometry renderer makes, and for a face that a
    network drew again closely. It cannot tell two pictures of one person from two people: other light, make-up or age
    count as another face, and so does a mesh that lies wrong; and a different face with the very same shading passes.
    Proportions were measured too and left out: they differ by 0.03 to 0.11 of the eye distance between people, and by up
    to 0.07 between one person's expressions, because the mesh makes all faces alike.
    """
    worst = float(np.percentile([1 - likeness(reference, face) for face in faces], 80))
    passed = worst <= IDENTITY_LIMIT
    said = (
        ""
        if passed
        else "the face no longer looks like the picture's; try --motion relative, a calmer driver, or another picture"
    )
    return Finding(gate="identity-drift", passed=passed, value=round(worst, 3), limit=IDENTITY_LIMIT, unit="", message=said)
