"""What pictures are compared by in training: pixels, and edges at several scales.

Edges stand in for a perceptual loss: networks that judge pictures (LPIPS) carry weights whose pictures nobody can name.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_SCALES = (1, 2, 4)
_EDGES = 0.5
REGION = 20.0  # weight of mouths, eyes and brows, of which there are few pixels and of which all depends


class PixelLoss(NamedTuple):
    """Each (B,).

    Attributes:
        loss: what to learn from.
        pixels: mean absolute error, of 2.
        psnr: dB, over all pixels alike.
    """

    loss: Tensor
    pixels: Tensor
    psnr: Tensor


def pixel_loss(got: Tensor, wanted: Tensor, regions: Tensor) -> PixelLoss:
    """Compare clips.

    Args:
        got, wanted: (B, 3, T, H, W) in -1..1.
        regions: (B, T, H, W) 0..1, how much a pixel matters more than others.
    """
    weights = 1 + (REGION - 1) * regions[:, None].to(got)
    each = (1, 2, 3, 4)
    wrong = got - wanted
    pixels = (wrong.abs() * weights).mean(each) / weights.mean(each)
    edges = torch.stack([_edges(wrong, weights, scale) for scale in _SCALES]).sum(0)
    with torch.no_grad():
        psnr = -10 * torch.log10(wrong.square().mean(each) / 4 + 1e-10)
    return PixelLoss(pixels + _EDGES * edges, pixels, psnr)


def _edges(wrong: Tensor, weights: Tensor, scale: int) -> Tensor:
    """Mean absolute difference between neighbours in what is wrong, weighted, (B,), at 1 / scale of the size."""
    if scale > 1:
        wrong, weights = (functional.avg_pool3d(x, (1, scale, scale)) for x in (wrong, weights))
    each = (1, 2, 3, 4)
    across = (wrong.diff(dim=-1).abs() * weights[..., 1:]).mean(each) / weights[..., 1:].mean(each)
    down = (wrong.diff(dim=-2).abs() * weights[..., 1:, :]).mean(each) / weights[..., 1:, :].mean(each)
    return across + down
