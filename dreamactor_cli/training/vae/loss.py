"""What the VAE learns from: pixels, edges at several scales, and a latent that stays close to a normal distribution.

Edges stand in for a perceptual loss: networks that judge pictures (LPIPS) carry weights whose pictures nobody can name.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor, nn
from torch.nn import functional

_SCALES = (1, 2, 4)
_EDGES = 0.5
_KL = 1e-4
REGION = 20.0  # weight of mouths, eyes and brows, of which there are few pixels and of which all depends


class VaeNetwork(nn.Module):
    """A VAE with its loss.

    Args:
        vae: is trained.
    """

    def __init__(self, vae: AutoencoderKLWan) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses of clips.

        Args:
            batch: ``frames`` (B, T, H, W, 3) uint8, ``regions`` (B, T, H, W) 0..1, how much a pixel matters more than others.

        Returns:
            ``loss``, ``pixels`` (mean absolute error, of 2), ``psnr`` in dB and ``kl`` (mean over the latents), each (B,).
        """
        wanted = batch["frames"].permute(0, 4, 1, 2, 3).float() / 127.5 - 1
        posterior = self.vae.encode(wanted).latent_dist
        got = self.vae.decode(posterior.sample(), return_dict=False)[0].float()
        weights = 1 + (REGION - 1) * batch["regions"][:, None].to(got)
        each = (1, 2, 3, 4)
        wrong = got - wanted
        error = wrong.abs()
        pixels = (error * weights).mean(each) / weights.mean(each)
        edges = torch.stack([_edges(wrong, weights, scale) for scale in _SCALES]).sum(0)
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean(each)
        with torch.no_grad():
            psnr = -10 * torch.log10(error.square().mean(each) / 4 + 1e-10)
        return {"loss": pixels + _EDGES * edges + _KL * kl, "pixels": pixels, "psnr": psnr, "kl": kl}


def _edges(wrong: Tensor, weights: Tensor, scale: int) -> Tensor:
    """Mean absolute difference between neighbours in what is wrong, weighted, (B,), at 1 / scale of the size."""
    if scale > 1:
        wrong, weights = (functional.avg_pool3d(x, (1, scale, scale)) for x in (wrong, weights))
    each = (1, 2, 3, 4)
    across = (wrong.diff(dim=-1).abs() * weights[..., 1:]).mean(each) / weights[..., 1:].mean(each)
    down = (wrong.diff(dim=-2).abs() * weights[..., 1:, :]).mean(each) / weights[..., 1:, :].mean(each)
    return across + down
