"""What the debug size learns within seconds: to follow what it is told."""

from pathlib import Path

import pytest
import torch

from dreamactor_cli.models.configs import load_config
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.sampling import Sampling
from dreamactor_cli.models.video_vae import make_vae
from dreamactor_cli.training.diffusion.batches import Batches, Recipe
from dreamactor_cli.training.diffusion.begin import from_nothing
from dreamactor_cli.training.diffusion.evaluate import compare
from dreamactor_cli.training.diffusion.latents import LatentStore
from dreamactor_cli.training.diffusion.network import DiffusionNetwork
from dreamactor_cli.training.diffusion.pool import Pool
from dreamactor_cli.training.diffusion.stages import enter, stage_of
from dreamactor_cli.training.loop.fit import Plan, fit
from dreamactor_cli.training.vae.linear import start_linear
from dreamactor_cli.training.vae.train import _examples, _measure_latents

from .conftest import Toys

STEPS = 100


@pytest.mark.slow
def test_the_right_controls_beat_wrong_ones(tmp_path: Path) -> None:
    """Of people never seen; with the linear start of the VAE nothing else needs to be learned."""
    config = load_config("debug")
    torch.manual_seed(3)
    vae = make_vae(config.vae).eval().requires_grad_(False)
    with Pool(Toys(64), tmp_path / "clips", workers=0) as pool:
        start_linear(vae, *_examples(pool))
        _measure_latents(vae, pool)
        models, _ = from_nothing(config, vae, 0)
        network = DiffusionNetwork(models.transformer, models.pose_encoder, models.face_motion)
        enter(stage_of("small"), network)
        recipe = Recipe(batch=8, latents=2, shift=8.0, references=(1.0,), drop_reference=0.0, drop_motion=0.0)
        batches = Batches(pool, LatentStore(vae, "linear"), recipe, 1)
        plan = Plan(steps=STEPS, rate=4e-3, warm_up=10, keep_every=1000, decay=0.95)
        for _ in fit(network, batches, plan, tmp_path / "checkpoint", "toys", print):
            pass
    clips = [Toys(6, seed=5).clip(number) for number in range(6)]
    sampling = Sampling(steps=3, shift=8.0, guidance_reference=1.0, guidance_motion=1.0, segment_frames=5)
    figures, _ = compare(DreamActorPipeline(models), clips, sampling)
    assert figures["over_copy_frame"] > 2
    assert figures["expression_gap"] > 0.3
    assert figures["pose_gap"] > 0.3
