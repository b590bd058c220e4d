"""Checkpoints come back as they were, and a damaged one is refused by name."""

import json
from pathlib import Path

import pytest
import torch

from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.models import speech_weights
from dreamactor_cli.models.speech_motion import SpeechMotion


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    speech_weights.store(SpeechMotion(8, (1, 2)), tmp_path, {"seed": 3})
    return tmp_path


def test_a_checkpoint_comes_back(folder: Path) -> None:
    model = speech_weights.load(folder)
    torch.manual_seed(0)
    wanted = SpeechMotion(8, (1, 2))
    assert not model.training
    assert model.trunk.dilations == (1, 2)
    for found, meant in zip(model.parameters(), wanted.parameters(), strict=True):
        torch.testing.assert_close(found, meant.half().float())
    assert json.loads((folder / "config.json").read_text())["seed"] == 3


def test_equal_weights_make_equal_bytes(folder: Path, tmp_path: Path) -> None:
    speech_weights.store(speech_weights.load(folder), tmp_path / "again", {"seed": 3})
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_file_is_a_missing_requirement(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(MissingRequirement, match=name) as caught:
        speech_weights.load(folder)
    assert "dreamactor train speech" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "encoder": "mel", "channels": 8, "dilations": 3}', "[" * 100_000]
)
def test_a_damaged_config_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(UnreadableInput, match=r"config\.json"):
        speech_weights.load(folder)


@pytest.mark.parametrize("change", [{"channels": 10**9}, {"channels": 0}, {"channels": 8.0}, {"format": 2}, {"dilations": [-1]}])
def test_a_config_out_of_range_is_refused(folder: Path, change: dict[str, object]) -> None:
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnreadableInput, match=r"config\.json"):
        speech_weights.load(folder)


def test_truncated_weights_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnreadableInput, match=r"model\.safetensors"):
        speech_weights.load(folder)


def test_weights_of_another_network_are_refused(folder: Path, tmp_path: Path) -> None:
    speech_weights.store(SpeechMotion(16, (1, 2)), tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(UnreadableInput, match="does not fit"):
        speech_weights.load(folder)
