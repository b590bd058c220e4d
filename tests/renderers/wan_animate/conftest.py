"""The tiny weights, loaded, and pictures to sample from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dreamactor_cli.renderers.wan_animate.segments import Pictures
from tests.renderers.wan_animate import tiny

if TYPE_CHECKING:
    from diffusers import WanAnimatePipeline

    from dreamactor_cli.renderers.wan_animate.segments import Prompt


@pytest.fixture(scope="session")
def loaded(tiny_wan: Path) -> tuple[WanAnimatePipeline, Prompt]:
    """The pipeline and the prompt of these weights, in float32."""
    import torch

    from dreamactor_cli.renderers.wan_animate import weights

    return weights.load_pipeline(tiny_wan, "cpu", torch.float32, 0), weights.load_prompt(tiny_wan)


@pytest.fixture
def noise() -> Callable[..., Pictures]:
    """``noise(frames)``: pictures of nothing, 32x32."""

    def make(frames: int, size: int = 32) -> Pictures:
        rng = np.random.default_rng(7)
        poses = rng.integers(0, 255, (frames, size, size, 3), dtype=np.uint8)
        return Pictures(poses=poses, faces=rng.integers(0, 255, (frames, tiny.FACE, tiny.FACE, 3), dtype=np.uint8))

    return make
