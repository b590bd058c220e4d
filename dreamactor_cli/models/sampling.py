"""Flow matching: noise levels, the noise of a segment, and Euler's steps from noise to a clip of latents.

With clean latents ``x0`` and noise ``e`` a noised latent is ``x = (1 - s) x0 + s e``; the model answers ``v = e - x0``, and a
step from level s to s' is ``x + (s' - s) v``. The model's time is 1000 s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

StepCache = Literal["off", "first-block", "taylor", "mag"]
TIME = 1000.0  # the model's time of pure noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a clip is drawn from noise.

    Attributes:
        steps: of Euler.
        shift: bends the noise levels towards noise (above 1), where the large forms are made.
        guidance_reference, guidance_motion: see `guidance`; 1 is none, and costs nothing.
        segment_frames: longest segment; it is rounded down to 4n+1.
        opening_noise: noise level of the latent that opens a later segment, as in training: its faults are then not
            believed, and do not grow from segment to segment.
        seed: of the noise.
        step_cache: what reuses answers of earlier steps.
        shifts: draws whose mean is shown, each with the picture elsewhere, see `shifts`; 1, 2 or 4.
    """

    steps: int = 20
    shift: float = 3.0
    guidance_reference: float = 2.5
    guidance_motion: float = 2.5
    segment_frames: int = 73
    opening_noise: float = 0.0
    seed: int = 0
    step_cache: StepCache = "off"
    shifts: int = 1


def flow_sigmas(steps: int, shift: float) -> list[float]:
    """Noise levels from 1 to 0, ``steps + 1`` of them, bent by ``s' = shift s / (1 + (shift - 1) s)``."""
    levels = np.linspace(1.0, 0.0, steps + 1)
    return [float(level) for level in shift * levels / (1 + (shift - 1) * levels)]


def segment_noise(shape: tuple[int, ...], seed: int, segment: int) -> Tensor:
    """Noise of a segment, float32 on the CPU: the same on every device, and another for every seed and segment."""
    mixed = np.random.SeedSequence([seed, segment]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(mixed) & (2**63 - 1))
    return torch.randn(shape, generator=generator)


def noised(opening: Tensor, noise: Tensor, level: float) -> Tensor:
    """The latent that opens a segment (1, C, 1, h, w), with noise of a level in it; `noise` is the segment's."""
    return torch.lerp(opening, noise[:, :, :1].to(opening), level) if level else opening


def integrate(
    velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, sigmas: list[float], opening: Tensor | None,
    on_step: Callable[[int], None],
) -> Tensor:  # fmt: skip
    """Euler's steps.

    Args:
        velocity: answers latents (1, C, F, h, w) and times (1, F).
        noise: (1, C, F, h, w), float32.
        opening: latents (1, C, 1, h, w) that the segment begins with; they stay as they are.
        on_step: called after each step with the number of steps that are done.

    Returns:
        Latents (1, C, F, h, w), float32.
    """
    x = noise
    if opening is not None:
        x = torch.cat([opening.to(x), x[:, :, 1:]], 2)
    for done, (level, following) in enumerate(zip(sigmas, sigmas[1:], strict=False), 1):
        times = x.new_full((1, x.shape[2]), TIME * level)
        if opening is not None:
            times[:, 0] = 0
        step = (following - level) * velocity(x, times).float()
        if opening is not None:
            step[:, :, 0] = 0
        x = x + step
        on_step(done)
    return x
