from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dreamactor_cli.errors import UsageError
from dreamactor_cli.models.parallel import join, leave, share_tokens
from dreamactor_cli.models.transformer import DreamActorTransformer3DModel

TOLERANCE = 1e-5  # of answers of about 1: the order of a sum is another one
ROOT = Path(__file__).resolve().parents[2]


def make() -> DreamActorTransformer3DModel:
    torch.manual_seed(0)
    model = DreamActorTransformer3DModel(
        num_attention_heads=6, attention_head_dim=24, in_channels=4, pose_channels=4, motion_dim=6, freq_dim=32, ffn_dim=64,
        num_layers=2,
    )  # fmt: skip
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.05
    return model


def inputs() -> dict[str, Tensor]:
    """18 tokens of noise, cut within a frame, and 15 of references, which cannot be halved; as little as 3 of the heads."""
    return {
        "hidden_states": torch.randn(2, 4, 3, 4, 6),
        "timestep": torch.tensor([[0.0, 700.0, 700.0], [0.0, 30.0, 30.0]]),
        "pose_states": torch.randn(2, 4, 3, 4, 6),
        "motion_tokens": torch.randn(2, 9, 6),
        "motion_frames": torch.tensor([[0, 1, 1, 1, 1, 2, 2, 2, 2]] * 2),
    }


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """What one process gets, and what each of two ranks gets."""
    folder = tmp_path_factory.mktemp("ranks")
    model, given, reference = make(), inputs(), torch.randn(2, 1, 4, 6, 10)
    model.save_pretrained(folder / "model")
    save_file({**given, "reference": reference}, folder / "inputs.safetensors")
    started = [start_rank(folder, rank) for rank in range(2)]

    model(**given, reference_states=reference).sample.square().mean().backward()
    with torch.no_grad():
        one = {"uncached": model(**given, reference_states=reference).sample, "without": model(**given).sample}
    one |= {name: p.grad for name, p in model.named_parameters()}
    for process in started:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    return one, [load_file(folder / f"rank-{rank}.safetensors") for rank in range(2)]


def start_rank(folder: Path, rank: int) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("parallel_rank.py")), str(folder), str(rank)]
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["uncached", "cached", "without"])
def test_two_ranks_share_the_tokens_of_one(one_and_two: tuple[dict[str, Tensor], list[dict[str, Tensor]]], what: str) -> None:
    one, two = one_and_two
    wanted = one["uncached" if what == "cached" else what]
    for rank in two:
        assert (rank[what] - wanted).abs().max() < TOLERANCE
    assert torch.equal(two[0][what], two[1][what])
    assert (one["uncached"] - one["without"]).abs().max() > 0.01


@pytest.mark.slow
def test_each_rank_keeps_its_share_of_the_references(one_and_two: tuple[dict[str, Tensor], list[dict[str, Tensor]]]) -> None:
    kept = torch.stack([rank["kept"] for rank in one_and_two[1]])
    assert kept.tolist() == [[8, 8], [7, 7]]


@pytest.mark.slow
def test_two_ranks_of_data_have_the_gradients_of_one(one_and_two: tuple[dict[str, Tensor], list[dict[str, Tensor]]]) -> None:
    one, two = one_and_two
    for name in dict(make().named_parameters()):
        assert torch.equal(two[0][name], two[1][name]), name
        assert (two[0][name] - one[name]).abs().max() < TOLERANCE * max(1.0, one[name].abs().max().item()), name


def test_what_cannot_be_shared_out_is_told() -> None:
    from diffusers import FirstBlockCacheConfig, MagCacheConfig

    model = make()
    model.enable_cache(FirstBlockCacheConfig())
    with pytest.raises(ValueError, match="before a step cache"):
        share_tokens(model, 2)
    model.disable_cache()
    model._parallel_config = object()
    for config in (FirstBlockCacheConfig(), MagCacheConfig(mag_ratios=[1.0])):
        with pytest.raises(UsageError, match="take TaylorSeer"):
            model.enable_cache(config)
    model._parallel_config = None
    share_tokens(model, 1)
    with pytest.raises(UsageError, match=r"3 and 6 heads .* among 4.*; with these weights give 2 or 3"):
        share_tokens(model, 4)


def test_a_process_belongs_to_one_group(tmp_path: Path) -> None:
    join(0, 1, tmp_path / "first", "cpu")
    try:
        with pytest.raises(UsageError, match="process of its own"):
            join(0, 1, tmp_path / "second", "cpu")
    finally:
        leave("cpu")
    leave("cpu")  # there is nothing left to leave
    join(0, 1, tmp_path / "third", "cpu")
    leave("cpu")
