"""Noise levels, noise, Euler's steps and guidance, on models whose answers are known."""

from __future__ import annotations

import pytest
import torch

from dreamactor_cli.models.guidance import branches, drop_motion, drop_reference, guided
from dreamactor_cli.models.sampling import flow_sigmas, integrate, noised, segment_noise


def test_levels_fall_from_noise_to_nothing() -> None:
    assert flow_sigmas(4, 1.0) == [1.0, 0.75, 0.5, 0.25, 0.0]
    bent = flow_sigmas(4, 3.0)
    assert (bent[0], bent[-1]) == (1.0, 0.0)
    assert bent[2] == pytest.approx(3 * 0.5 / (1 + 2 * 0.5))


def test_noise_is_its_seed_and_its_segment() -> None:
    shape = (1, 4, 3, 2, 2)
    assert torch.equal(segment_noise(shape, 7, 2), segment_noise(shape, 7, 2))
    assert not torch.equal(segment_noise(shape, 7, 2), segment_noise(shape, 7, 3))
    assert not torch.equal(segment_noise(shape, 7, 2), segment_noise(shape, 8, 2))
    assert segment_noise(shape, 1 << 70, 0).shape == shape


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_the_true_velocity_leads_from_noise_to_the_clip(steps: int, shift: float) -> None:
    clip, noise = torch.randn(1, 2, 3, 4, 4), torch.randn(1, 2, 3, 4, 4)
    done: list[int] = []
    found = integrate(lambda x, times: noise - clip, noise, flow_sigmas(steps, shift), None, done.append)
    assert torch.allclose(found, clip, atol=1e-5)
    assert done == [*range(1, steps + 1)]


def test_an_opening_is_noised_with_its_segments_own_noise() -> None:
    opening, noise = torch.randn(1, 2, 1, 4, 4), torch.randn(1, 2, 3, 4, 4)
    assert noised(opening, noise, 0.0) is opening
    assert torch.allclose(noised(opening, noise, 0.25), 0.75 * opening + 0.25 * noise[:, :, :1])


def test_the_opening_stays_clean_and_is_told_to_be() -> None:
    opening = torch.randn(1, 2, 1, 4, 4)
    seen: list[torch.Tensor] = []

    def velocity(x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        assert torch.equal(x[:, :, :1], opening)
        seen.append(times)
        return torch.ones_like(x)

    found = integrate(velocity, torch.zeros(1, 2, 3, 4, 4), flow_sigmas(2, 1.0), opening, lambda done: None)
    assert torch.equal(found[:, :, :1], opening)
    assert torch.equal(found[:, :, 1:], -torch.ones(1, 2, 2, 4, 4))
    assert [times.tolist() for times in seen] == [[[0.0, 1000.0, 1000.0]], [[0.0, 500.0, 500.0]]]


@pytest.mark.parametrize(
    ("reference", "motion", "asked"),
    [
        (1.0, 1.0, ["full"]), (2.5, 1.0, ["full", "no_reference"]), (1.0, 2.5, ["full", "no_motion"]),
        (2.5, 2.0, ["full", "no_reference", "no_motion"]), (0.0, 1.0, ["full", "no_reference"]),
    ],
)  # fmt: skip
def test_guidance_of_one_asks_for_nothing(reference: float, motion: float, asked: list[str]) -> None:
    answers = {"full": torch.tensor(5.0), "no_reference": torch.tensor(3.0), "no_motion": torch.tensor(1.0)}
    seen: list[str] = []

    def answer(branch: str) -> torch.Tensor:
        seen.append(branch)
        return answers[branch]

    found = guided(answer, reference, motion)  # type: ignore[arg-type]
    assert seen == asked == list(branches(reference, motion))
    assert float(found) == pytest.approx(5 + (reference - 1) * 2 + (motion - 1) * 4)


def test_leaving_out_by_sample() -> None:
    dropped = torch.tensor([True, False])
    references = drop_reference(torch.ones(2, 3, 4, 2, 2), dropped)
    assert references[0].abs().sum() == 0
    assert (references[1] == 1).all()
    poses, frames = drop_motion(torch.ones(2, 4, 3, 2, 2), torch.tensor([0, 1, 1]), dropped)
    assert poses[0].abs().sum() == 0
    assert frames.tolist() == [[-1, -1, -1], [0, 1, 1]]
    poses, frames = drop_motion(torch.ones(1, 4, 3, 2, 2), torch.tensor([0, 1, 1]))
    assert (float(poses.abs().sum()), frames.tolist()) == (0.0, [[-1, -1, -1]])
