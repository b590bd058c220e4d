"""Latents of the clips of a shard, computed once for a VAE and kept beside the shard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray

from dreamactor_cli.models.video_vae import encode, to_pixels
from dreamactor_cli.tensor_file import TensorFile
from dreamactor_cli.training.diffusion.store import Shard, write_arrays

_TOGETHER = 8  # clips


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
        """Several clips at a time: a convolution over one alone takes a CPU many times as long for each."""
        frames, references = [], []
        for start in range(0, len(shard), _TOGETHER):
            clips = [shard.clip(row) for row in range(start, min(start + _TOGETHER, len(shard)))]
            frames.append(self._latents(np.stack([clip.frames for clip in clips])))
            stills = self._latents(np.concatenate([clip.references for clip in clips])[:, None])
            references.append(stills[:, 0].reshape(len(clips), -1, *stills.shape[2:]))
        return {"latents": np.concatenate(frames), "references": np.concatenate(references)}

    @torch.inference_mode()
    def _latents(self, clips: np.ndarray) -> NDArray[np.float32]:
        """(B, T, H, W, 3) to (B, F, C, h, w)."""
        pixels = torch.cat([to_pixels(clip, self._vae.device, self._vae.dtype) for clip in clips])
        latents: NDArray[np.float32] = encode(self._vae, pixels).float().transpose(1, 2).cpu().numpy()
        return latents
