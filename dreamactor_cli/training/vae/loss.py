"""What the VAE learns from: pictures that come back as they were, and a latent that stays close to a normal distribution."""

from __future__ import annotations

from diffusers import AutoencoderKLWan
from torch import Tensor, nn

from dreamactor_cli.training.pixel_loss import pixel_loss

_KL = 1e-4


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
        seen = pixel_loss(got, wanted, batch["regions"])
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean((1, 2, 3, 4))
        return {"loss": seen.loss + _KL * kl, "pixels": seen.pixels, "psnr": seen.psnr, "kl": kl}
