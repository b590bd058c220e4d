"""The weights that ship: whole, small enough, and doing what they are told, on people that they never saw."""

from __future__ import annotations

import pytest

from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.sampling import Sampling
from dreamactor_cli.training.diffusion.evaluate import compare
from dreamactor_cli.training.diffusion.recipes import defaults_of
from dreamactor_cli.training.diffusion.sources import CLIPS_A_PERSON, SyntheticPeople, parse_framings

MEGABYTE = 1 << 20
STARTER = weights_folder.find("starter")


def test_they_are_whole_and_small() -> None:
    index = weights_folder.verify(STARTER)
    sizes = {name: size for name, (size, _) in index.files.items()}
    assert sum(sizes.values()) < 60 * MEGABYTE
    assert max(sizes.values()) < 16 * MEGABYTE
    assert "never learned from" in (STARTER / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_they_follow_a_head_and_its_face() -> None:
    """People of code, which is not what they learned from: of these they are far better than the picture as it is."""
    models, index = weights_folder.load(STARTER)
    usual = defaults_of(index.config)
    people = SyntheticPeople(
        count=12, size=index.size, frames=9, references=1, framings=parse_framings(usual.framings), zoom=usual.zoom, seed=1,
        held_out=True,
    )  # fmt: skip
    clips = [people.clip(CLIPS_A_PERSON * number) for number in range(4)]
    sampling = Sampling(
        steps=index.most_steps, shift=index.shift, guidance_reference=1.0, guidance_motion=1.0, segment_frames=index.frames,
        opening_noise=index.opening_noise, seed=1,
    )  # fmt: skip
    figures, _ = compare(DreamActorPipeline(models), clips, sampling)
    assert figures["pose_gap"] > 3
    assert figures["over_copy_face"] > 4
    assert figures["expression_gap"] > 0.7
