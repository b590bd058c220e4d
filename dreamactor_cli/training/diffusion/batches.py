"""Batches that follow from the number of the step: which clips, which stretch of them, which references, what noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dreamactor_cli.models.timeline import TEMPORAL, frames_of
from dreamactor_cli.training.diffusion.latents import LatentStore
from dreamactor_cli.training.diffusion.pool import Pool
from dreamactor_cli.training.diffusion.store import Shard

_FROM_START = 0.5  # share of stretches that begin a clip; the others go on from a clean latent, as a later segment does
_MOST = 20.0  # weight that mouth, eyes and brows have beyond the 1 of everything: the paper's prototype ignored them without
_WIDEN = 2.0  # a cell of the latent that is half mouth counts as one


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How batches are made.

    Attributes:
        batch: clips a step and process.
        latents: F of a stretch.
        shift: bends noise levels towards noise, see `models.sampling.flow_sigmas`.
        references: chances of one, two, three ... references.
        opening_noise: most that a given first latent is noised with.
        opening_drift: spread by which all cells of such a latent are off alike, in spreads of a channel: what a model draws
            grows lighter or darker from segment to segment unless it learns to set that right by the reference.
        drop_reference, drop_motion: chances of leaving them out, for guidance.
        seed: of everything.
    """

    batch: int = 8
    latents: int = 3
    shift: float = 3.0
    references: tuple[float, ...] = (0.7, 0.1, 0.2)
    drop_reference: float = 0.1
    drop_motion: float = 0.1
    opening_noise: float = 0.3
    opening_drift: float = 0.1
    seed: int = 0


class Batches:
    """Draws batches; callable as `loop.fit.Draw`."""

    def __init__(self, pool: Pool, latents: LatentStore, recipe: Recipe, steps: int) -> None:
        self._pool, self._latents, self._recipe, self._steps = pool, latents, recipe, steps

    def __call__(self, step: int, process: int) -> dict[str, Tensor]:
        """The batch of a step; see `network.DiffusionNetwork.forward`."""
        recipe = self._recipe
        rng = np.random.default_rng([recipe.seed, step, process, 2])
        shard = self._pool.shard(int(rng.integers(self._pool.open_at(step, self._steps))))
        chances = np.array(recipe.references[: shard.references])
        count = 1 + int(rng.choice(len(chances), p=chances / chances.sum()))
        rows = [self._stretch(shard, rng, count) for _ in range(recipe.batch)]
        batch = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
        return batch | self._noise(batch["latents"].shape, rng)

    def _stretch(self, shard: Shard, rng: np.random.Generator, count: int) -> dict[str, Any]:
        """One stretch of one clip, with references."""
        row, length = int(rng.integers(len(shard))), self._recipe.latents
        stored = self._latents.of(shard)
        latents = stored.read("latents", row, row + 1)[0]
        last = len(latents) - length
        start = 0 if last == 0 or rng.random() < _FROM_START else int(rng.integers(1, last + 1))
        first = TEMPORAL * start
        pixels = slice(first, first + frames_of(length))
        # The picture that looks to the camera is what a user has; others come beside it, or sometimes alone.
        others = 1 + rng.permutation(shard.references - 1)
        chosen = np.array([0, *others] if count > 1 or rng.random() < 0.6 else [*others, 0])[:count]
        return {
            "latents": latents[start : start + length].transpose(1, 0, 2, 3),
            "weights": cell_weights(shard.read("weights", row), latents.shape[2:])[start : start + length],
            "poses": shard.read("poses", row)[pixels],
            "face": shard.read("face", row)[pixels],
            "references": stored.read("references", row, row + 1)[0][chosen],
            "reference_poses": shard.read("reference_poses", row)[chosen],
            "opened": np.array(start > 0),
        }

    def _noise(self, shape: torch.Size, rng: np.random.Generator) -> dict[str, Tensor]:
        recipe, count = self._recipe, shape[0]
        levels = (rng.permutation(count) + rng.random(count)) / count  # one of each stretch of levels
        sigma = recipe.shift * levels / (1 + (recipe.shift - 1) * levels)
        return {
            "noise": torch.from_numpy(rng.standard_normal(tuple(shape), np.float32)),
            "sigma": torch.from_numpy(sigma.astype(np.float32)),
            "opening": torch.from_numpy((rng.random(count) * recipe.opening_noise).astype(np.float32)),
            "drift": torch.from_numpy(recipe.opening_drift * rng.standard_normal(tuple(shape[:2]), np.float32)),
            "no_reference": torch.from_numpy(rng.random(count) < recipe.drop_reference),
            "no_motion": torch.from_numpy(rng.random(count) < recipe.drop_motion),
        }


def cell_weights(weights: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Weights of pixels (T, H, W), 0..255, as those of latents (F, h, w), 1..21; T = 4F - 3."""
    frames, height, width = weights.shape
    cells = weights.reshape(frames, grid[0], height // grid[0], grid[1], width // grid[1]).mean((2, 4), dtype=np.float32)
    later = cells[1:].reshape(-1, TEMPORAL, *grid).mean(1)
    share = np.concatenate([cells[:1], later]) / 255
    return (1 + _MOST * np.minimum(1, _WIDEN * share)).astype(np.float32)
