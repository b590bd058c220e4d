"""Wan's video VAE with sub-pixel convolutions (Shi et al. 2016) where its decoder enlarges.

Wan's decoder repeats each place 2 x 2 times and convolves, which cannot tell the four apart but by their neighbours; a decoder
has to learn its way around that for long. A convolution to four times the channels, shuffled to places, says what stands
where at once, so that the VAE can begin as a linear code of patches (`training.vae.linear`). Layout, streaming and all else are
Wan's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Any

from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanResample
from torch import nn


class SubpixelVAE(AutoencoderKLWan):
    """See the module's docstring; the arguments are those of `AutoencoderKLWan`."""

    @wraps(AutoencoderKLWan.__init__)  # type: ignore[misc]  # `from_config` reads the arguments off it
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for module in self.decoder.modules():
            if isinstance(module, WanResample) and module.mode.startswith("upsample"):
                plain = module.resample[1]
                wide = nn.Conv2d(plain.in_channels, 4 * plain.out_channels, 3, padding=1)
                module.resample = nn.Sequential(wide, nn.PixelShuffle(2))


def vae_class(config: Mapping[str, Any]) -> type[AutoencoderKLWan]:
    """The class that a config is of: Wan's where it says nothing else."""
    return SubpixelVAE if config.get("_class_name") == SubpixelVAE.__name__ else AutoencoderKLWan
