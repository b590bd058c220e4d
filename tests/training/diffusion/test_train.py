"""The whole training in small: it learns, in stages, and goes on as if it had never been stopped."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.configs import load_config
from dreamactor_cli.models.video_vae import make_vae
from dreamactor_cli.training.diffusion import train
from dreamactor_cli.training.diffusion.batches import Recipe
from dreamactor_cli.training.diffusion.begin import from_nothing
from dreamactor_cli.training.diffusion.pool import Pool
from dreamactor_cli.training.diffusion.train import DiffusionRun, train_diffusion
from dreamactor_cli.training.loop.fit import Plan
from dreamactor_cli.training.vae.train import _measure_latents

from .conftest import Toys

CONFIG = load_config("debug")


def make_run(tmp_path: Path, steps: int, **changed: Any) -> DiffusionRun:
    run = DiffusionRun(
        name="debug", learned=Toys(16), shown=Toys(2, seed=9), clips=tmp_path / "clips", stages=("all",),
        recipe=Recipe(batch=8, latents=2, references=(1.0,), shift=2.0), size=32, workers=0, sample_every=1000, about={},
        plan=Plan(steps=steps, rate=4e-3, warm_up=10, keep_every=1000, decay=0.98),
    )  # fmt: skip
    return replace(run, **changed)


def start(tmp_path: Path) -> Any:
    """Random weights, around a random VAE whose latents are normalised."""
    torch.manual_seed(3)
    vae = make_vae(CONFIG.vae).eval()
    with Pool(Toys(8), tmp_path / "clips", workers=0) as pool:
        _measure_latents(vae, pool)
    return from_nothing(CONFIG, vae, 0)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_it_learns(tmp_path: Path) -> None:
    """The loss falls, and a folder of weights and a picture of samples come out."""
    models, key = start(tmp_path)
    out = train_diffusion(tmp_path / "run", make_run(tmp_path, 60, sample_every=60), models, key, lambda _: None)
    curve = losses(tmp_path / "run")
    assert len(curve) == 60
    assert np.mean(curve[-10:]) < 0.9 * np.mean(curve[:10])
    _, index = weights_folder.load(out)
    assert (index.config, index.size, index.frames, index.about["steps"]) == ("debug", 32, 5, 60)
    assert (tmp_path / "run" / "samples" / "step-000060.png").stat().st_size > 1000
    card = (out / "README.md").read_text("utf-8")
    assert "config debug" in card
    assert "- steps: `60`" in card
    assert "| expression gap |" in card
    assert "Faces of strangers" in card
    assert "Say here whose they are" in card, "a source that is not synthetic is somebody's films"


@pytest.mark.slow
def test_stages_follow_each_other_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stopped in the second stage ends with the bytes of what was not."""
    run = make_run(tmp_path, 14, stages=("pose", "face", "all"), plan=Plan(steps=14, rate=1e-3, keep_every=2))
    models, key = start(tmp_path)
    told: list[str] = []
    whole = train_diffusion(tmp_path / "whole", run, models, key, told.append)
    assert [line.split(":")[0] for line in told if line.startswith("stage")] == ["stage pose", "stage face", "stage all"]

    class Stop(Exception):
        pass

    tell = train._Telling.__call__

    def stop(self: Any, at: Any, log: Any) -> None:
        tell(self, at, log)
        if self._stage.name == "face" and at.step == 3:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(train._Telling, "__call__", stop)
        models, key = start(tmp_path)
        with pytest.raises(Stop):
            train_diffusion(tmp_path / "part", run, models, key, told.append)
    models, key = start(tmp_path)
    part = train_diffusion(tmp_path / "part", run, models, key, told.append)
    assert "goes on at step 2 of 4" in told
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")
    for name in weights_folder.read_index(whole).files:
        assert (part / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_what_saves_memory_changes_little(tmp_path: Path) -> None:
    """Half the bits, and features that are computed twice."""
    curves = []
    for name, bits, twice in (("plain", "float32", False), ("saving", "bfloat16", True)):
        plan = Plan(steps=3, rate=1e-3, keep_every=1000, precision=bits)  # type: ignore[arg-type]
        models, key = start(tmp_path)
        run = make_run(tmp_path, 3, plan=plan, checkpointing=twice)
        AcceleratorState._reset_state()  # a process keeps the precision it began with
        loaded, _ = weights_folder.load(train_diffusion(tmp_path / name, run, models, key, lambda _: None))
        AcceleratorState._reset_state()
        assert all(bool(torch.isfinite(parameter).all()) for parameter in loaded.transformer.parameters())
        curves.append(losses(tmp_path / name))
    np.testing.assert_allclose(curves[1], curves[0], rtol=0.02)
    assert curves[0] != curves[1]
