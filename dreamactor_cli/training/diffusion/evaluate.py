"""How well weights do what they are told, on people that were never learned from.

PSNR is in dB over all pixels of all clips. What a network sees of the outputs is measured by our own extractors, on the truth
too: then what an extractor gets wrong at a small size counts for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from dreamactor_cli import head_space
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import F32, U8, Controls
from dreamactor_cli.controls.extract import extract_controls
from dreamactor_cli.errors import NoPersonFound
from dreamactor_cli.media import VideoWriter
from dreamactor_cli.models import video_vae
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.sampling import Sampling
from dreamactor_cli.training.diffusion.clips import TrainingClip, with_expression, yaw_of
from dreamactor_cli.training.diffusion.samples import Ask, draw

_LOOK = 256  # px a side that outputs are enlarged to before extractors look at them
_FPS = Fraction(12)
_TURNED = np.deg2rad(45)
_UPPER, _LOWER = head_space.INNER_LIPS[5], head_space.INNER_LIPS[15]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured; NaN where nothing could be.

    Attributes:
        frame, face: PSNR of the outputs, dB, over all and over faces.
        expression_gap: PSNR in faces with the right expression, less that with another clip's.
        pose_gap: PSNR of frames with the right pose, less that with another clip's.
        over_copy_frame, over_copy_face: PSNR less that of the reference as it is.
        face_found: share of frames in which a face is found, of those in whose truth one is.
        mouth_r: correlation of the opening of the mouth with that of the truth.
        yaw_error: mean, degrees.
        pck: share of joints within half a head's diameter of the truth's.
        three_references: PSNR on frames turned beyond 45 degrees with three references, less that with one.
        seam: mean change from frame to frame at the seams of segments, over that inside of segments, as a multiple of what it is
            in the truth, where people happen to move more at some times than at others.
        seam_noise: twice the standard error of that (jackknife over clips).
        seam_of_vae: the same of the truth as the VAE gives it back, which knows no segments.
    """

    frame: float
    face: float
    expression_gap: float
    pose_gap: float
    over_copy_frame: float
    over_copy_face: float
    face_found: float
    mouth_r: float
    yaw_error: float
    pck: float
    three_references: float
    seam: float
    seam_noise: float
    seam_of_vae: float

    def rounded(self) -> dict[str, float]:
        """For a table or a file."""
        return {name: round(float(value), 3) for name, value in asdict(self).items()}


def evaluate(
    pipeline: DreamActorPipeline, clips: Sequence[TrainingClip], sampling: Sampling, work: Path, say: Callable[[str], None]
) -> Figures:
    """Draw held-out clips in several ways and compare.

    Args:
        clips: at least two, with three references for `Figures.three_references`.
        work: folder for what the extractors look at.
    """
    contrast, right = compare(pipeline, clips, sampling)
    say("drawn with right and wrong controls")
    found = _look_at(clips, right, work)
    say("looked at by the extractors")
    kept = [video_vae.round_trip(pipeline.models.vae, clip.frames) for clip in clips]
    truth, segment = [clip.frames for clip in clips], sampling.segment_frames
    seam, noise = seam_of(right, truth, segment)
    return Figures(
        **contrast, **found, three_references=_three_references(pipeline, clips, right, sampling),
        seam=seam, seam_noise=noise, seam_of_vae=seam_of(kept, truth, segment)[0],
    )  # fmt: skip


def compare(pipeline: DreamActorPipeline, clips: Sequence[TrainingClip], sampling: Sampling) -> tuple[dict[str, float], list[U8]]:
    """Draw clips as they are and with another clip's expression and pose.

    What is drawn of the face is the clip's own head in its own pose with the other expression, or the other's head with this one.

    Returns:
        The first six of `Figures` by name, and the frames with the right controls.
    """
    others = [*clips[1:], clips[0]]
    right, faces, poses = (
        [draw(pipeline, ask, sampling) for ask in asks]
        for asks in (
            [Ask.of(clip) for clip in clips],
            [
                replace(Ask.of(clip), face=other.face, poses=with_expression(clip, other))
                for clip, other in zip(clips, others, strict=True)
            ],
            [replace(Ask.of(clip), poses=with_expression(other, clip)) for clip, other in zip(clips, others, strict=True)],
        )
    )
    copies = [np.broadcast_to(clip.references[0], clip.frames.shape) for clip in clips]
    frame, face = psnr(clips, right), psnr(clips, right, faces=True)
    return {
        "frame": frame, "face": face, "expression_gap": face - psnr(clips, faces, faces=True),
        "pose_gap": frame - psnr(clips, poses), "over_copy_frame": frame - psnr(clips, copies),
        "over_copy_face": face - psnr(clips, copies, faces=True),
    }, right  # fmt: skip


Where = Callable[[TrainingClip], np.ndarray]  # pixels that count, (T, H, W) bool


def psnr(clips: Sequence[TrainingClip], drawn: Sequence[U8], *, faces: bool = False) -> float:
    """PSNR in dB of what was drawn of clips, over all pixels or over those of faces; NaN if there are none."""
    return _psnr(clips, drawn, _in_face if faces else _everywhere)


def _everywhere(clip: TrainingClip) -> np.ndarray:
    return np.ones(clip.weights.shape, bool)


def _in_face(clip: TrainingClip) -> np.ndarray:
    return clip.weights > 0


def _turned(clip: TrainingClip) -> np.ndarray:
    return np.broadcast_to((np.abs(clip.yaw) > _TURNED)[:, None, None], clip.weights.shape)


def _psnr(clips: Sequence[TrainingClip], drawn: Sequence[U8], where: Where) -> float:
    """PSNR in dB over the pixels that count, of all clips together; NaN if none does."""
    total, count = 0.0, 0
    for clip, frames in zip(clips, drawn, strict=True):
        counted = where(clip)
        squared = np.square(frames.astype(np.float32) - clip.frames).mean(-1)
        total, count = total + float(squared[counted].sum()), count + int(counted.sum())
    return float(10 * np.log10(255**2 / max(total / count, 1e-9))) if count else float("nan")


def _three_references(
    pipeline: DreamActorPipeline, clips: Sequence[TrainingClip], one: Sequence[U8], sampling: Sampling
) -> float:  # fmt: skip
    chosen = [k for k, clip in enumerate(clips) if _turned(clip).any() and len(clip.references) >= 3]
    turned = [clips[k] for k in chosen]
    three = [draw(pipeline, Ask.of(clip, 3), sampling) for clip in turned]
    return _psnr(turned, three, _turned) - _psnr(turned, [one[k] for k in chosen], _turned)


def seam_of(drawn: Sequence[U8], truth: Sequence[U8], segment: int) -> tuple[float, float]:
    """`Figures.seam` and its noise; NaN where clips are one segment.

    Args:
        drawn, truth: clips (T, H, W, 3), each as long as its truth.
        segment: frames of a segment.
    """
    changes = np.stack([[_changes(frames, segment) for frames in side] for side in (drawn, truth)])  # (2, clips, 2)
    count = changes.shape[1]

    def ratio(kept: np.ndarray) -> float:
        (seam, inside), (true_seam, true_inside) = changes[:, kept].mean(1)
        return float(seam / inside / (true_seam / true_inside))

    every = np.arange(count)
    without = np.array([ratio(every != number) for number in every]) if count > 1 else np.full(1, np.nan)
    return ratio(every >= 0), float(2 * np.sqrt((count - 1) / count * np.square(without - without.mean()).sum()))


def _changes(frames: U8, segment: int) -> tuple[float, float]:
    """Mean change from frame to frame at the seams of segments, and inside of them; NaN where there is none."""
    change = np.abs(np.diff(frames.astype(np.float32), axis=0)).mean((1, 2, 3))
    number = np.arange(1, len(frames))  # the second of each two
    seams = (number > 1) & ((number - 1) % (segment - 1) == 0)
    at, inside = change[seams], change[~seams]
    return (float(at.mean()), float(inside.mean())) if at.size and inside.size else (float("nan"), float("nan"))


def _look_at(clips: Sequence[TrainingClip], drawn: Sequence[U8], work: Path) -> dict[str, float]:
    """What the extractors see in outputs and in their truth."""
    found, wanted, mouths, yaws, near = 0, 0, [], [], []
    for number, (clip, frames) in enumerate(zip(clips, drawn, strict=True)):
        truth, seen = (
            _measure(pictures, work / f"{number}-{name}.mp4") for name, pictures in (("t", clip.frames), ("o", frames))
        )
        if truth is None or truth.face is None:
            continue
        there = truth.face.score > 0
        wanted += int(there.sum())
        if seen is None or seen.face is None:
            continue
        both = there & (seen.face.score > 0)
        found += int(both.sum())
        mouths.append(np.stack([_opening(truth)[both], _opening(seen)[both]]))
        yaws.append(np.abs(yaw_of(seen.head, len(both)) - clip.yaw)[both])
        near.append(_near(truth, seen))
    opening = np.concatenate(mouths, 1) if mouths else np.zeros((2, 0))
    return {
        "face_found": found / wanted if wanted else float("nan"),
        "mouth_r": float(np.corrcoef(opening)[0, 1]) if opening.shape[1] > 2 else float("nan"),
        "yaw_error": float(np.rad2deg(np.concatenate(yaws).mean())) if opening.shape[1] else float("nan"),
        "pck": float(np.concatenate(near).mean()) if near else float("nan"),
    }


def _measure(frames: U8, path: Path) -> Controls | None:
    """What the extractors find in frames that are enlarged; None where they find nobody."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=_LOOK, height=_LOOK, fps=_FPS, crf=0, overwrite=True) as writer:
        for frame in frames:
            writer.write(cv2.resize(frame, (_LOOK, _LOOK), interpolation=cv2.INTER_CUBIC))
    try:
        stream = extract_controls(path, signals=("face", "head", "body"), cache=Cache(path.parent / "cache"), workers=1).stream
    except NoPersonFound:
        return None
    return stream.window(0, stream.num_frames)


def _opening(controls: Controls) -> F32:
    """Distance between the lips in eye distances, (T,)."""
    assert controls.face is not None
    points = controls.face.landmarks[..., :2]
    eyes = [points[:, list(rows)].mean(1) for rows in (head_space.EYE_LEFT, head_space.EYE_RIGHT)]
    apart = np.maximum(np.linalg.norm(eyes[0] - eyes[1], axis=-1), 1e-3)
    opening: F32 = np.linalg.norm(points[:, _UPPER] - points[:, _LOWER], axis=-1) / apart
    return opening


def _near(truth: Controls, seen: Controls) -> np.ndarray:
    """Of each joint that is seen in the truth's picture, whether it is near, (n,) bool."""
    if truth.body is None or truth.head is None:
        return np.zeros(0, bool)
    inside = ((truth.body.joints_2d >= 0) & (truth.body.joints_2d < _LOOK)).all(-1) & (truth.body.score > 0.5)
    if seen.body is None:
        return np.zeros(int(inside.sum()), bool)
    distance = np.linalg.norm(truth.body.joints_2d - seen.body.joints_2d, axis=-1)
    near = (distance < truth.head.radius[:, None]) & (seen.body.score > 0)
    return near[inside]
