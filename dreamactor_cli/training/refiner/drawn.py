"""What weights draw of the clips of a shard, drawn once and kept beside it: what a refiner has to make better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.weights_folder import Index
from dreamactor_cli.tensor_file import TensorFile
from dreamactor_cli.training.diffusion.samples import Ask, draw, usual_sampling
from dreamactor_cli.training.diffusion.store import Shard, write_arrays


class DrawnStore:
    """Drawn clips of shards.

    Args:
        pipeline: of weights without a refiner.
        index: of these weights, whose way of drawing is taken.
        key: what identifies them.
    """

    def __init__(self, pipeline: DreamActorPipeline, index: Index, key: str) -> None:
        self._pipeline, self._sampling, self._key = pipeline, usual_sampling(index), key
        self._open: dict[Path, TensorFile] = {}

    def of(self, shard: Shard) -> TensorFile:
        """``frames`` (K, T, H, W, 3) uint8, drawn of a shard's K clips from their first references."""
        path = shard.path.with_name(f"{shard.path.stem}.{self._key[:12]}.drawn")
        if path not in self._open:
            if not path.exists():
                write_arrays(path, {"frames": self._draw(shard)}, {"weights": self._key})
            self._open[path] = TensorFile(path)
        return self._open[path]

    def _draw(self, shard: Shard) -> np.ndarray:
        """Each clip with noise of its own."""
        sampling = self._sampling
        clips = (shard.clip(row) for row in range(len(shard)))
        return np.stack([draw(self._pipeline, Ask.of(clip), replace(sampling, seed=row)) for row, clip in enumerate(clips)])
