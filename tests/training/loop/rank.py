"""One process of those that train together: `test_processes` starts it with the variables that accelerate and torchrun set.

It trains as `dreamactor train diffusion` does, on toys. Each process learns from its share of the batch that one would have.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

from dreamactor_cli.errors import Stopped
from dreamactor_cli.models.configs import load_config
from dreamactor_cli.models.video_vae import make_vae
from dreamactor_cli.training.diffusion import train
from dreamactor_cli.training.diffusion.batches import Batches, Recipe
from dreamactor_cli.training.diffusion.begin import from_nothing
from dreamactor_cli.training.loop.fit import Plan
from tests.training.diffusion.conftest import Toys

STEPS = 14


class Shares(Batches):
    """Every n-th row of the batch that one process alone would have; a signal at a step if asked for."""

    signal_at: tuple[int, int] | None = None  # step, process

    def __call__(self, step: int, process: int) -> dict[str, torch.Tensor]:
        if (step, process) == self.signal_at:
            os.kill(os.getpid(), 15)
        count = int(os.environ.get("WORLD_SIZE", "1"))
        return {name: value[process::count] for name, value in super().__call__(step, 0).items()}


def main(out: Path, clips: Path, sharded: bool, precision: Any, stop: str) -> None:
    torch.manual_seed(3)
    config = load_config("debug")
    models, key = from_nothing(config, make_vae(config.vae).eval(), 0)
    plan = Plan(
        steps=STEPS, rate=1e-3, keep_every=2, decay=0.9, precision=precision, sharded=("DreamActorBlock",) if sharded else ()
    )  # fmt: skip
    run = train.DiffusionRun(
        name="debug", learned=Toys(8), shown=Toys(2, seed=9), clips=clips, stages=("pose", "face", "all"),
        recipe=Recipe(batch=4, latents=2, references=(1.0,), shift=2.0), plan=plan, size=32, workers=0, sample_every=4, about={},
    )  # fmt: skip
    train.Batches = Shares  # type: ignore[misc]
    if stop:
        Shares.signal_at = (int(stop), 1)
    try:
        train.train_diffusion(out, run, models, key, lambda line: print(line, flush=True))
    except Stopped as error:
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "sharded", sys.argv[4], sys.argv[5])
