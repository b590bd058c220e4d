"""The video VAE (diffusers' `AutoencoderKLWan`), read and written as a stream.

The VAE is causal: what a frame becomes depends on earlier frames through two remembered feature maps a convolution. Keeping
those alive between calls gives the very bits of one call over the whole clip, in memory that does not grow with it.

Pixels are (B, 3, T, H, W) in -1..1. Latents are (B, C, F, h, w), normalised by the ``latents_mean`` and ``latents_std`` of the
config, as the transformer sees them; F = `timeline.latents_of` (T).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import patchify, unpatchify
from numpy.typing import NDArray
from torch import Tensor

from dreamactor_cli.models.patch_vae import vae_class
from dreamactor_cli.models.timeline import TEMPORAL

U8 = NDArray[np.uint8]
Features = list[Any]  # what each convolution remembers: a tensor, None, or the mark of a first chunk
TILE = 32  # latents a side of a tile, and by how many tiles overlap
OVERLAP = 8


def make_vae(config: Mapping[str, Any]) -> AutoencoderKLWan:
    """A VAE with random weights; the config is that of `configs.ModelConfig`."""
    return cast(AutoencoderKLWan, vae_class(config).from_config(dict(config)))


def to_pixels(frames: U8, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    """Frames (T, H, W, 3) as pixels (1, 3, T, H, W) in -1..1."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).to(device).permute(3, 0, 1, 2)[None]
    return (pixels.to(torch.float32) / 127.5 - 1).to(dtype)


def to_frames(pixels: Tensor) -> U8:
    """Pixels (1, 3, T, H, W) in -1..1 as frames (T, H, W, 3)."""
    levels = ((pixels[0].float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return cast(U8, levels.permute(1, 2, 3, 0).contiguous().cpu().numpy())


def _statistics(vae: AutoencoderKLWan, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latents, (1, C, 1, 1, 1)."""
    mean, std = (torch.tensor(vae.config[name]).view(1, -1, 1, 1, 1).to(like) for name in ("latents_mean", "latents_std"))
    return mean, std


def normalise(vae: AutoencoderKLWan, latents: Tensor) -> Tensor:
    """Latents of the VAE as the transformer sees them."""
    mean, std = _statistics(vae, latents)
    return (latents - mean) / std


def denormalise(vae: AutoencoderKLWan, latents: Tensor) -> Tensor:
    """The inverse of `normalise`."""
    mean, std = _statistics(vae, latents)
    return latents * std + mean


def encode(vae: AutoencoderKLWan, pixels: Tensor) -> Tensor:
    """Latents of a whole clip; one whose length is not 4n+1 is filled up with its last frame."""
    encoder = LatentEncoder(vae)
    return torch.cat([*encoder.push(pixels), *encoder.finish()], 2)


@torch.inference_mode()
def round_trip(vae: AutoencoderKLWan, frames: U8) -> U8:
    """Frames (T, H, W, 3), T = 4n+1, as latents keep them."""
    like = next(vae.parameters())
    decoder = LatentDecoder(vae)
    latents = encode(vae, to_pixels(frames, like.device, like.dtype))
    return np.concatenate([to_frames(decoder.push(latent)) for latent in latents.split(1, dim=2)])


class LatentEncoder:
    """Encodes a clip that comes in pieces of any length; the mode of the posterior is taken."""

    def __init__(self, vae: AutoencoderKLWan) -> None:
        self._vae = vae
        self._features: Features = [None] * vae._cached_conv_counts["encoder"]
        self._rest: Tensor | None = None
        self._begun = False

    def push(self, pixels: Tensor) -> list[Tensor]:
        """The latents (B, C, 1, h, w) that the next frames complete."""
        waiting = pixels if self._rest is None else torch.cat([self._rest, pixels], 2)
        done = []
        while waiting.shape[2] >= (needed := TEMPORAL if self._begun else 1):
            done.append(self._step(waiting[:, :, :needed]))
            waiting = waiting[:, :, needed:]
            self._begun = True
        self._rest = waiting
        return done

    def finish(self) -> list[Tensor]:
        """The latent of the frames that are left over, filled up with the last one."""
        rest = self._rest
        if rest is None or not rest.shape[2]:
            return []
        filling = rest[:, :, -1:].expand(-1, -1, TEMPORAL - rest.shape[2], -1, -1)
        return self.push(filling)

    def _step(self, chunk: Tensor) -> Tensor:
        patches = patchify(chunk, self._vae.config.patch_size or 1)
        encoded = self._vae.encoder(patches, feat_cache=self._features, feat_idx=[0])
        return normalise(self._vae, self._vae.quant_conv(encoded).chunk(2, dim=1)[0])


@dataclass(slots=True)
class _Tile:
    """One part of the picture, in latents, and what its convolutions remember."""

    rows: slice
    columns: slice
    features: Features


class LatentDecoder:
    """Decodes latents that come in pieces: one stream over all segments of a clip.

    Args:
        tiled: decode in overlapping tiles and blend them: less memory, and not the very same pixels.
    """

    def __init__(self, vae: AutoencoderKLWan, *, tiled: bool = False) -> None:
        self._vae, self._tiled = vae, tiled
        self._tiles: list[_Tile] | None = None

    @property
    def tiled(self) -> bool:
        """Whether the picture is decoded in tiles."""
        return self._tiled

    def use_tiles(self) -> None:
        """Go on in tiles; what is remembered of the whole picture is shared out among them."""
        if self._tiled:
            return
        self._tiled = True
        if self._tiles is not None:
            whole = self._tiles[0]
            height, width = whole.rows.stop, whole.columns.stop
            self._tiles = [
                _Tile(rows, columns, _cut(whole.features, rows, columns, height, width))
                for rows in _spans(height)
                for columns in _spans(width)
            ]

    def push(self, latents: Tensor) -> Tensor:
        """Pixels (B, 3, T, H, W) of the next latents (B, C, f, h, w): 1 of the very first, 4 of each other.

        One that fails has remembered nothing, and may be tried again.
        """
        first = self._tiles is None
        tiles = self._tiles or self._cover(latents.shape[3], latents.shape[4])
        state = [list(tile.features) for tile in tiles]
        plain = denormalise(self._vae, latents)
        parts = []
        for k in range(latents.shape[2]):
            parts.append(self._frame(plain[:, :, k : k + 1], tiles, state, first=first and k == 0))
        for tile, features in zip(tiles, state, strict=True):
            tile.features = features
        self._tiles = tiles
        return torch.cat(parts, 2)

    def _cover(self, height: int, width: int) -> list[_Tile]:
        count = self._vae._cached_conv_counts["decoder"]
        rows, columns = (_spans(side) if self._tiled else [slice(0, side)] for side in (height, width))
        return [_Tile(r, c, [None] * count) for r in rows for c in columns]

    def _frame(self, latent: Tensor, tiles: list[_Tile], state: list[Features], *, first: bool) -> Tensor:
        """Pixels of one latent frame."""
        vae = self._vae
        if len(tiles) == 1:
            pixels = vae.decoder(vae.post_quant_conv(latent), feat_cache=state[0], feat_idx=[0], first_chunk=first)
            return cast(Tensor, unpatchify(pixels, vae.config.patch_size or 1).clamp(-1, 1))
        out = weight = latent.new_zeros(())
        for tile, features in zip(tiles, state, strict=True):
            part = vae.post_quant_conv(latent[..., tile.rows, tile.columns])
            part = vae.decoder(part, feat_cache=features, feat_idx=[0], first_chunk=first)
            part = unpatchify(part, vae.config.patch_size or 1)
            if not out.ndim:
                scale = part.shape[-1] // (tile.columns.stop - tile.columns.start)
                size = (*part.shape[:3], latent.shape[3] * scale, latent.shape[4] * scale)
                out, weight = part.new_zeros(size), part.new_zeros(size[3:])
            rows, columns = (slice(s.start * scale, s.stop * scale) for s in (tile.rows, tile.columns))
            share = _ramp(rows, size[3], scale).to(part)[:, None] * _ramp(columns, size[4], scale).to(part)
            out[..., rows, columns] += part * share
            weight[rows, columns] += share
        return cast(Tensor, (out / weight).clamp(-1, 1))


def _spans(side: int) -> list[slice]:
    """Overlapping stretches that cover a side, all of one length."""
    if side <= TILE:
        return [slice(0, side)]
    starts = [*range(0, side - TILE, TILE - OVERLAP), side - TILE]
    return [slice(start, start + TILE) for start in starts]


def _ramp(span: slice, side: int, scale: int) -> Tensor:
    """Weight of each px of a tile's side: falls towards the neighbours, not towards the picture's border."""
    steps = torch.arange(span.stop - span.start, dtype=torch.float32)
    wide = OVERLAP * scale
    rising = ((steps + 0.5) / wide).clamp(max=1) if span.start else torch.ones_like(steps)
    falling = ((len(steps) - steps - 0.5) / wide).clamp(max=1) if span.stop < side else torch.ones_like(steps)
    return rising * falling


def _cut(features: Features, rows: slice, columns: slice, height: int, width: int) -> Features:
    """The part of remembered feature maps that belongs to a tile of a picture of height x width latents."""
    out: Features = []
    for feature in features:
        if not isinstance(feature, Tensor):
            out.append(feature)
            continue
        high, wide = feature.shape[-2] // height, feature.shape[-1] // width
        part = feature[..., rows.start * high : rows.stop * high, columns.start * wide : columns.stop * wide]
        out.append(part.clone())
    return out
