"""The VAE as a stream: the bits of the whole, exact lengths, tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan

from dreamactor_cli.models import video_vae
from dreamactor_cli.models.patch_vae import PatchVAE
from dreamactor_cli.models.video_vae import LatentDecoder, LatentEncoder, denormalise, encode, normalise

STATISTICS = {"latents_mean": [0.5, -1.0, 0.0, 2.0], "latents_std": [2.0, 1.0, 0.5, 3.0]}


PATCHES = {"dim_mult": [1, 2, 2], "temperal_downsample": [True, True], "patch_size": 2, "in_channels": 12, "out_channels": 12}
FORMS = {  # of Wan 2.1, of Wan 2.2, and of our small ones
    "plain": {"dim_mult": [1, 1, 2, 2]},
    "residual and patches": {**PATCHES, "is_residual": True},
    "cells": {"_class_name": "PatchVAE", "hidden": 8},
}


@pytest.fixture(scope="module", params=FORMS)
def vae(request: pytest.FixtureRequest) -> AutoencoderKLWan:
    torch.manual_seed(0)
    small = {"z_dim": 4, **STATISTICS}
    if request.param != "cells":
        small |= {"base_dim": 4, "num_res_blocks": 1}
    made = video_vae.make_vae({**FORMS[request.param], **small}).eval().requires_grad_(False)
    if isinstance(made, PatchVAE):  # what refines begins as nothing
        for half in (made.encoder, made.decoder):
            torch.nn.init.normal_(half.refine[-1].weight, std=0.1)
    return made


@pytest.fixture(scope="module")
def clip() -> torch.Tensor:
    return torch.rand(1, 3, 17, 24, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("cuts", [[17], [2, 3, 7, 5], [1] * 17])
def test_a_stream_is_encoded_to_the_bits_of_the_whole(vae: AutoencoderKLWan, clip: torch.Tensor, cuts: list[int]) -> None:
    encoder = LatentEncoder(vae)
    streamed = [latent for piece in clip.split(cuts, 2) for latent in encoder.push(piece)] + encoder.finish()
    whole = normalise(vae, vae.encode(clip).latent_dist.mode())
    assert torch.equal(torch.cat(streamed, 2), whole)


@pytest.mark.parametrize("cuts", [[5], [2, 1, 2]])
def test_a_stream_is_decoded_to_the_bits_of_the_whole(vae: AutoencoderKLWan, clip: torch.Tensor, cuts: list[int]) -> None:
    latents = encode(vae, clip)
    decoder = LatentDecoder(vae)
    streamed = torch.cat([decoder.push(piece) for piece in latents.split(cuts, 2)], 2)
    assert torch.equal(streamed, vae.decode(denormalise(vae, latents)).sample)


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (2, 2), (5, 2), (10, 4)])
def test_no_frame_is_dropped(vae: AutoencoderKLWan, clip: torch.Tensor, frames: int, latents: int) -> None:
    """A clip whose length is not 4n+1 is filled up with its last frame."""
    filled = torch.cat([clip[:, :, :frames], clip[:, :, frames - 1 : frames].expand(-1, -1, 3, -1, -1)], 2)
    # A part of a longer clip lies otherwise in memory than a clip, and some processors round it otherwise.
    encoded = encode(vae, clip[:, :, :frames].contiguous())
    assert encoded.shape == (1, 4, latents, 3, 4)
    expected = vae.encode(filled[:, :, : 4 * latents - 3].contiguous()).latent_dist.mode()
    assert torch.equal(encoded, normalise(vae, expected))


def test_normalising_and_back(vae: AutoencoderKLWan) -> None:
    latents = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(denormalise(vae, normalise(vae, latents)), latents, atol=1e-6)
    assert torch.allclose(normalise(vae, latents)[:, 3], (latents[:, 3] - 2) / 3)


def test_frames_and_pixels() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), np.uint8)
    pixels = video_vae.to_pixels(frames)
    assert pixels.shape == (1, 3, 5, 8, 6)
    assert (float(pixels.min()), float(pixels.max())) >= (-1.0, 0.9)
    assert np.array_equal(video_vae.to_frames(pixels), frames)


def test_tiles_cover_the_picture(vae: AutoencoderKLWan, clip: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from the borders of tiles, and without the attention over the whole picture, tiles give the same picture."""
    monkeypatch.setattr(video_vae, "TILE", 6)
    monkeypatch.setattr(video_vae, "OVERLAP", 2)
    latents = torch.randn(1, 4, 3, 8, 15, generator=torch.Generator().manual_seed(2))
    whole = LatentDecoder(vae).push(latents)
    tiled = LatentDecoder(vae, tiled=True).push(latents)
    assert tiled.shape == whole.shape == (1, 3, 9, 64, 120)
    correlation = np.corrcoef(whole.flatten().numpy(), tiled.flatten().numpy())[0, 1]
    assert correlation > 0.9


def test_a_stream_goes_on_in_tiles(vae: AutoencoderKLWan, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was remembered is shared out: frames after the change are those that tiles give from the start, but for borders."""
    monkeypatch.setattr(video_vae, "TILE", 6)
    monkeypatch.setattr(video_vae, "OVERLAP", 2)
    latents = torch.randn(1, 4, 6, 8, 6, generator=torch.Generator().manual_seed(2))
    changed, fresh = LatentDecoder(vae), LatentDecoder(vae)
    before = changed.push(latents[:, :, :3])
    assert torch.equal(before, fresh.push(latents[:, :, :3]))
    changed.use_tiles()
    after, wanted = changed.push(latents[:, :, 3:]), fresh.push(latents[:, :, 3:])
    forgetful = LatentDecoder(vae, tiled=True).push(latents[:, :, 3:])[:, :, 1:]
    assert after.shape == wanted.shape == (1, 3, 12, 64, 48)
    assert (after - wanted).abs()[:, :, 1:4].mean() < 0.7 * (forgetful[:, :, :3] - wanted[:, :, 1:4]).abs().mean()


def test_a_push_that_fails_may_be_tried_again(vae: AutoencoderKLWan, monkeypatch: pytest.MonkeyPatch) -> None:
    latents = torch.randn(1, 4, 4, 3, 4, generator=torch.Generator().manual_seed(3))
    wanted = LatentDecoder(vae).push(latents)
    decoder = LatentDecoder(vae)
    first = decoder.push(latents[:, :, :1])
    calls: list[int] = []
    through: Callable[..., torch.Tensor] = vae.decoder.forward

    def breaks(*arguments: object, **named: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return through(*arguments, **named)

    monkeypatch.setattr(vae.decoder, "forward", breaks)
    with pytest.raises(torch.OutOfMemoryError):
        decoder.push(latents[:, :, 1:])
    assert torch.equal(torch.cat([first, decoder.push(latents[:, :, 1:])], 2), wanted)


def test_a_round_trip_gives_the_frames_of_a_stream(vae: AutoencoderKLWan, clip: torch.Tensor) -> None:
    frames = video_vae.to_frames(clip)
    back = video_vae.round_trip(vae, frames)
    whole = LatentDecoder(vae).push(encode(vae, video_vae.to_pixels(frames)))
    assert back.shape == frames.shape
    assert np.array_equal(back, video_vae.to_frames(whole))
