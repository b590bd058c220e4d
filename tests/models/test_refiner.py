"""The refiner: at first it changes nothing, it knows of being shifted, and each frame goes with its own pose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.conditions import Conditions, References
from dreamactor_cli.models.memory import Ladder
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.refiner import FrameRefiner
from dreamactor_cli.models.sampling import Sampling
from dreamactor_cli.models.weights_folder import Index
from tests.diffusion_models import debug_models

SIDE = 32


def awake(seed: int = 0) -> FrameRefiner:
    """One with random weights in its last layer, too."""
    torch.manual_seed(seed)
    refiner = FrameRefiner(channels=(8, 8)).eval()
    torch.nn.init.normal_(refiner.conv_out[-1].weight, std=0.1)
    return refiner.requires_grad_(False)


def test_it_begins_by_changing_nothing() -> None:
    frames = torch.randn(2, 3, SIDE, SIDE)
    assert torch.equal(FrameRefiner(channels=(8, 8))(frames, torch.randn(2, 6, SIDE, SIDE)), frames)


def test_what_moves_by_a_square_is_refined_alike_elsewhere() -> None:
    refiner, frames, poses = awake(), torch.randn(1, 3, 96, 96), torch.randn(1, 6, 96, 96)
    whole, moved = refiner(frames, poses), refiner(frames.roll(4, -1), poses.roll(4, -1))
    inside = slice(44, 52)  # the border of the picture is too far to be felt
    torch.testing.assert_close(moved[..., inside, 48:56], whole[..., inside, 44:52])


def test_a_face_that_is_not_drawn_is_black() -> None:
    refiner, frames, poses = awake(), torch.randn(1, 3, SIDE, SIDE), torch.randn(1, 3, SIDE, SIDE)
    black = torch.cat([poses, -torch.ones(1, 3, SIDE, SIDE)], 1)
    assert torch.equal(refiner(frames, poses), refiner(frames, black))


def poses_of(start: int, stop: int) -> NDArray[np.uint8]:
    """Noise that says which frame it is."""
    return np.stack([np.random.default_rng(t).integers(0, 256, (SIDE, SIDE, 6), np.uint8) for t in range(start, stop)])


@pytest.mark.parametrize(("frames", "shifts"), [(1, 1), (12, 1), (12, 4)])
def test_each_frame_is_refined_by_its_own_pose(frames: int, shifts: int) -> None:
    """Over segments: the same as to refine what was drawn without."""
    models, refiner = debug_models(), awake()
    picture = np.random.default_rng(99).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    sampling = Sampling(steps=1, guidance_reference=1.0, guidance_motion=1.0, segment_frames=5, shifts=shifts)

    def drawn(refined: FrameRefiner | None) -> NDArray[np.uint8]:
        pipeline = DreamActorPipeline(replace(models, refiner=refined))
        ladder = Ladder(lambda _: None, frames=5, can_offload=False)
        given = (References(images=picture), lambda start, stop: Conditions(poses=poses_of(start, stop)))
        return np.concatenate(list(pipeline.render(*given, frames, sampling, ladder)))

    plain = torch.from_numpy(drawn(None)).permute(0, 3, 1, 2).float() / 127.5 - 1
    told = torch.from_numpy(poses_of(0, frames)).permute(0, 3, 1, 2).float() / 127.5 - 1
    wanted = ((refiner(plain, told).clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(drawn(refiner).astype(float), wanted, atol=1)
    assert np.abs(wanted - drawn(None)).mean() > 3


def test_it_is_kept_with_the_weights(tmp_path: Path) -> None:
    weights_folder.save(tmp_path / "with", replace(debug_models(), refiner=awake(5)), Index(config="debug"))
    weights_folder.save(tmp_path / "without", debug_models(), Index(config="debug"))
    found = weights_folder.load(tmp_path / "with")[0].refiner
    assert found is not None
    assert all(torch.equal(value, awake(5).state_dict()[name]) for name, value in found.state_dict().items())
    assert weights_folder.load(tmp_path / "without")[0].refiner is None


def test_weights_that_name_a_refiner_must_have_one(tmp_path: Path) -> None:
    weights_folder.save(tmp_path / "w", debug_models(), Index(config="debug"))
    index = tmp_path / "w" / "model_index.json"
    index.write_text(index.read_text().replace('"face_motion"\n', '"face_motion", "refiner"\n', 1))
    with pytest.raises(UnreadableInput, match="does not describe weights"):
        weights_folder.read_index(tmp_path / "w")
