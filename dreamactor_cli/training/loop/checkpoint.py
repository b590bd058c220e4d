"""Where a training stands, as one safetensors file: weights that learn, their mean, and what the optimizer remembers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from dreamactor_cli.atomic import replacing
from dreamactor_cli.training.loop.sharding import gathered

_MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW


class Standing(NamedTuple):
    """What learns, as the loop holds it.

    Attributes:
        parameters: that learn, by name.
        means: their running means, by the same names.
        optimizer: an AdamW over them.
    """

    parameters: Mapping[str, nn.Parameter]
    means: Mapping[str, Tensor]
    optimizer: torch.optim.Optimizer


def save(path: Path, standing: Standing, about: Mapping[str, str], *, writes: bool = True) -> None:
    """Write a checkpoint. All processes of a run must call it, as weights may be spread over them.

    Args:
        about: strings to keep with it.
        writes: whether this process writes.

    Raises:
        DiskFull, UsageError: it cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in standing.parameters.items():
        state = standing.optimizer.state.get(parameter, {})
        found = {"model": parameter, "mean": standing.means[name], **{key: state[key] for key in _MOMENTS if key in state}}
        for kind, value in found.items():
            whole = gathered(value)
            if writes:
                tensors[f"{kind}.{name}"] = whole
    if writes:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            save_file(tensors, beside, dict(about))


def read_about(path: Path) -> dict[str, str] | None:
    """The strings of a checkpoint; None if there is none that can be read."""
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return None


@torch.no_grad()
def take_up(path: Path, standing: Standing, step: int) -> None:
    """Fill in a checkpoint that `read_about` found usable.

    Args:
        step: that the optimizer has done.
    """
    with safe_open(path, "pt") as file:
        names = set(file.keys())
        for name, parameter in standing.parameters.items():
            _fill(parameter, file.get_tensor(f"model.{name}"))
            _fill(standing.means[name], file.get_tensor(f"mean.{name}"))
            if f"exp_avg.{name}" not in names:
                continue  # had no gradient yet
            moments = {kind: torch.zeros_like(parameter) for kind in _MOMENTS}
            for kind, value in moments.items():
                _fill(value, file.get_tensor(f"{kind}.{name}"))
            standing.optimizer.state[parameter] = {"step": torch.tensor(float(step)), **moments}


def _fill(target: Tensor, value: Tensor) -> None:
    if isinstance(target, DTensor):
        value = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    target.data.copy_(value)
