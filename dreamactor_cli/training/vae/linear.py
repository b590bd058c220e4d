"""What a small VAE begins with: the best linear code of its size, found by principal components of patches.

A short training from random weights ends below what principal components give at once, so it begins with them. The code is
taken in two steps, each of 2 x 2 places and two frames, as the VAE's convolutions are: within a frame the leading components,
then half the sum of two frames and half their difference. The decoder is its transpose. All residual blocks begin as nothing.

What stands in the way are the last norm and SiLU of encoder and decoder. ``silu(x) - silu(-x) = x`` takes the one, a large
constant among the channels, which the norm then mostly measures, the other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import WanResidualBlock, patchify
from torch import Tensor, nn

from dreamactor_cli.models.subpixel_vae import SubpixelVAE

_STILL = 0.625  # share of a scale's channels that say what is in a frame; the others, how a pair differs
_CONSTANT = 16.0  # the large constant, against values of about 1
_LOG_VARIANCE = -8.0


class _Step(NamedTuple):
    """One step of the code; columns are components.

    Attributes:
        space: (4 c, k), of 2 x 2 places with c channels each, places first.
        still, moving: channels that hold sums and differences of pairs; still = k.
    """

    space: Tensor
    still: int
    moving: int


@torch.no_grad()
def start_linear(vae: SubpixelVAE, pixels: Tensor, weights: Tensor) -> None:
    """Write the code into a VAE of three scales.

    Args:
        vae: not residual, wide enough to hold latents and pixels with their negatives.
        pixels: (B, 3, 5, H, W) in -1..1, to find components in.
        weights: (B, 5, H, W), how much each pixel counts.

    Raises:
        ValueError: the config has another form.
    """
    config = vae.config
    widths = [config.base_dim * factor for factor in config.dim_mult]
    channels = config.in_channels
    fits = len(widths) == 3 and widths[2] > max(widths[1], 2 * config.z_dim) and widths[1] // 2 > 2 * channels
    if config.is_residual or not fits or config.temperal_downsample != [True, True]:
        raise ValueError("a linear start is for three scales, not residual, with room for values and their negatives")
    _silence(vae)
    values, counted = patchify(pixels, config.patch_size), _pooled(weights[:, None], config.patch_size)
    steps = []
    for width in widths[:2]:
        still = round(_STILL * width)
        blocks, counted = _blocks(values), _pooled(counted, 2)
        space = _components(blocks, counted, still)
        steps.append(_Step(space, still, width - still))
        values = _paired(torch.einsum("bcthw,ck->bkthw", blocks, space), width - still)
        counted = torch.cat([counted[:, :, :1], (counted[:, :, 1::2] + counted[:, :, 2::2]) / 2], 2)
    last = _components(values, counted, config.z_dim)
    typical = float(values.square().sum(1).mean().sqrt())
    _write_encoder(vae, channels, steps, last, typical)
    _write_decoder(vae, channels, steps, last)


def _silence(vae: SubpixelVAE) -> None:
    """Let what is beside the shortcuts add nothing, and clear what the code is written into."""
    for half in (vae.encoder, vae.decoder):
        for module in half.modules():
            if isinstance(module, WanResidualBlock):
                for parameter in module.conv2.parameters():
                    nn.init.zeros_(parameter)
        for parameter in half.mid_block.attentions[0].proj.parameters():
            nn.init.zeros_(parameter)


def _pooled(weights: Tensor, side: int) -> Tensor:
    return nn.functional.avg_pool3d(weights, (1, side, side))


def _blocks(values: Tensor) -> Tensor:
    """(B, C, T, H, W) to (B, 4 C, T, H/2, W/2), places first."""
    parts = [values[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    return torch.cat(parts, 1)


def _paired(values: Tensor, moving: int) -> Tensor:
    """A first frame, then pairs of frames as half their sums and, of the first channels, differences."""
    first, one, two = values[:, :, :1], values[:, :, 1::2], values[:, :, 2::2]
    still = torch.cat([first, (one + two) / 2], 2)
    differs = torch.cat([torch.zeros_like(first), (one - two) / 2], 2)[:, :moving]
    return torch.cat([still, differs], 1)


def _components(values: Tensor, counted: Tensor, count: int) -> Tensor:
    """Leading principal components (C, count) of (B, C, T, H, W), not centred, so that the code needs no constants."""
    rows = values.transpose(0, 1).flatten(1)
    moments = (rows * counted.transpose(0, 1).flatten(1)) @ rows.T
    return torch.linalg.eigh(moments.double())[1].flip(1)[:, :count].float()


def _clear(conv: nn.Module) -> nn.Module:
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


def _through(conv: nn.Module | None) -> None:
    """Let a 1 x 1 x 1 shortcut carry its channels over as they are."""
    if isinstance(conv, nn.Conv3d):
        _clear(conv)
        least = min(conv.in_channels, conv.out_channels)
        conv.weight[:least, :least, 0, 0, 0] = torch.eye(least)


def _write_encoder(vae: SubpixelVAE, channels: int, steps: list[_Step], last: Tensor, typical: float) -> None:
    encoder, z = vae.encoder, last.shape[1]
    first, down, middle, down_again, widening = encoder.down_blocks
    _clear(encoder.conv_in).weight[:channels, :channels, 2, 1, 1] = torch.eye(channels)
    _through(first.conv_shortcut)
    _through(middle.conv_shortcut)
    for resample, step in zip((down, down_again), steps, strict=True):
        count = len(step.space) // 4
        space = _clear(resample.resample[1]).weight
        for place in range(4):
            space[: step.still, :count, place // 2, place % 2] = step.space[place * count : (place + 1) * count].T
        time = _clear(resample.time_conv).weight[..., 0, 0]
        still, differs = torch.eye(step.still), torch.arange(step.moving)
        time[: step.still, : step.still, 1] = time[: step.still, : step.still, 2] = still / 2
        time[step.still + differs, differs, 1], time[step.still + differs, differs, 2] = 0.5, -0.5
    scale = 1 / typical
    shortcut = _clear(widening.conv_shortcut)
    shortcut.weight[:z, :, 0, 0, 0], shortcut.weight[z : 2 * z, :, 0, 0, 0] = scale * last.T, -scale * last.T
    shortcut.bias[-1] = _CONSTANT / 4
    gain = _CONSTANT / 4 / shortcut.out_channels**0.5 / scale
    out = _clear(encoder.conv_out)
    out.weight[:z, :z, 2, 1, 1], out.weight[:z, z : 2 * z, 2, 1, 1] = gain * torch.eye(z), -gain * torch.eye(z)
    out.bias[z:] = _LOG_VARIANCE
    _through(vae.quant_conv)


def _write_decoder(vae: SubpixelVAE, channels: int, steps: list[_Step], last: Tensor) -> None:
    decoder = vae.decoder
    _through(vae.post_quant_conv)
    _clear(decoder.conv_in).weight[: len(last), : last.shape[1], 2, 1, 1] = last
    ups = [block.upsamplers[0] for block in decoder.up_blocks[:2]]
    for block in decoder.up_blocks:
        _through(block.resnets[0].conv_shortcut)
    for resample, step in zip(ups, reversed(steps), strict=True):
        width = resample.dim
        time = _clear(resample.time_conv).weight[..., 2, 0, 0]
        still, differs = torch.arange(step.still), torch.arange(step.moving)
        for frame, sign in ((0, 1.0), (1, -1.0)):
            time[frame * width + still, still] = 1.0
            time[frame * width + differs, step.still + differs] = sign
        count = len(step.space) // 4
        space = _clear(resample.resample[0]).weight
        for place in range(4):
            rows = 4 * torch.arange(count) + place  # as PixelShuffle reads them
            space[rows, : step.still, 1, 1] = step.space[place * count : (place + 1) * count]
    # The last one gives each value and its negative, and the constant.
    final = ups[-1].resample[0]
    final.weight[4 * channels : 8 * channels] = -final.weight[: 4 * channels]
    final.bias[-4:] = _CONSTANT
    gain = _CONSTANT / decoder.conv_out.in_channels**0.5
    out = _clear(decoder.conv_out)
    out.weight[:, :channels, 2, 1, 1] = gain * torch.eye(channels)
    out.weight[:, channels : 2 * channels, 2, 1, 1] = -gain * torch.eye(channels)
