"""The whole training of a small VAE: clips, network, statistics of its latents, and how well it keeps people it never saw."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from dreamactor_cli.atomic import replacing, write_errors
from dreamactor_cli.models.patch_vae import PatchVAE
from dreamactor_cli.models.video_vae import encode, make_vae, round_trip, to_pixels
from dreamactor_cli.training.diffusion.pool import Pool
from dreamactor_cli.training.diffusion.sources import Source
from dreamactor_cli.training.loop.fit import Plan, fit, is_first_process
from dreamactor_cli.training.loop.log import TrainingLog
from dreamactor_cli.training.pixel_loss import REGION
from dreamactor_cli.training.vae.linear import start_linear
from dreamactor_cli.training.vae.loss import VaeNetwork

Say = Callable[[str], None]

_SAY_EVERY = 50  # steps
_STATISTICS = 64  # clips that the mean and the deviation of latents are taken over
_JUDGED = 16  # clips
_EXAMPLES = 256  # clips that a linear start is found in


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeRun:
    """What to train a VAE on, and for how long.

    Attributes:
        config: of the VAE, see `models.configs.ModelConfig`.
        learned, judged: clips to learn from, and of people that are never learned from.
        clips: folder of the clips that are made.
        frames: of a clip that is learned from, 4F - 3, at most those of the source.
        batch: clips a step and process.
        workers: processes that make clips.
    """

    config: dict[str, Any]
    learned: Source
    judged: Source
    clips: Path
    plan: Plan
    frames: int = 9
    batch: int = 2
    workers: int = 1


class VaeFigures(NamedTuple):
    """How well people are kept that were never learned from; PSNR in dB over all pixels, and over faces."""

    psnr: float
    psnr_face: float


def train_vae(folder: Path, run: VaeRun, say: Say) -> VaeFigures:
    """Train, measure, and write ``folder/vae``; goes on where an earlier run of the same kind stopped.

    Raises:
        Stopped: by a signal; the checkpoint is written.
        OutOfMemory, JobFailed, DiskFull, UsageError, WorkerLost: see `loop.fit` and `pool.Pool`.
    """
    torch.manual_seed(run.plan.seed)
    vae = make_vae(run.config)
    work = folder / "work"
    began = time.monotonic()
    with Pool(run.learned, run.clips, workers=run.workers) as pool:
        pool.start()
        key = _key(run, pool)
        if isinstance(vae, PatchVAE):
            start_linear(vae, *_examples(pool))
        network = VaeNetwork(vae)
        with TrainingLog(folder, enabled=is_first_process()) as log:
            for at in fit(network, _drawing(run, pool), run.plan, work / "vae.safetensors", key, say):
                if at.main:
                    log.numbers(at.step, at.losses)
                    if at.step % _SAY_EVERY == 0 or at.step == run.plan.steps:
                        told = f"loss {at.losses['loss']:.4f}, {at.losses['psnr']:.1f} dB, {time.monotonic() - began:.0f} s"
                        say(f"step {at.step} of {run.plan.steps}: {told}")
        vae.eval()
        _measure_latents(vae, pool)
    with Pool(run.judged, run.clips, workers=0) as held_out:
        figures = judge(vae, held_out)
    if is_first_process():
        _store(folder, vae, run, figures)
    return figures


def judge(vae: AutoencoderKLWan, pool: Pool) -> VaeFigures:
    """Encode and decode clips, and compare."""
    errors: list[tuple[float, float]] = []
    for row, shard in _rows(pool, _JUDGED):
        frames, weights = shard.read("frames", row), shard.read("weights", row)
        got = round_trip(vae, frames)
        squared = np.square(got.astype(np.float32) - frames).mean(-1)
        face = weights > 0
        errors.append((float(squared.mean()), float(squared[face].mean()) if face.any() else np.nan))
    means = np.nanmean(np.array(errors), 0)
    return VaeFigures(*(float(10 * np.log10(255**2 / max(mean, 1e-9))) for mean in means))


def _examples(pool: Pool) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels (B, 3, 5, H, W) and weights (B, 5, H, W) that principal components are found in."""
    rows = _rows(pool, _EXAMPLES)
    pixels = torch.cat([to_pixels(shard.read("frames", row)[:5]) for row, shard in rows])
    regions = np.stack([shard.read("weights", row)[:5] for row, shard in rows])
    return pixels, 1 + (REGION - 1) * torch.from_numpy(regions).float() / 255


def _drawing(run: VaeRun, pool: Pool) -> Callable[[int, int], dict[str, torch.Tensor]]:
    """Batches by the number of their step."""

    def draw(step: int, process: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng([run.plan.seed, step, process, 1])
        shards = pool.open_at(step, run.plan.steps)
        frames, regions = [], []
        shard = pool.shard(int(rng.integers(shards)))  # one a step: all of one size
        for _ in range(run.batch):
            row = int(rng.integers(len(shard)))
            start = int(rng.integers(shard.frames - run.frames + 1))
            window = slice(start, start + run.frames)
            mirror = slice(None, None, int(rng.choice([-1, 1])))
            frames.append(shard.read("frames", row)[window, :, mirror])
            regions.append(shard.read("weights", row)[window, :, mirror])
        return {
            "frames": torch.from_numpy(np.stack(frames)),
            "regions": torch.from_numpy(np.stack(regions)).float() / 255,
        }

    return draw


@torch.no_grad()
def _measure_latents(vae: AutoencoderKLWan, pool: Pool) -> None:
    """Write mean and scale of each latent channel into the config; the transformer sees latents by them.

    The scale is halfway between the channel's own deviation and that of all: channels that say much stay larger than those of
    details, which would else count as much in what the transformer learns from.
    """
    vae.register_to_config(latents_mean=[0.0] * vae.config.z_dim, latents_std=[1.0] * vae.config.z_dim)
    found = [
        encode(vae, to_pixels(shard.read("frames", row))).transpose(0, 1).flatten(1) for row, shard in _rows(pool, _STATISTICS)
    ]
    values = torch.cat(found, 1)
    spread = values.std(1).clamp(min=1e-3)
    mean, std = values.mean(1).tolist(), (spread * spread.mean()).sqrt().tolist()
    vae.register_to_config(latents_mean=[round(x, 5) for x in mean], latents_std=[round(x, 5) for x in std])


def _rows(pool: Pool, count: int) -> list[tuple[int, Any]]:
    """The first clips of a pool, taken from its shards in turn."""
    shards = [pool.shard(index) for index in range(min(len(pool), count))]
    found = [(row, shard) for row in range(max(map(len, shards))) for shard in shards if row < len(shard)]
    return found[:count]


def _key(run: VaeRun, pool: Pool) -> str:
    parts = [run.config, run.frames, run.batch, asdict(replace(run.plan, steps=0, device="")), pool.key]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _store(folder: Path, vae: AutoencoderKLWan, run: VaeRun, figures: VaeFigures) -> None:
    """``folder/vae`` in the layout of diffusers, and ``figures.json``."""
    with write_errors(folder):
        vae.save_pretrained(folder / "vae", max_shard_size="15MB")
        about = {"steps": run.plan.steps, "seed": run.plan.seed, "data": run.learned.key, **figures._asdict()}
        with replacing(folder / "figures.json") as beside:
            beside.write_text(json.dumps(about, indent=1) + "\n", "utf-8")
