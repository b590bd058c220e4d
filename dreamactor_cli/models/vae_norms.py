"""Norms of the VAE that take a third of the time on a CPU, where the library's are most of the cost of a small VAE."""

from __future__ import annotations

from types import MethodType
from typing import cast

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanRMS_norm
from torch import Tensor


def quicken(vae: AutoencoderKLWan) -> AutoencoderKLWan:
    """Let the norms sum squares instead of taking vector norms along a strided axis; the same to rounding.

    Returns:
        The VAE, changed in place.
    """
    for module in vae.modules():
        if isinstance(module, WanRMS_norm) and module.channel_first:
            module.forward = MethodType(_forward, module)
    return vae


def _forward(self: WanRMS_norm, x: Tensor) -> Tensor:
    """(B, C, ...) divided by its root mean square over C, times gamma."""
    inverse = torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-12).to(x.dtype)
    return cast(Tensor, x * inverse * self.gamma + self.bias)
