"""The model of a folder of weights, made ready for a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from dreamactor_cli.contracts import U8, Preset
from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.threads import made_with
from dreamactor_cli.renderers.diffusion.companions import SharedPipeline

Key = tuple[object, ...]
CPU_THREADS = 4  # always so many, whatever a worker may use: see `models.threads`


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device.

    Attributes:
        key: what it was loaded from and how.
        index: of its folder.
    """

    key: Key
    pipeline: DreamActorPipeline | SharedPipeline
    index: weights_folder.Index

    @property
    def alive(self) -> bool:
        """Whether it can draw."""
        return isinstance(self.pipeline, DreamActorPipeline) or self.pipeline.alive

    def close(self) -> None:
        """End the processes that belong to it."""
        if isinstance(self.pipeline, SharedPipeline):
            self.pipeline.close()


def load(folder: Path, preset: Preset, device: str, key: Key) -> Loaded:
    """Load the weights, on every rank if the preset asks for several.

    Raises:
        MissingRequirement, UnreadableInput: as `weights_folder.load`.
        WorkerLost, OutOfMemory: as `SharedPipeline`.
    """
    index = weights_folder.read_index(folder)

    def own() -> DreamActorPipeline:
        return load_pipeline(folder, preset, device)

    shared = preset.context_parallel > 1
    return Loaded(key, SharedPipeline(folder, preset, device, own) if shared else own(), index)


def load_pipeline(folder: Path, preset: Preset, device: str) -> DreamActorPipeline:
    """One copy of the weights, for this process. Raises as `load`."""
    models, _ = weights_folder.load(folder, dtype=getattr(torch, precision(preset, device)))
    if preset.quantize != "off":
        _quantize(models.transformer, preset.quantize)
    return DreamActorPipeline(models, device=device, compiled=preset.compile)


def drawn(frames: Iterator[U8], device: str) -> Iterator[U8]:
    """The same frames; on the CPU all that a clip needs is computed with `CPU_THREADS`."""
    return made_with(CPU_THREADS, frames) if device == "cpu" else frames


def precision(preset: Preset, device: str) -> str:
    """Name of the type that is computed in: on the CPU, which gains nothing from shorter numbers, float32 unless asked."""
    if preset.precision != "auto":
        return preset.precision
    return "float32" if device == "cpu" else "bfloat16"


def _quantize(transformer: torch.nn.Module, kind: str) -> None:
    """Keep the transformer's weights in 8 bits, in place; what is computed is not."""
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    quantize_(transformer, Int8WeightOnlyConfig() if kind == "int8" else Float8WeightOnlyConfig())
