"""The pose encoder: drawn skeletons and head spheres -> features on the grid of the video latents.

In the paper the encoded pose is concatenated with the noised latent on channels. The convolutions are causal in time the way
the VAE's are: latent 0 sees frame 0 alone, latent k frames up to 4k. What leaves a pretrained transformer as it is, is the
transformer's own embedding of the pose, which begins at zero; a zero here as well would leave neither of the two a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

RGB = 3  # channels of a drawn skeleton with head sphere


class CausalConv3d(nn.Conv3d):
    """A 3D convolution that sees no later frame; before the first frame stands the first frame.

    Args:
        stride: in time and in space.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int, int], stride: tuple[int, int]) -> None:
        steps = (stride[0], stride[1], stride[1])
        sides = (0, (kernel[1] - stride[1] + 1) // 2, (kernel[2] - stride[1] + 1) // 2)
        super().__init__(in_channels, out_channels, kernel, steps, sides)
        self.before = kernel[0] - 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T', H', W')."""
        if self.before:
            x = torch.cat([x[:, :, :1].expand(-1, -1, self.before, -1, -1), x], 2)
        return cast(Tensor, super().forward(x))


class _Normed(nn.Module):
    """Norm over channels at each place (a norm over time would let later frames shine through), SiLU, convolution."""

    def __init__(self, channels: int, conv: nn.Module) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1, 1))
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        normed = x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-6).to(x.dtype)
        return cast(Tensor, self.conv(F.silu(normed * self.scale)))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_Normed(channels, CausalConv3d(channels, channels, (3, 3, 3), (1, 1))) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.layers(x))


class PoseEncoder(ModelMixin, ConfigMixin):
    """Pictures of poses -> pose channels of the latents.

    Args:
        out_channels: pose channels, the transformer's ``pose_channels``.
        channels: of the three scales, at 1/2, 1/4 and 1/8 of the pictures' size.
        num_res_blocks: residual blocks at the last scale.
        face_drawn: whether it reads the drawn face (`draw_face`), too; in the paper there is none. It is read a second time,
            by one linear map of each place: how far a small mouth is open is gone after the first convolutions.
    """

    @register_to_config
    def __init__(
        self, *, out_channels: int = 16, channels: Sequence[int] = (32, 64, 128), num_res_blocks: int = 2,
        face_drawn: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        half, quarter, eighth = channels
        self.conv_in = CausalConv3d(2 * RGB if face_drawn else RGB, half, (3, 4, 4), (1, 2))
        self.down = nn.Sequential(
            _Normed(half, CausalConv3d(half, quarter, (3, 4, 4), (2, 2))),
            _Normed(quarter, CausalConv3d(quarter, eighth, (3, 4, 4), (2, 2))),
        )
        self.blocks = nn.Sequential(*(_Residual(eighth) for _ in range(num_res_blocks)))
        self.conv_out = _Normed(eighth, CausalConv3d(eighth, out_channels, (1, 3, 3), (1, 1)))
        self.face_in = CausalConv3d(RGB, out_channels, (4, 8, 8), (4, 8)) if face_drawn else None

    def forward(self, pictures: Tensor) -> Tensor:
        """Encode.

        Args:
            pictures: (B, 3 or 6, T, H, W) in -1..1, see `draw.draw_pose`, T = 4F - 3, H and W multiples of 8. A face that it
                does not read is left out; one that is not given is black.

        Returns:
            (B, out_channels, F, H / 8, W / 8).

        Raises:
            ValueError: T, H or W do not fit: what is left over would be dropped silently.
        """
        _, _, frames, height, width = pictures.shape
        if frames % 4 != 1 or height % 8 or width % 8:
            raise ValueError(f"pose pictures need 4F-3 frames and sides that 8 divides, not {frames}x{height}x{width}")
        pictures = pictures[:, : self.conv_in.in_channels]
        lacking = self.conv_in.in_channels - pictures.shape[1]
        if lacking:
            pictures = F.pad(pictures, (0, 0, 0, 0, 0, 0, 0, lacking), value=-1.0)
        encoded = self.conv_out(self.blocks(self.down(self.conv_in(pictures))))
        if self.face_in is not None:
            encoded = encoded + self.face_in((pictures[:, RGB:] + 1) / 2)
        return cast(Tensor, encoded)
