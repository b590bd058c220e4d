"""One copy of the weights for several processes (FSDP 2): each keeps a share, and gets the rest of a block when it is its turn.

This is torch's own, called by us and not through accelerate, which has it for GPUs alone: what runs on GPUs is tested on CPUs.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Collection
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributed import get_world_size
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor


def share_out(network: nn.Module, blocks: Collection[str], precision: Literal["float32", "bfloat16"], device: str) -> nn.Module:
    """A network like this one, whose weights are shared out among all processes; this one stays whole, on the CPU.

    What is computed in is cast by autocast, as where each process has a copy: times and noise levels keep all their bits.

    Args:
        blocks: names of the classes whose weights are fetched together.
        precision: that weights travel in; shares and gradients are float32.
        device: ``cpu`` or ``cuda``; the shares lie there.
    """
    network.to("cpu")
    same = {id(value): nn.Parameter(value.detach(), value.requires_grad) for value in network.parameters()}
    shared = copy.deepcopy(network, same)  # of which the weights are the same memory
    mesh = init_device_mesh(device, (get_world_size(),))
    policy = MixedPrecisionPolicy(
        param_dtype=getattr(torch, precision), reduce_dtype=torch.float32, cast_forward_inputs=False
    )  # fmt: skip
    # Keys and values that a block returns are views; nothing is changed in place.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor", UserWarning)
    for module in list(shared.modules()):
        if type(module).__name__ in blocks:
            fully_shard(module, mesh=mesh, mp_policy=policy)
    fully_shard(shared, mesh=mesh, mp_policy=policy)
    return shared


def gathered(value: Tensor) -> Tensor:
    """A weight on the CPU. Where it is shared out, all processes must ask for it."""
    value = value.detach()
    return (value.full_tensor() if isinstance(value, DTensor) else value).cpu().contiguous()
