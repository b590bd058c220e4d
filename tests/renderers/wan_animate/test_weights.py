"""The folder of weights: what is refused before a job, and what the text encoder leaves behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.renderers.wan_animate import weights
from tests.renderers.wan_animate import tiny


@pytest.fixture
def folder(tiny_wan: Path, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    return Path(shutil.copytree(tiny_wan, tmp_path / "weights"))


def _shard(folder: Path) -> Path:
    return weights.shards(folder / "transformer")[1]


def test_a_whole_folder_is_accepted(tiny_wan: Path) -> None:
    weights.check_folder(tiny_wan)
    assert len(weights.shards(tiny_wan / "transformer")) > 1
    assert not weights.is_heavy(tiny_wan)


def test_a_shard_that_was_cut_off_is_refused(folder: Path) -> None:
    shard = _shard(folder)
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(UnreadableInput, match=rf"{shard.name} is not a whole safetensors file"):
        weights.check_folder(folder)


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 8, b"PK\x03\x04" + bytes(400), b"\x02\x00\x00\x00\x00\x00\x00\x00[]"])
def test_what_is_no_tensor_file_is_refused(folder: Path, garbage: bytes) -> None:
    _shard(folder).write_bytes(garbage)
    with pytest.raises(UnreadableInput, match="not a whole safetensors file"):
        weights.check_folder(folder)


@pytest.mark.parametrize(
    "lost", ["vae/config.json", "transformer/diffusion_pytorch_model-00002-of-00004.safetensors", "scheduler", "image_encoder"]
)
def test_a_part_that_is_missing_is_named(folder: Path, lost: str) -> None:
    path = folder / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UnreadableInput, match=lost.rpartition("/")[2]):
        weights.check_folder(folder)


def test_an_index_that_names_other_folders_stays_in_its_own(folder: Path) -> None:
    index = next((folder / "transformer").glob("*.index.json"))
    index.write_text('{"weight_map": {"a": "../vae/diffusion_pytorch_model.safetensors"}}')
    with pytest.raises(UnreadableInput, match="missing"):
        weights.check_folder(folder)


def test_without_prompt_and_text_encoder_it_is_said_what_to_copy(folder: Path) -> None:
    (folder / weights.PROMPT_FILE).unlink()
    with pytest.raises(MissingRequirement, match=r"neither prompt_embeds\.safetensors nor the text encoder"):
        weights.check_folder(folder)


def test_weights_that_do_not_fit_their_config_are_refused(folder: Path) -> None:
    config = folder / "transformer" / "config.json"
    config.write_text(config.read_text().replace('"ffn_dim": 32', '"ffn_dim": 48'))
    with pytest.raises(UnreadableInput, match="cannot be used"):
        weights.load_pipeline(folder, "cpu", torch.float32, 0)


def test_the_text_encoder_is_needed_once(folder: Path) -> None:
    tiny.save_text_encoder(folder)
    (folder / weights.PROMPT_FILE).unlink()
    weights.check_folder(folder)
    before = weights.identity(folder)
    made = weights.load_prompt(folder)
    assert made.positive.shape == made.negative.shape == (1, 512, tiny.TEXT)
    assert (made.positive != made.negative).any()
    assert weights.identity(folder) == before
    shutil.rmtree(folder / "text_encoder")
    weights.check_folder(folder)
    kept = weights.load_prompt(folder)
    assert torch.equal(kept.positive, made.positive)
    assert torch.equal(kept.negative, made.negative)


def test_other_weights_are_known_as_others(folder: Path) -> None:
    before = weights.identity(folder)
    assert weights.identity(folder) == before
    shard = _shard(folder)
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(bytes(data))
    assert weights.identity(folder) != before


@pytest.mark.parametrize("garbage", [b"", b"no tensors at all"])
def test_a_damaged_prompt_is_refused(folder: Path, garbage: bytes) -> None:
    (folder / weights.PROMPT_FILE).write_bytes(garbage)
    with pytest.raises(UnreadableInput, match="remove it"):
        weights.load_prompt(folder)


def test_a_machine_with_too_little_memory_is_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    class Little:
        total = 1000

    monkeypatch.setattr(psutil, "virtual_memory", Little)
    monkeypatch.setattr(psutil, "swap_memory", Little)
    with pytest.raises(MissingRequirement, match="GiB of memory"):
        weights.check_folder(folder)


def test_a_smaller_gpu_and_memory_that_ran_out_place_the_model_with_less() -> None:
    full = 34_600_000_000
    assert [weights.placement(free, full, 0) for free in (80 * 10**9, 50 * 10**9, 24 * 10**9)] == ["none", "model", "block"]
    assert [weights.placement(80 * 10**9, full, less) for less in range(4)] == ["none", "model", "block", "block"]
    assert weights.placement(8 * 10**9, full // 10, 0) == "none"
