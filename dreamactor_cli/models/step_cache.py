"""Caches that reuse what a block gave at earlier steps (diffusers' hooks), switched on and off on a transformer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dreamactor_cli.models.sampling import StepCache

# Thresholds and intervals that diffusers documents as barely visible.
FIRST_BLOCK_THRESHOLD = 0.05
MAG_THRESHOLD = 0.06
TAYLOR_INTERVAL = 3
TAYLOR_BEGIN = 3
_LEAST_NORM = 1e-8


class StepCaching:
    """The step cache of a clip, in place of what was on before; it begins empty.

    MagCache (Ma et al. 2025) has to know by how much that which the blocks add grows or shrinks from step to step. This depends
    on weights, steps and guidance, so it is measured while the first segment of the clip is drawn, at which nothing is skipped.

    Args:
        transformer: whose blocks are hooked.
        steps: of a segment.
    """

    def __init__(self, transformer: Any, name: StepCache, steps: int) -> None:
        from diffusers.hooks import FirstBlockCacheConfig, TaylorSeerCacheConfig

        self._transformer, self._steps = transformer, steps
        self._measures = name == "mag"
        if transformer.is_cache_enabled:
            transformer.disable_cache()
        if name == "first-block":
            transformer.enable_cache(FirstBlockCacheConfig(threshold=FIRST_BLOCK_THRESHOLD))
        elif name == "taylor":
            transformer.enable_cache(
                TaylorSeerCacheConfig(
                    cache_interval=TAYLOR_INTERVAL, disable_cache_before_step=TAYLOR_BEGIN, use_lite_mode=True
                )
            )  # fmt: skip

    @contextmanager
    def segment(self) -> Iterator[None]:
        """Around the steps of one segment."""
        from diffusers.hooks import MagCacheConfig

        self._transformer._reset_stateful_cache()
        if not self._measures:
            yield
            return
        with _lengths(self._transformer.blocks) as lengths:
            yield
        ratios = _ratios(lengths, self._steps)
        self._transformer.enable_cache(
            MagCacheConfig(threshold=MAG_THRESHOLD, num_inference_steps=self._steps, mag_ratios=ratios)
        )  # fmt: skip
        self._measures = False


@contextmanager
def _lengths(blocks: nn.ModuleList) -> Iterator[list[Tensor]]:
    """Collects, of every forward, the length of what all blocks together add to each token, (B, L)."""
    lengths: list[Tensor] = []
    begun: list[Tensor] = []

    @torch.compiler.disable
    def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        begun[:] = [inputs[0]]

    @torch.compiler.disable
    def after(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        lengths.append(torch.linalg.vector_norm((output - begun.pop()).float(), dim=-1))

    hooks = [blocks[0].register_forward_pre_hook(before), blocks[-1].register_forward_hook(after)]
    try:
        yield lengths
    finally:
        for hook in hooks:
            hook.remove()


def _ratios(lengths: list[Tensor], steps: int) -> list[float]:
    """Of each step, the mean growth of lengths since the step before, without guidance; 1 for the first."""
    full = lengths[:: len(lengths) // steps]  # the full answer is the first that a step asks for
    return [1.0] + [float((now / (last + _LEAST_NORM)).mean()) for last, now in zip(full[:-1], full[1:], strict=True)]
