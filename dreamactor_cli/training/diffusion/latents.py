"""Latents of the clips of a shard, computed once for a VAE and kept beside the shard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from torch import Tensor

from dreamactor_cli.models.video_vae import encode, to_pixels
from dreamactor_cli.tensor_file import TensorFile
from dreamactor_cli.training.diffusion.store import Shard, write_arrays


class LatentStore:
    """Latents of shards.

    Args:
        vae: on the device that encodes.
        key: what identifies its weights.
    """

    def __init__(self, vae: AutoencoderKLWan, key: str) -> None:
        self._vae, self._key = vae, key
        self._open: dict[Path, TensorFile] = {}

    def of(self, shard: Shard) -> TensorFile:
        """``latents`` (K, F, C, H, W) and ``references`` (K, N, C, H, W) of a shard's K clips."""
        path = shard.path.with_name(f"{shard.path.stem}.{self._key[:12]}.latents")
        if path not in self._open:
            if not path.exists():
                write_arrays(path, self._encode(shard), {"vae": self._key})
            self._open[path] = TensorFile(path)
        return self._open[path]

    def _encode(self, shard: Shard) -> dict[str, NDArray[np.generic]]:
        clips = [shard.clip(row) for row in range(len(shard))]
        return {
            "latents": np.stack([self._clip(clip.frames)[0].transpose(0, 1).cpu().numpy() for clip in clips]),
            "references": np.stack([self._stills(clip.references)[:, :, 0].cpu().numpy() for clip in clips]),
        }

    @torch.inference_mode()
    def _clip(self, frames: np.ndarray) -> Tensor:
        """(T, H, W, 3) to (1, C, F, h, w)."""
        return encode(self._vae, to_pixels(frames, self._vae.device, self._vae.dtype)).float()

    @torch.inference_mode()
    def _stills(self, pictures: np.ndarray) -> Tensor:
        """(N, H, W, 3) to (N, C, 1, h, w), each a clip of one frame."""
        pixels = torch.cat([to_pixels(picture[None], self._vae.device, self._vae.dtype) for picture in pictures])
        return encode(self._vae, pixels).float()
