"""One video on several devices: every rank computes a stretch of the tokens (Ulysses, arXiv 2309.14509).

Every rank is a process that runs the same program with the same seed::

    join(rank, degree, meeting, device)
    share_tokens(model, degree)
    ...                          # every rank gets the whole answer of the model
    leave(device)

All-to-all exchanges turn "all heads of some tokens" into "some heads of all tokens" for the self-attention and the reference
attention, and back; all else concerns single tokens. References are shared out the same way, so that every rank keeps a part of
the `ReferenceCache`. It is for rendering: there is no way back for gradients. Training uses data parallelism, which is
accelerate's, and rendering several jobs the executors.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from diffusers import ContextParallelConfig
from torch import distributed
from torch.distributed.distributed_c10d import _abort_process_group

from dreamactor_cli.errors import UsageError

_PATIENCE = timedelta(minutes=10)  # until a rank that lives and does not answer is given up


def join(rank: int, degree: int, meeting: Path, device: str) -> None:
    """Join the other ranks of this machine; waits until all have come.

    Args:
        rank: this process's own number, 0..degree-1; on GPUs also the number of its device.
        meeting: file through which they find each other, not there yet, in a folder that nobody else may write to.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        UsageError: this process is a member of other ranks already.
    """
    if distributed.is_initialized():
        raise UsageError("this process belongs to a group of torch.distributed", "share a clip out in a process of its own")
    if device == "cuda":
        torch.cuda.set_device(rank)
    store = distributed.FileStore(str(meeting), degree)
    backend = "nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=degree, timeout=_PATIENCE)


def leave(device: str) -> None:
    """Leave the ranks, whether the others are still there or not; ends what another thread waits for on a GPU."""
    if not distributed.is_initialized():
        return
    if device == "cuda":
        _abort_process_group()  # NCCL would wait for those that are gone
    else:
        distributed.destroy_process_group()


def share_tokens(model: Any, degree: int) -> None:
    """Share the tokens of a transformer out among the ranks that were joined; once a model.

    Args:
        model: a `DreamActorTransformer3DModel`, the same on every rank.
        degree: how many ranks; 1 changes nothing.

    Raises:
        ValueError: a step cache is on, which may only come afterwards.
        UsageError: an attention has too few heads for so many ranks.
    """
    if degree == 1:
        return
    heads = sorted({attention.heads for block in model.blocks for attention in (block.attn1, block.attn_reference)})
    if not _have_enough(heads, degree):
        fitting = [str(n) for n in range(2, heads[-1] + 1) if _have_enough(heads, n)]
        what = f"{' and '.join(map(str, heads))} heads of attention cannot be shared among {degree}, as --context-parallel asks"
        raise UsageError(
            what, f"with these weights give {' or '.join(fitting)}" if fitting else "leave it out with these weights"
        )
    if model.is_cache_enabled:
        raise ValueError("tokens are shared out before a step cache is switched on")
    # "anything": stretches may differ by a token, so that any size of picture can be shared out, and heads are filled up.
    config = ContextParallelConfig(ulysses_degree=degree, ulysses_anything=True)
    chatter = logging.getLogger("diffusers.models.modeling_utils")  # that it is experimental helps nobody who renders
    before = chatter.level
    chatter.setLevel(logging.ERROR)
    try:
        if torch.accelerator.is_available():
            model.enable_parallelism(config=config)
        else:
            with patch("torch.accelerator.device_count", lambda: 1):  # diffusers divides by it, and CPUs are none
                model.enable_parallelism(config=config)
    finally:
        chatter.setLevel(before)


def _have_enough(heads: list[int], degree: int) -> bool:
    """Whether every rank has a head of its own; the last one may have fewer than the others, but not none."""
    return all(-count % degree < -(-count // degree) for count in heads)
