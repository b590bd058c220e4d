"""Caches that reuse what a block gave at earlier steps (diffusers' hooks), switched on and off on a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dreamactor_cli.errors import UsageError
from dreamactor_cli.models.sampling import StepCache

# Thresholds and intervals that diffusers documents as barely visible.
FIRST_BLOCK_THRESHOLD = 0.05
MAG_THRESHOLD = 0.06
TAYLOR_INTERVAL = 3
TAYLOR_BEGIN = 3


def use_step_cache(transformer: Any, name: StepCache, steps: int, mag_ratios: Sequence[float] | None) -> None:
    """Switch a cache on, in place of what was on before; it begins empty.

    Args:
        mag_ratios: measured on these weights, which MagCache needs.

    Raises:
        UsageError: MagCache without its ratios.
    """
    from diffusers.hooks import FirstBlockCacheConfig, MagCacheConfig, TaylorSeerCacheConfig

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
    elif name == "mag":
        if not mag_ratios:
            raise UsageError("--step-cache mag needs ratios that were measured on the weights; these have none",
                             "use --step-cache first-block")  # fmt: skip
        transformer.enable_cache(MagCacheConfig(threshold=MAG_THRESHOLD, num_inference_steps=steps, mag_ratios=list(mag_ratios)))
