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
REGION = 4.0  # weight of pixels in faces, of which there are few


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
        error = (got - wanted).abs()
        pixels = (error * weights).mean(each) / weights.mean(each)
        edges = torch.stack([_edges(got, wanted, scale) for scale in _SCALES]).sum(0)
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean(each)
        with torch.no_grad():
            psnr = -10 * torch.log10(error.square().mean(each) / 4 + 1e-10)
        return {"loss": pixels + _EDGES * edges + _KL * kl, "pixels": pixels, "psnr": psnr, "kl": kl}


def _edges(got: Tensor, wanted: Tensor, scale: int) -> Tensor:
    """Mean absolute difference of the differences between neighbours, (B,), at 1 / scale of the size."""
    if scale > 1:
        got, wanted = (functional.avg_pool3d(x, (1, scale, scale)) for x in (got, wanted))
    wrong = got - wanted
    across, down = (wrong.diff(dim=axis).abs().mean((1, 2, 3, 4)) for axis in (-1, -2))
    return across + down
