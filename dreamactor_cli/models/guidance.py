"""Classifier-free guidance over reference and motion separately: what leaving one out means, and how answers are combined.

With the full answer ``v``, ``v_r`` without the reference and ``v_m`` without the motion:

    v + (g_r - 1) (v - v_r) + (g_m - 1) (v - v_m)

A guidance of 1 needs no second answer. Training drops with the same functions, so that an answer without means what was learned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Branch = Literal["full", "no_reference", "no_motion"]


def drop_reference(references: Tensor, dropped: Tensor | None = None) -> Tensor:
    """Reference latents (B, N, C, H, W) left out: zeros.

    Args:
        dropped: (B,) bool, of which samples; None is of all.
    """
    return _without(references, dropped)


def drop_motion(poses: Tensor, motion_frames: Tensor, dropped: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Motion left out: pose features (B, Cp, F, H, W) of zeros, and motion tokens that belong to no frame.

    Args:
        motion_frames: (M,) or (B, M), the latent frame of each motion token.
        dropped: (B,) bool, of which samples; None is of all.

    Returns:
        The pose features, and the latent frames (B, M), -1 where a token is left out.
    """
    frames = motion_frames.expand(len(poses), -1)
    gone = torch.ones_like(frames, dtype=torch.bool) if dropped is None else dropped[:, None]
    return _without(poses, dropped), frames.masked_fill(gone, -1)


def _without(values: Tensor, dropped: Tensor | None) -> Tensor:
    if dropped is None:
        return values.new_zeros(values.shape)
    return values.masked_fill(dropped.view(-1, *[1] * (values.ndim - 1)), 0)


def branches(reference: float, motion: float) -> tuple[Branch, ...]:
    """The answers that are needed for two strengths of guidance."""
    named: tuple[tuple[Branch, float], ...] = (("no_reference", reference), ("no_motion", motion))
    return ("full", *(name for name, strength in named if strength != 1.0))


def guided(answer: Callable[[Branch], Tensor], reference: float, motion: float) -> Tensor:
    """The combined answer; only the branches that count are asked for, the full one first."""
    full = answer("full")
    out = full
    for branch in branches(reference, motion)[1:]:
        strength = reference if branch == "no_reference" else motion
        out = out + (strength - 1) * (full - answer(branch))
    return out
