"""The pose encoder: aligned with the latents, and blind to what comes later."""

from __future__ import annotations

import pytest
import torch

from dreamactor_cli.models.pose_encoder import PoseEncoder


def _encoder(*, face_drawn: bool) -> PoseEncoder:
    torch.manual_seed(0)
    made = PoseEncoder(out_channels=6, channels=(8, 8, 16), num_res_blocks=1, face_drawn=face_drawn)
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def encoder() -> PoseEncoder:
    return _encoder(face_drawn=False)


@pytest.fixture(scope="module")
def reader() -> PoseEncoder:
    return _encoder(face_drawn=True)


def test_the_grid_is_that_of_the_latents(encoder: PoseEncoder) -> None:
    assert encoder(torch.zeros(2, 3, 17, 48, 64)).shape == (2, 6, 5, 6, 8)
    assert encoder(torch.zeros(1, 3, 1, 16, 16)).shape == (1, 6, 1, 2, 2)


@pytest.mark.parametrize("changed", [1, 5, 9])
@pytest.mark.parametrize("kind", ["encoder", "reader"])
def test_a_latent_sees_its_own_frames_and_earlier_ones(kind: str, changed: int, request: pytest.FixtureRequest) -> None:
    """A change in frame t shows from latent (t + 3) // 4 on: in the latent that holds it, and in none before."""
    encode: PoseEncoder = request.getfixturevalue(kind)
    pictures = torch.rand(1, 6, 13, 16, 16, generator=torch.Generator().manual_seed(0))
    other = pictures.clone()
    other[:, :, changed] = 0
    difference = (encode(pictures) - encode(other)).abs().amax((0, 1, 3, 4))
    holder = (changed + 3) // 4
    assert (difference[:holder] == 0).all()
    assert difference[holder] > 0


@pytest.mark.parametrize("shape", [(4, 16, 16), (5, 20, 16), (5, 16, 12)])
def test_what_would_be_dropped_is_refused(encoder: PoseEncoder, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="4F-3"):
        encoder(torch.zeros(1, 3, *shape))


def test_only_who_reads_the_drawn_face_sees_it(encoder: PoseEncoder, reader: PoseEncoder) -> None:
    """A face that is not given is black: so does a stage without a face leave it out."""
    pictures = torch.rand(1, 6, 5, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    black = pictures.clone()
    black[:, 3:] = -1
    assert torch.equal(encoder(pictures), encoder(black))
    assert not torch.equal(reader(pictures), reader(black))
    assert torch.equal(reader(pictures[:, :3]), reader(black))


def test_a_drawn_face_stays_in_its_place(reader: PoseEncoder) -> None:
    """The map of places reads the 8 x 8 pixels of each, and nothing of its neighbours."""
    assert reader.face_in is not None
    faces = torch.zeros(1, 3, 5, 32, 32)
    faces[:, :, :, 8:16, 16:24] = 1
    said = (reader.face_in(faces) - reader.face_in(torch.zeros_like(faces))).abs().amax((0, 1, 2)) > 0
    assert said.nonzero().tolist() == [[1, 2]]
