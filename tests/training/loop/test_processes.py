"""Two processes that train together give what one gives: with a copy of the weights each, and with half of them each."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dreamactor_cli.models import weights_folder

ROOT = Path(__file__).resolve().parents[3]


def start(out: Path, clips: Path, count: int, *, sharded: bool = False, precision: str = "float32", stop: str = "") -> list[str]:
    """Run so many processes to their end; what each said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("rank.py")), str(out), str(clips)]
    command += ["sharded" if sharded else "copies", precision, stop]
    started = []
    for rank in range(count):
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        if count > 1:
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=env, text=True, **pipes))
    said = []
    for process in started:
        output, errors = process.communicate(timeout=1800)
        assert process.returncode == (143 if stop else 0), errors
        said.append(output)
    return said


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def weights(folder: Path) -> torch.Tensor:
    """All weights that were learned, in one row."""
    models, _ = weights_folder.load(folder / "weights")
    parts = (models.transformer, models.pose_encoder, models.face_motion)
    return torch.cat([value.flatten() for part in parts for value in part.state_dict().values()])


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process comes to, in ``run``; beside it the clips."""
    folder = tmp_path_factory.mktemp("one")
    start(folder / "run", folder / "clips", 1)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True])
def test_two_processes_learn_what_one_learns(one: Path, tmp_path: Path, sharded: bool) -> None:
    """Through all three stages: losses, weights, and samples that are drawn meanwhile."""
    said = start(tmp_path / "run", one / "clips", 2, sharded=sharded)
    assert "stage face" in said[1]
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(one / "run"), rtol=2e-4)
    assert len(losses(one / "run")) == 14
    theirs, ours = weights(one / "run"), weights(tmp_path / "run")
    assert (ours - theirs).abs().max() < 5e-4  # kept in 16 bits; AdamW takes a step of 1e-3 of the smallest gradient
    assert (tmp_path / "run" / "samples" / "step-000004.png").stat().st_size > 1000


@pytest.mark.slow
def test_shares_go_on_after_a_signal_to_one_process(one: Path, tmp_path: Path) -> None:
    """The other one stops with it, and both go on from the checkpoint."""
    run = tmp_path / "run"
    start(run, one / "clips", 2, sharded=True, stop="3")
    begun = losses(run)
    assert 0 < len(begun) < 14
    np.testing.assert_allclose(begun, losses(one / "run")[: len(begun)], rtol=2e-4)
    said = start(run, one / "clips", 2, sharded=True)
    assert "goes on at step" in said[0]
    np.testing.assert_allclose(losses(run), losses(one / "run"), rtol=2e-4)


@pytest.mark.slow
def test_shares_travel_in_half_the_bits(one: Path, tmp_path: Path) -> None:
    start(tmp_path / "run", one / "clips", 2, sharded=True, precision="bfloat16")
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(one / "run"), rtol=0.02)
    assert losses(tmp_path / "run") != losses(one / "run")
