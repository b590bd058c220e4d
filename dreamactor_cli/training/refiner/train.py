"""The whole training of a refiner: weights draw clips, a small network learns what their frames lack, and joins the weights."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.refiner import FrameRefiner
from dreamactor_cli.models.weights_folder import Index, Models
from dreamactor_cli.training.diffusion.card import card_of
from dreamactor_cli.training.diffusion.evaluate import psnr
from dreamactor_cli.training.diffusion.pool import Pool
from dreamactor_cli.training.diffusion.samples import Ask, draw, usual_sampling
from dreamactor_cli.training.diffusion.sources import Source, SyntheticPeople
from dreamactor_cli.training.diffusion.train import WEIGHTS
from dreamactor_cli.training.loop.fit import Plan, fit, is_first_process
from dreamactor_cli.training.loop.log import TrainingLog
from dreamactor_cli.training.pixel_loss import pixel_loss
from dreamactor_cli.training.refiner.drawn import DrawnStore

Say = Callable[[str], None]

_SAY_EVERY = 100  # steps
_JUDGED = 16  # clips


@dataclass(frozen=True, slots=True, kw_only=True)
class RefinerRun:
    """What to train a refiner on, and for how long.

    Attributes:
        learned: clips whose drawings are learned from; best of people that the weights did not learn from, too.
        judged: clips of people that neither saw.
        clips: folder of the clips that are made.
        batch: frames a step and process.
        config: arguments of `FrameRefiner`; what is left out is its default.
        workers: processes that make clips.
    """

    learned: Source
    judged: Source
    clips: Path
    plan: Plan
    batch: int
    config: dict[str, Any] = field(default_factory=dict)
    workers: int = 1


class RefinerFigures(NamedTuple):
    """PSNR in dB on people that were never learned from, over all pixels and over faces; before and after refining."""

    frame_before: float
    frame: float
    face_before: float
    face: float


class RefinerNetwork(nn.Module):
    """A refiner with its loss.

    Args:
        refiner: is trained.
    """

    def __init__(self, refiner: FrameRefiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses of frames.

        Args:
            batch: ``drawn`` and ``frames`` (B, H, W, 3), ``poses`` (B, H, W, 6), uint8; ``regions`` (B, H, W), 0..1.

        Returns:
            ``loss``, ``pixels``, ``psnr`` as `PixelLoss`, and ``kept``, the share of ``loss`` that there was before; (B,).
        """
        drawn, wanted, poses = (batch[name].permute(0, 3, 1, 2).float() / 127.5 - 1 for name in ("drawn", "frames", "poses"))
        regions = batch["regions"][:, None]
        after = pixel_loss(self.refiner(drawn, poses)[:, :, None], wanted[:, :, None], regions)
        before = pixel_loss(drawn[:, :, None], wanted[:, :, None], regions)
        return {**after._asdict(), "kept": after.loss / before.loss.clamp(min=1e-6)}


def train_refiner(folder: Path, run: RefinerRun, models: Models, index: Index, key: str, say: Say) -> RefinerFigures:
    """Train, measure, and write ``folder/weights``; goes on where an earlier run of the same kind stopped.

    Args:
        models: of the weights; a refiner that they have is left out.
        index: of the same.
        key: what identifies them.

    Raises:
        Stopped: by a signal; the checkpoint is written.
        OutOfMemory, JobFailed, DiskFull, UsageError, WorkerLost: see `loop.fit` and `pool.Pool`.
    """
    torch.manual_seed(run.plan.seed)
    refiner = FrameRefiner(**run.config)
    plain = replace(models, refiner=None)
    store = DrawnStore(DreamActorPipeline(plain, device=run.plan.device), index, key)
    network = RefinerNetwork(refiner).to(run.plan.device)
    began = time.monotonic()
    with Pool(run.learned, run.clips, workers=run.workers) as pool:
        pool.start()
        for number in range(len(pool)):
            store.of(pool.shard(number))
            say(f"drawn: {number + 1} of {len(pool)} shards, {time.monotonic() - began:.0f} s")
        path = folder / "work" / "refiner.safetensors"
        with TrainingLog(folder, enabled=is_first_process()) as log:
            for at in fit(network, _drawing(run, pool, store), run.plan, path, _key(run, key, pool), say):
                if at.main:
                    log.numbers(at.step, at.losses)
                    if at.step % _SAY_EVERY == 0 or at.step == run.plan.steps:
                        told = f"{at.losses['kept']:.1%} of the loss are left, {time.monotonic() - began:.0f} s"
                        say(f"step {at.step} of {run.plan.steps}: {told}")
    refined = replace(plain, refiner=refiner.eval().requires_grad_(False))
    figures = judge(refined, index, run)
    if is_first_process():
        _store(folder / WEIGHTS, refined, index, run, figures)
    return figures


def judge(models: Models, index: Index, run: RefinerRun) -> RefinerFigures:
    """Draw clips of people that were never learned from, with and without the refiner."""
    with Pool(run.judged, run.clips, workers=0, clips_a_shard=_JUDGED) as pool:
        shard = pool.shard(0)
        clips = [shard.clip(row) for row in range(len(shard))]
    figures = []
    for tried in (replace(models, refiner=None), models):
        pipeline = DreamActorPipeline(tried, device=run.plan.device)
        drawn = [draw(pipeline, Ask.of(clip), usual_sampling(index)) for clip in clips]
        figures.append((psnr(clips, drawn), psnr(clips, drawn, faces=True)))
    (frame_before, face_before), (frame, face) = figures
    return RefinerFigures(frame_before, frame, face_before, face)


def _drawing(run: RefinerRun, pool: Pool, store: DrawnStore) -> Callable[[int, int], dict[str, Tensor]]:
    """Batches by the number of their step: frames of one shard, which are of one size."""

    def batch(step: int, process: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([run.plan.seed, step, process, 3])
        shard = pool.shard(int(rng.integers(len(pool))))
        drawn = store.of(shard)
        places = [(int(rng.integers(len(shard))), int(rng.integers(shard.frames))) for _ in range(run.batch)]

        def frames(name: str) -> Tensor:
            return torch.from_numpy(np.stack([shard.read(name, row)[t] for row, t in places]))

        return {
            "drawn": torch.from_numpy(np.stack([drawn.read("frames", row, row + 1)[0, t] for row, t in places])),
            "frames": frames("frames"), "poses": frames("poses"), "regions": frames("weights").float() / 255,
        }  # fmt: skip

    return batch


def _key(run: RefinerRun, weights: str, pool: Pool) -> str:
    parts = [weights, run.config, run.batch, asdict(replace(run.plan, steps=0, device="")), pool.key]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _store(folder: Path, models: Models, index: Index, run: RefinerRun, figures: RefinerFigures) -> None:
    """The weights with the refiner, and what is known of it."""
    told = {"steps": run.plan.steps, "batch": run.batch, "seed": run.plan.seed, "data": run.learned.key}
    index = replace(index, about={**index.about, "refiner": told})
    synthetic = isinstance(run.learned, SyntheticPeople)
    card = card_of(index, models, figures._asdict(), begun="ours", synthetic=synthetic)
    weights_folder.save(folder, models, index, dtype=torch.float16, card=card)
