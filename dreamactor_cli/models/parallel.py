"""One video on several devices: every rank computes a stretch of the tokens (Ulysses, arXiv 2309.14509).

Every rank runs the same program with the same seed, started by ``torchrun --nproc-per-node N``::

    with ranks(degree) as rank:
        share_tokens(model, degree)
        ...                          # every rank gets the whole answer of the model; rank 0 writes the file

All-to-all exchanges turn "all heads of some tokens" into "some heads of all tokens" for the self-attention and the reference
attention, and back; all else concerns single tokens. References are shared out the same way, so that every rank keeps a part of
the `ReferenceCache`. It is for rendering: there is no way back for gradients. Training uses data parallelism, which is
accelerate's, and rendering several jobs the executors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import torch
from diffusers import ContextParallelConfig
from torch import distributed

from dreamactor_cli.errors import MissingRequirement, UsageError

_PATIENCE = timedelta(minutes=10)  # until a rank that does not answer is given up


@contextmanager
def ranks(degree: int) -> Iterator[int]:
    """Join the ranks that torchrun has started, and leave them at the end; this process's own number.

    Raises:
        UsageError: there are not that many ranks.
        MissingRequirement: there are fewer devices than ranks on this machine.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if degree != world:
        hint = f"start the program with: torchrun --nproc-per-node {degree} -m dreamactor_cli ..."
        raise UsageError(f"context parallelism over {degree} ranks was asked for and {world} run", hint)
    if degree == 1:
        yield 0
        return
    local, devices = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if torch.cuda.is_available():
        if local >= devices:
            raise MissingRequirement(f"rank {local} has no device, this machine has {devices}", "start fewer ranks a machine")
        torch.cuda.set_device(local)
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    try:
        yield distributed.get_rank()
    finally:
        distributed.destroy_process_group()


def share_tokens(model: Any, degree: int) -> None:
    """Share the tokens of a transformer out among the ranks that were joined; once a model.

    Args:
        model: a `DreamActorTransformer3DModel`, the same on every rank.
        degree: how many ranks; 1 changes nothing.

    Raises:
        ValueError: a step cache is on, which may only come afterwards.
    """
    if degree == 1:
        return
    if model.is_cache_enabled:
        raise ValueError("tokens are shared out before a step cache is switched on")
    # "anything": stretches may differ by a token, so that any size of picture can be shared out, and heads are filled up.
    config = ContextParallelConfig(ulysses_degree=degree, ulysses_anything=True)
    if torch.accelerator.is_available():
        model.enable_parallelism(config=config)
    else:
        with patch("torch.accelerator.device_count", lambda: 1):  # diffusers divides by it, and CPUs are none
            model.enable_parallelism(config=config)
