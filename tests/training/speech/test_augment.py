"""Augmentation changes what is heard, never what it is made of."""

import pytest
import torch

from dreamactor_cli.models.speech_motion import VISEMES
from dreamactor_cli.training.speech.augment import augment
from dreamactor_cli.training.speech.corpus import Speech
from dreamactor_cli.training.speech.examples import MelExamples


@pytest.fixture
def mel(held_out: dict[str, Speech]) -> torch.Tensor:
    frames = torch.from_numpy(held_out["voices"].mel[:640]).float()
    return frames.reshape(2, 320, 64).transpose(1, 2).repeat(32, 1, 1)


def test_it_is_another_sound_each_time_and_the_same_for_a_seed(mel: torch.Tensor) -> None:
    torch.manual_seed(1)
    first, other = augment(mel), augment(mel)
    torch.manual_seed(1)
    again = augment(mel)
    assert torch.equal(first.mel, again.mel)
    assert not torch.equal(first.mel, other.mel)


def test_speech_is_left_and_noise_is_told(mel: torch.Tensor) -> None:
    torch.manual_seed(0)
    heard = augment(mel)
    assert heard.mel.shape == mel.shape
    assert torch.isfinite(heard.mel).all()
    assert 0 < heard.is_noise.sum() < 16
    before, after = mel.mean(1), heard.mel.mean(1)
    kept = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(before, after, strict=True)])
    assert kept[~heard.is_noise].median() > 0.7
    assert kept[heard.is_noise].abs().median() < 0.3


def test_a_batch_is_seeded_and_aligned(held_out: dict[str, Speech]) -> None:
    examples = MelExamples(held_out["recorded"], size=4)
    first, again, other = examples.draw(5), examples.draw(5), examples.draw(6)
    assert first.inputs.shape == (4, 320, 64)
    assert first.articulation.shape == (4, 160, 9)
    assert first.visemes.shape == (4, 160)
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)
    level = first.inputs.mean(2)[:, ::2]
    silent = (first.visemes == 0) & (level < level.quantile(0.5, 1, keepdim=True))
    assert level[silent].mean() < level[first.visemes == VISEMES.index("a")].mean() - 0.5
