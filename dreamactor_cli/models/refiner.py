"""The refiner: frames that a small model drew and what is drawn of the face -> the same frames with sharp mouths and eyes. Ours.

A transformer that learns for hours on a CPU draws the mean of what could be, cell by cell; whether lips are open by one pixel
or by two drowns in it, though the pose pictures say so to a quarter of a pixel. Convolutions over squares of 2 x 2 px, which
know of being shifted, read it there and paint it. The paper has nothing like it, and a transformer that learned long enough
needs none.

Each frame is refined alone, so there is no seam for it to make.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

POSE_CHANNELS = 6  # of `draw.draw_pose`: skeleton and head sphere, and the drawn face
_SQUARE = 2  # px a side that are one place


class FrameRefiner(ModelMixin, ConfigMixin):
    """A small U-Net that adds to a frame what it lacks.

    It begins with squares of 2 x 2 px as one place: a CPU takes a fifth of the time of one that begins with pixels.

    Args:
        channels: at a half and a quarter of the frame's size.
    """

    @register_to_config
    def __init__(self, *, channels: Sequence[int] = (48, 64)) -> None:
        super().__init__()
        half, quarter = channels
        self.conv_in = nn.Sequential(nn.Conv2d((3 + POSE_CHANNELS) * _SQUARE**2, half, 3, padding=1), _Residual(half))
        self.down = nn.Sequential(nn.Conv2d(half, quarter, 4, 2, 1), _Residual(quarter), _Residual(quarter))
        self.up = nn.Conv2d(quarter, half, 3, padding=1)
        self.conv_out = nn.Sequential(_Residual(half), nn.SiLU(), nn.Conv2d(half, 3 * _SQUARE**2, 3, padding=1))
        last = cast(nn.Conv2d, self.conv_out[-1])
        nn.init.zeros_(last.weight)  # at first a frame stays as it is
        nn.init.zeros_(cast(Tensor, last.bias))

    def forward(self, frames: Tensor, poses: Tensor) -> Tensor:
        """Refine.

        Args:
            frames: (B, 3, H, W) in -1..1, H and W multiples of 4.
            poses: (B, 3 or 6, H, W) in -1..1, the pose pictures of the same frames; a face that is not given is black.

        Returns:
            (B, 3, H, W), not bounded.
        """
        poses = functional.pad(poses, (0, 0, 0, 0, 0, POSE_CHANNELS - poses.shape[1]), value=-1.0)
        half = self.conv_in(functional.pixel_unshuffle(torch.cat([frames, poses], 1), _SQUARE))
        half = half + self.up(functional.interpolate(self.down(half), scale_factor=2.0))
        return frames + functional.pixel_shuffle(cast(Tensor, self.conv_out(half)), _SQUARE)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(layer for _ in range(2) for layer in (nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)))
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.layers(x))
