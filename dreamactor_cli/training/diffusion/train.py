"""The whole training of the diffusion renderer: stages, checkpoints, samples while it learns, and a folder of weights."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch

from dreamactor_cli.atomic import write_errors
from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.sampling import Sampling
from dreamactor_cli.models.timeline import frames_of
from dreamactor_cli.models.weights_folder import Index, Models
from dreamactor_cli.training.diffusion.batches import Batches, Recipe
from dreamactor_cli.training.diffusion.card import card_of
from dreamactor_cli.training.diffusion.clips import TrainingClip
from dreamactor_cli.training.diffusion.evaluate import compare
from dreamactor_cli.training.diffusion.latents import LatentStore
from dreamactor_cli.training.diffusion.network import DiffusionNetwork
from dreamactor_cli.training.diffusion.pool import Pool
from dreamactor_cli.training.diffusion.samples import sheet
from dreamactor_cli.training.diffusion.sources import CLIPS_A_PERSON, Source, SyntheticPeople, shown_of
from dreamactor_cli.training.diffusion.stages import STAGES, Stage, count_parameters, enter, stage_of
from dreamactor_cli.training.loop.fit import Plan, Progress, fit, is_first_process
from dreamactor_cli.training.loop.log import TrainingLog

Say = Callable[[str], None]

WEIGHTS = "weights"  # folder below that of the run
_SAMPLED = 4  # clips in a picture of samples
_COMPARED = 16  # clips that are drawn with right and wrong controls; three in a row are of one person
_SAMPLE_STEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffusionRun:
    """What to train.

    Attributes:
        name: of the config.
        learned: clips to learn from.
        shown: clips that are never learned from, to draw samples of.
        clips: folder of the clips that are made.
        stages: names of `stages.STAGES` in their order.
        recipe: of the batches.
        plan: of each stage; its steps are those of all stages together.
        workers: processes that make clips.
        sample_every, say_every: steps.
        checkpointing: compute features twice to save memory.
        compiled: let `torch.compile` translate the blocks: minutes at first, a fifth less for every step.
        by_pixels: channels of the latent count by what they change in a picture. The half of them that carries fine texture
            cannot be foreseen, and takes from a model that learns for an hour what it has for the rest.
        most_steps, most_guidance, shifts: of drawing with the weights, see `weights_folder.Index`.
        begun: with what training begins, see `card.card_of`.
        about: what else the weights shall tell of how they were made.
    """

    name: str
    learned: Source
    shown: Source
    clips: Path
    stages: tuple[str, ...]
    recipe: Recipe
    plan: Plan
    size: int
    workers: int = 1
    sample_every: int = 500
    say_every: int = 50
    checkpointing: bool = False
    compiled: bool = False
    by_pixels: bool = False
    most_steps: int = 0
    most_guidance: float = 0.0
    shifts: int = 1
    begun: str = "nothing"
    about: dict[str, Any]


def train_diffusion(folder: Path, run: DiffusionRun, models: Models, begun_with: str, say: Say) -> Path:
    """Train in stages and write ``folder/weights``; goes on where an earlier run of the same kind stopped.

    Args:
        models: what to begin with; trained in place.
        begun_with: what identifies these.

    Returns:
        The folder of weights.

    Raises:
        Stopped: by a signal; the checkpoint is written.
        OutOfMemory, JobFailed, DiskFull, UsageError, WorkerLost: see `loop.fit` and `pool.Pool`.
    """
    network = _network(run, models)
    vae = models.vae.to(run.plan.device).eval().requires_grad_(False)
    with Pool(run.learned, run.clips, workers=run.workers) as pool:
        pool.start()
        shown = _shown(run)
        key = begun_with
        before, figures = 0, dict[str, float]()
        for stage, steps in _shares(run):
            enter(stage, network)
            learns, all_ = count_parameters(network)
            say(f"stage {stage.name}: {steps} steps, {learns:,} of {all_:,} parameters learn")
            key = _key(run, stage, key, pool)
            batches = Batches(pool, LatentStore(vae, _hash(models.vae)), run.recipe, steps)
            plan = replace(run.plan, steps=steps, seed=run.plan.seed + list(STAGES).index(stage.name))
            path = folder / "work" / f"{stage.name}.safetensors"
            told = _Telling(folder, run, stage, before, models, shown, say)
            with TrainingLog(folder, enabled=is_first_process()) as log:
                for at in fit(network, batches, plan, path, key, say):
                    told(at, log)
            before, figures = before + steps, told.figures or figures
    network.requires_grad_(True)
    view, bodies = shown_of(run.learned)
    index = Index(
        config=run.name, size=run.size, view=view, bodies=bodies, frames=frames_of(run.recipe.latents),
        shift=run.recipe.shift, most_steps=run.most_steps, most_guidance=run.most_guidance,
        shifts=run.shifts, opening_noise=run.recipe.opening_noise / 2, inputs=("face",),
        about=run.about | {"steps": run.plan.steps, "batch": run.recipe.batch, "seed": run.plan.seed, "data": run.learned.key},
    )  # fmt: skip
    if is_first_process():
        card = card_of(index, models, figures, begun=run.begun, synthetic=isinstance(run.learned, SyntheticPeople))
        weights_folder.save(folder / WEIGHTS, models, index, dtype=torch.float16, card=card)
    return folder / WEIGHTS


class _Telling:
    """Says, logs and shows how a stage goes.

    Attributes:
        figures: of the last pictures of samples, by name; empty before them.
    """

    def __init__(
        self, folder: Path, run: DiffusionRun, stage: Stage, before: int, models: Models, shown: Sequence[TrainingClip], say: Say
    ) -> None:
        self._folder, self._run, self._stage, self._before = folder, run, stage, before
        self._models, self._shown, self._say = models, shown, say
        self._began, self._mean = time.monotonic(), 0.0
        self.figures: dict[str, float] = {}

    def __call__(self, at: Progress, log: TrainingLog) -> None:
        """After a step."""
        if not at.main:
            return
        loss = at.losses["loss"]
        self._mean = loss if not self._mean else 0.98 * self._mean + 0.02 * loss
        step = self._before + at.step
        log.numbers(step, at.losses)
        if at.step % self._run.say_every == 0:
            self._say(f"step {step}: loss {self._mean:.4f}, {time.monotonic() - self._began:.0f} s")
        last = step == sum(steps for _, steps in _shares(self._run))  # the card tells what its picture shows
        if (last or at.step % self._run.sample_every == 0) and self._shown:
            with at.mean.in_place():
                picture, self.figures = self._draw()
            self._models.transformer.train()
            path = self._folder / "samples" / f"step-{step:06d}.png"
            with write_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), picture[..., ::-1])
            log.picture(step, "samples", picture)
            self._say(f"step {step}: never seen, dB: " + ", ".join(f"{name} {value:.2f}" for name, value in self.figures.items()))

    def _draw(self) -> tuple[Any, dict[str, float]]:
        sampling = Sampling(
            steps=_SAMPLE_STEPS, shift=self._run.recipe.shift, guidance_reference=1.0, guidance_motion=1.0,
            segment_frames=frames_of(self._run.recipe.latents), opening_noise=self._run.recipe.opening_noise / 2,
            seed=self._run.plan.seed,
        )  # fmt: skip
        pipeline = DreamActorPipeline(self._models, device=self._run.plan.device)
        figures, _ = compare(pipeline, self._shown[::CLIPS_A_PERSON] or self._shown, sampling)
        return sheet(self._models, list(self._shown[:_SAMPLED]), sampling), figures


def _network(run: DiffusionRun, models: Models) -> DiffusionNetwork:
    transformer, pose_encoder, face_motion = models.transformer, models.pose_encoder, models.face_motion
    weights = _pixel_weights(models.vae) if run.by_pixels else None
    network = DiffusionNetwork(transformer, pose_encoder, face_motion, channel_weights=weights).to(torch.float32)
    if run.checkpointing:
        transformer.enable_gradient_checkpointing()
    if run.compiled:
        transformer.compile_repeated_blocks(dynamic=True)
    return network.to(run.plan.device)


def _pixel_weights(vae: Any) -> torch.Tensor:
    """How much an error of each latent channel is in pixels, (C,), 1 on average, by a decoder that keeps lengths.

    A latent is divided by ``latents_std`` before the transformer sees it.
    """
    squares = torch.tensor(vae.config.latents_std).square()
    return squares / squares.mean()


def _shown(run: DiffusionRun) -> list[TrainingClip]:
    """Clips for the pictures of samples."""
    with Pool(run.shown, run.clips, workers=0, clips_a_shard=_COMPARED) as pool:
        shard = pool.shard(0)
        return [shard.clip(row) for row in range(min(_COMPARED, len(shard)))]


def _shares(run: DiffusionRun) -> list[tuple[Stage, int]]:
    """The steps of each stage."""
    stages = [stage_of(name) for name in run.stages]
    total = sum(stage.share for stage in stages)
    return [(stage, max(1, round(run.plan.steps * stage.share / total))) for stage in stages]


def _key(run: DiffusionRun, stage: Stage, before: str, pool: Pool) -> str:
    parts = [run.name, asdict(stage), before, asdict(run.recipe), asdict(replace(run.plan, steps=0, device="")), pool.key]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _hash(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
    known = {name: value for name, value in module.config.items() if not name.startswith("_")}  # not where it lay
    digest.update(json.dumps(known, default=str, sort_keys=True).encode())
    return digest.hexdigest()
