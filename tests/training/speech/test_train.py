"""The whole training in small: speech, network, weights, figures; skipped where the synthesisers are not installed."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from whisper.model import ModelDimensions, Whisper

from dreamactor_cli.models import speech_weights
from dreamactor_cli.models.whisper_motion import WhisperHearing
from dreamactor_cli.training.speech.corpus import HELD_OUT_LANGUAGES, HELD_OUT_VARIANTS, Recipe, load_corpus, make_corpus
from dreamactor_cli.training.speech.corpus import _espeak_voices as espeak_voices
from dreamactor_cli.training.speech.train import plan_of, train_speech

HOURS = 0.02


def test_who_judges_is_not_learned_from() -> None:
    languages, variants = espeak_voices("espeak")
    assert not set(languages) & set(HELD_OUT_LANGUAGES)
    assert not set(variants) & set(HELD_OUT_VARIANTS)
    assert set(espeak_voices("languages")[0]) == set(espeak_voices("both")[0]) == set(HELD_OUT_LANGUAGES)
    assert set(espeak_voices("voices")[1]) == set(espeak_voices("both")[1]) == set(HELD_OUT_VARIANTS)


@pytest.mark.slow
@pytest.mark.usefixtures("synthesisers")
def test_a_seed_makes_the_same_speech(tmp_path: Path) -> None:
    """However many processes share the work."""
    for workers in (1, 2):
        list(make_corpus(tmp_path / f"{workers}", Recipe(12, 7), workers=workers))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("synthesisers")
def test_from_nothing_to_weights(tmp_path: Path) -> None:
    told: list[str] = []
    scores = train_speech(tmp_path, plan_of(steps=3, hours=HOURS), told.append)
    assert set(scores) == {"both", "languages", "recorded", "voices"}
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["steps"] == 3
    assert config["figures"]["voices"]["visemes"] == round(scores["voices"].visemes, 3)
    assert speech_weights.load(tmp_path).reach > 0
    assert any(line.startswith("speech:") for line in told)
    again: list[str] = []
    train_speech(tmp_path, plan_of(steps=3, hours=HOURS), again.append)
    assert again == []  # the speech and the checkpoint were there


@pytest.mark.slow
@pytest.mark.usefixtures("synthesisers")
def test_a_head_on_whisper(tmp_path: Path) -> None:
    dims = ModelDimensions(80, 100, 64, 2, 2, 32, 8, 64, 2, 1)
    torch.manual_seed(0)
    state = Whisper(dims).state_dict()
    state["encoder.positional_embedding"].zero_()  # a random ear must hear the sound, not the clock
    for name in ("encoder.conv1.weight", "encoder.conv2.weight"):
        state[name].mul_(3)
    checkpoint = tmp_path / "whisper.pt"
    torch.save({"dims": asdict(dims), "model_state_dict": state}, checkpoint)
    recipe = Recipe(round(HOURS * 3600), 1, with_sound=True)
    list(make_corpus(tmp_path / "head" / "work" / "corpus.safetensors", recipe))
    learned, _ = load_corpus(tmp_path / "head" / "work" / "corpus.safetensors")
    assert len(learned.sound) == 160 * (learned.lengths - 1).sum()
    scores = train_speech(tmp_path / "head", plan_of(f"whisper:{checkpoint}", steps=60, hours=HOURS), lambda _: None)
    assert scores["voices"].correlation["jaw"] > 0.3
    encoder, head = speech_weights.load_whisper(tmp_path / "head")
    hearing = WhisperHearing(encoder, head)
    sound = learned.sound[:32_000].astype(np.float32) / 32767
    assert sum(len(part[0]) for part in (hearing.push(sound), hearing.finish())) == 101
