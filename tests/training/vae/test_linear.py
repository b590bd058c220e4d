"""What the small VAE begins with keeps pictures before anything was learned."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dreamactor_cli.models import video_vae
from dreamactor_cli.models.configs import load_config
from dreamactor_cli.models.patch_vae import PatchVAE
from dreamactor_cli.training.diffusion.begin import load_vae
from dreamactor_cli.training.vae.linear import start_linear


def smooth(count: int, seed: int, frames: int = 5) -> torch.Tensor:
    """Soft spots that move, (count, 3, frames, 32, 32) in -1..1."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    out = np.empty((count, 3, frames, 32, 32), np.float32)
    for clip in out:
        x, y, dx, dy = rng.uniform((8, 8, -1, -1), (24, 24, 1, 1))
        for t in range(frames):
            spot = np.exp(-((columns - x - dx * t) ** 2 + (rows - y - dy * t) ** 2) / 60)
            clip[:, t] = rng.uniform(-0.02, 0.02) + rng.uniform(0.3, 0.9) * spot - 0.3
    return torch.from_numpy(out)


def psnr(vae: PatchVAE, pixels: torch.Tensor) -> float:
    with torch.inference_mode():
        got = video_vae.LatentDecoder(vae).push(video_vae.encode(vae, pixels))
    assert got.shape == pixels.shape
    return float(-10 * torch.log10((got - pixels).square().mean() / 4))


@pytest.fixture(scope="module")
def vae() -> PatchVAE:
    torch.manual_seed(0)
    made = video_vae.make_vae(load_config("debug").vae)
    assert isinstance(made, PatchVAE)
    start_linear(made, smooth(24, 1), torch.ones(24, 5, 32, 32))
    return made.eval()


def test_it_begins_as_a_code_that_keeps_pictures(vae: PatchVAE) -> None:
    """Also of clips that were not looked at, that are longer, and of single pictures."""
    torch.manual_seed(0)
    random = video_vae.make_vae(load_config("debug").vae).eval()
    others = smooth(6, 2, 9)
    assert psnr(vae, others) > 30
    assert psnr(vae, others[:, :, :1]) > 33
    assert psnr(random, others) < 20


def test_it_is_known_again(vae: PatchVAE, tmp_path: Path) -> None:
    vae.save_pretrained(tmp_path / "vae")
    again = load_vae(tmp_path / "vae")
    assert isinstance(again, PatchVAE)
    pixels = smooth(2, 3)
    assert torch.equal(video_vae.encode(again, pixels), video_vae.encode(vae, pixels))
