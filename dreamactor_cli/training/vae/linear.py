"""What a small VAE begins with: the best linear code of cells, found by principal components.

A short training from random weights ends below what principal components give at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dreamactor_cli.models.patch_vae import PatchVAE, to_cells


@torch.no_grad()
def start_linear(vae: PatchVAE, pixels: Tensor, weights: Tensor) -> None:
    """Write the code into a VAE.

    Args:
        vae: its two networks still say nothing.
        pixels: (B, 3, 5, H, W) in -1..1, to find components in: of single frames, and of four in motion.
        weights: (B, 5, H, W), how much each pixel counts.
    """
    moments = torch.zeros((), dtype=torch.float64)
    for frames in (slice(0, 1), slice(1, 5)):
        cells, counted = (_rows(x[:, :, frames]) for x in (pixels, weights[:, None].expand_as(pixels)))
        moments = moments + ((cells * counted.mean(1, keepdim=True)).T @ cells).double()
    # Not centred, so that the code needs no constants.
    code = torch.linalg.eigh(moments)[1].flip(1)[:, : vae.config.z_dim].float()
    vae.encoder.code.weight.copy_(code.T[..., None, None])
    vae.decoder.code.weight.copy_(code[..., None, None])
    for conv in (vae.encoder.code, vae.decoder.code):
        conv.bias.zero_()


def _rows(pixels: Tensor) -> Tensor:
    """The cells of (B, 3, 1 or 4, H, W) as rows (n, 768)."""
    return to_cells(pixels).permute(0, 2, 3, 1).flatten(0, 2)
