"""The pose encoder: aligned with the latents, and blind to what comes later."""

from __future__ import annotations

import pytest
import torch

from dreamactor_cli.models.pose_encoder import PoseEncoder


@pytest.fixture(scope="module")
def encoder() -> PoseEncoder:
    torch.manual_seed(0)
    return PoseEncoder(out_channels=6, channels=(8, 8, 16), num_res_blocks=1).requires_grad_(False)


def test_the_grid_is_that_of_the_latents(encoder: PoseEncoder) -> None:
    assert encoder(torch.zeros(2, 3, 17, 48, 64)).shape == (2, 6, 5, 6, 8)
    assert encoder(torch.zeros(1, 3, 1, 16, 16)).shape == (1, 6, 1, 2, 2)


@pytest.mark.parametrize("changed", [1, 5, 9])
def test_a_latent_sees_its_own_frames_and_earlier_ones(encoder: PoseEncoder, changed: int) -> None:
    """A change in frame t shows from latent (t + 3) // 4 on: in the latent that holds it, and in none before."""
    pictures = torch.rand(1, 3, 13, 16, 16, generator=torch.Generator().manual_seed(0))
    other = pictures.clone()
    other[:, :, changed] = 0
    difference = (encoder(pictures) - encoder(other)).abs().amax((0, 1, 3, 4))
    holder = (changed + 3) // 4
    assert (difference[:holder] == 0).all()
    assert difference[holder] > 0


@pytest.mark.parametrize("shape", [(4, 16, 16), (5, 20, 16), (5, 16, 12)])
def test_what_would_be_dropped_is_refused(encoder: PoseEncoder, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="4F-3"):
        encoder(torch.zeros(1, 3, *shape))


def test_only_who_reads_the_drawn_face_sees_it(encoder: PoseEncoder) -> None:
    """A face that is not given is black: so does a stage without a face leave it out."""
    pictures = torch.rand(1, 6, 5, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    black = pictures.clone()
    black[:, 3:] = -1
    torch.manual_seed(0)
    reader = PoseEncoder(out_channels=6, channels=(8, 8, 16), num_res_blocks=1, face_drawn=True).requires_grad_(False)
    assert torch.equal(encoder(pictures), encoder(black))
    assert not torch.equal(reader(pictures), reader(black))
    assert torch.equal(reader(pictures[:, :3]), reader(black))
