"""A video VAE for small pictures: each cell of 8 x 8 px and four frames is a code of its own, which its neighbours refine.

Wan's VAE has layers at every size, and a small copy of it that learned for minutes on a CPU loses what moves within the four
frames of a latent. A linear code of whole cells keeps more of it from the start (`training.vae.linear` finds the best one), is
computed in a fraction of the time, and two small networks over the grid of cells learn the rest. The layout of latents, the
streaming and the methods are those of diffusers' ``AutoencoderKLWan``, so that whatever takes one takes the other.

The first frame of a clip is coded as four of the same, so that a still is the same latent wherever it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import AutoencoderKLWan, ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import Tensor, nn
from torch.nn import functional

from dreamactor_cli.models.timeline import SPATIAL, TEMPORAL

VALUES = 3 * TEMPORAL * SPATIAL**2  # of a cell
_LOG_VARIANCE = -12.0  # of the posterior: as good as none


class PatchEncoder(nn.Module):
    """Pixels (B, 3, 1 or 4, H, W) to mean and log-variance (B, 2 z, 1, H/8, W/8)."""

    def __init__(self, z_dim: int, hidden: int) -> None:
        super().__init__()
        self.code = nn.Conv2d(VALUES, z_dim, 1)
        self.refine = nn.Sequential(
            nn.Conv2d(VALUES, hidden, 1), nn.SiLU(), nn.Conv2d(hidden, hidden, 3, padding=1), nn.SiLU(),
            nn.Conv2d(hidden, z_dim, 3, padding=1),
        )  # fmt: skip

    def forward(self, pixels: Tensor, feat_cache: list[Any] | None = None, feat_idx: list[int] | None = None) -> Tensor:  # noqa: ARG002
        """The latent of a first frame, or of four later ones; nothing is remembered."""
        cells = to_cells(pixels)
        mean = self.code(cells) + self.refine(cells)
        return torch.cat([mean, torch.full_like(mean, _LOG_VARIANCE)], 1)[:, :, None]


class PatchDecoder(nn.Module):
    """A latent (B, z, 1, h, w) to pixels (B, 3, 1 or 4, 8 h, 8 w), seen beside the latent before it."""

    def __init__(self, z_dim: int, hidden: int) -> None:
        super().__init__()
        self.code = nn.Conv2d(z_dim, VALUES, 1)
        self.refine = nn.Sequential(
            nn.Conv2d(2 * z_dim, hidden, 3, padding=1), nn.SiLU(), nn.Conv2d(hidden, hidden, 3, padding=1), nn.SiLU(),
            nn.Conv2d(hidden, VALUES, 1),
        )  # fmt: skip

    def forward(self, latent: Tensor, feat_cache: list[Any], feat_idx: list[int], first_chunk: bool = False) -> Tensor:  # noqa: ARG002
        """One frame of a first latent, four of a later one; the one place of ``feat_cache`` remembers the latent before."""
        latent = latent[:, :, 0]
        before = latent if feat_cache[0] is None else feat_cache[0]
        feat_cache[0] = latent
        pixels = to_pixels(self.code(latent) + self.refine(torch.cat([before, latent], 1)))
        return pixels.mean(2, keepdim=True) if first_chunk else pixels


class PatchVAE(ModelMixin, ConfigMixin):
    """See the module's docstring.

    Args:
        z_dim: channels of the latent.
        hidden: channels of the two networks.
        latents_mean, latents_std: of each channel, by which the transformer sees latents.
        patch_size: there is none beside the cells; named because Wan's has one.
    """

    @register_to_config
    def __init__(
        self,
        z_dim: int = 96,
        hidden: int = 256,
        latents_mean: list[float] | None = None,
        latents_std: list[float] | None = None,
        patch_size: int | None = None,  # noqa: ARG002 - read from the config
    ) -> None:
        super().__init__()
        self.register_to_config(latents_mean=latents_mean or [0.0] * z_dim, latents_std=latents_std or [1.0] * z_dim)
        self.encoder, self.decoder = PatchEncoder(z_dim, hidden), PatchDecoder(z_dim, hidden)
        self.quant_conv, self.post_quant_conv = nn.Identity(), nn.Identity()
        self._cached_conv_counts = {"encoder": 0, "decoder": 1}
        for half in (self.encoder, self.decoder):  # what refines begins as nothing
            nn.init.zeros_(half.refine[-1].weight)
            nn.init.zeros_(half.refine[-1].bias)

    def encode(self, x: Tensor) -> AutoencoderKLOutput:
        """Pixels (B, 3, 4n+1, H, W) in -1..1 as a posterior (B, z, n+1, H/8, W/8)."""
        starts = range(1, x.shape[2], TEMPORAL)
        chunks = [x[:, :, :1], *(x[:, :, start : start + TEMPORAL] for start in starts)]
        moments = torch.cat([self.encoder(chunk) for chunk in chunks], 2)
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(moments))

    def decode(self, z: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Latents (B, z, F, h, w) as pixels (B, 3, 4F-3, 8 h, 8 w) in -1..1."""
        remembered: list[Any] = [None]
        frames = [self.decoder(latent, remembered, [0], first_chunk=k == 0) for k, latent in enumerate(z.split(1, dim=2))]
        sample = torch.cat(frames, 2).clamp(-1, 1)
        return DecoderOutput(sample=sample) if return_dict else (sample,)


def to_cells(pixels: Tensor) -> Tensor:
    """(B, 3, 1 or 4, H, W) to (B, 768, H/8, W/8); one frame counts as four."""
    if pixels.shape[2] == 1:
        pixels = pixels.expand(-1, -1, TEMPORAL, -1, -1)
    return functional.pixel_unshuffle(pixels.flatten(1, 2), SPATIAL)


def to_pixels(cells: Tensor) -> Tensor:
    """The inverse: (B, 768, h, w) to (B, 3, 4, 8 h, 8 w)."""
    return functional.pixel_shuffle(cells, SPATIAL).unflatten(1, (3, TEMPORAL))


def vae_class(config: Mapping[str, Any]) -> type[AutoencoderKLWan] | type[PatchVAE]:
    """The class that a config is of: Wan's where it says nothing else."""
    return PatchVAE if config.get("_class_name") == PatchVAE.__name__ else AutoencoderKLWan
