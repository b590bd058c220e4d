"""Pictures of what a model can do, drawn by the pipeline that users draw with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.models.conditions import Conditions, References
from dreamactor_cli.models.memory import Ladder
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.pose_encoder import RGB
from dreamactor_cli.models.sampling import Sampling
from dreamactor_cli.models.weights_folder import Index, Models
from dreamactor_cli.training.diffusion.clips import TrainingClip

_STEPS = 12  # of weights that gain from any number


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What to draw: whose pictures, moved by what.

    Attributes:
        references: (N, H, W, 3).
        reference_poses: (N, H, W, 6).
        poses: (T, H, W, 6).
        face: (T, 56).
    """

    references: U8
    reference_poses: U8
    poses: U8
    face: F32

    @classmethod
    def of(cls, clip: TrainingClip, references: int = 1) -> Ask:
        """The clip itself, from its first references."""
        return cls(
            references=clip.references[:references], reference_poses=clip.reference_poses[:references], poses=clip.poses,
            face=clip.face,
        )  # fmt: skip


def usual_sampling(index: Index, seed: int = 1) -> Sampling:
    """How weights draw best, by what their index says; without guidance."""
    return Sampling(
        steps=index.most_steps or _STEPS, shift=index.shift, guidance_reference=1.0, guidance_motion=1.0,
        segment_frames=index.frames, opening_noise=index.opening_noise, seed=seed, shifts=index.shifts,
    )  # fmt: skip


def draw(pipeline: DreamActorPipeline, ask: Ask, sampling: Sampling) -> U8:
    """Frames (T, H, W, 3)."""

    def conditions(start: int, stop: int) -> Conditions:
        return Conditions(poses=ask.poses[start:stop], face=ask.face[start:stop])

    references = References(images=ask.references, poses=ask.reference_poses)
    ladder = Ladder(lambda _: None, frames=sampling.segment_frames, can_offload=False)
    with torch.inference_mode():
        parts = list(pipeline.render(references, conditions, len(ask.poses), sampling, ladder))
    return np.concatenate(parts)


def sheet(models: Models, clips: list[TrainingClip], sampling: Sampling, columns: int = 5) -> U8:
    """A picture: a row a clip, each reference, then pairs of what should be and what the model draws."""
    device = str(next(models.transformer.parameters()).device)
    pipeline = DreamActorPipeline(models, device=device)
    rows = []
    for clip in clips:
        drawn = draw(pipeline, Ask.of(clip), sampling)
        shown = np.linspace(0, len(drawn) - 1, columns).round().astype(int)
        pairs = [np.concatenate([clip.frames[k], drawn[k]]) for k in shown]
        told = np.maximum(clip.reference_poses[0, ..., :RGB] // 2, clip.reference_poses[0, ..., RGB:])
        rows.append(np.concatenate([np.concatenate([clip.references[0], told]), *pairs], 1))
    return np.concatenate(rows)
