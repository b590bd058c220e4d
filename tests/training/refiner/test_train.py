"""The whole training of a refiner in small: it learns what drawn frames lack, and goes on as if it had never been stopped."""

import json
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamactor_cli.errors import Stopped
from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.weights_folder import Index, Models
from dreamactor_cli.training.loop.fit import Plan
from dreamactor_cli.training.loop.log import TrainingLog
from dreamactor_cli.training.refiner.train import RefinerFigures, RefinerRun, train_refiner
from tests.diffusion_models import debug_models
from tests.training.diffusion.conftest import Toys

INDEX = Index(config="debug", size=32, frames=5, most_steps=1)


def make_run(tmp_path: Path, steps: int) -> RefinerRun:
    return RefinerRun(
        learned=Toys(16), judged=Toys(4, seed=9), clips=tmp_path / "clips", config={"channels": (16, 16)}, workers=0, batch=8,
        plan=Plan(steps=steps, rate=4e-3, warm_up=5, keep_every=4, decay=0.95, seed=1),
    )  # fmt: skip


def grey(seed: int = 0) -> Models:
    """A model whose frames tell next to nothing, so that all there is to learn is in the poses."""
    models = debug_models(seed)
    for value in models.transformer.proj_out.parameters():
        value.zero_()
    return models


def trained(folder: Path, run: RefinerRun) -> tuple[RefinerFigures, list[str]]:
    told: list[str] = []
    return train_refiner(folder, run, grey(), INDEX, "key", told.append), told


@pytest.mark.slow
def test_it_learns(tmp_path: Path) -> None:
    figures, told = trained(tmp_path / "run", make_run(tmp_path, 120))
    assert figures.frame > figures.frame_before + 3
    assert figures.face > figures.face_before + 1
    assert told[0].startswith("drawn: 1 of 1 shards")
    models, index = weights_folder.load(tmp_path / "run" / "weights")
    assert models.refiner is not None
    assert index.about["refiner"]["steps"] == 120
    assert "| face before |" in (tmp_path / "run" / "weights" / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, 8)
    whole, _ = trained(tmp_path / "whole", run)
    write = TrainingLog.numbers

    def stop(self: TrainingLog, step: int, values: Mapping[str, float]) -> None:
        write(self, step, values)
        if step == 4:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "numbers", stop)
        with pytest.raises(Stopped):
            trained(tmp_path / "part", run)
    part, told = trained(tmp_path / "part", run)
    assert "goes on at step 5 of 8" in told
    assert part == whole
    for name in weights_folder.read_index(tmp_path / "whole" / "weights").files:
        assert (tmp_path / "part" / "weights" / name).read_bytes() == (tmp_path / "whole" / "weights" / name).read_bytes()
    losses = [json.loads(line)["loss"] for line in (tmp_path / "part" / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 8


@pytest.mark.slow
def test_what_is_drawn_is_drawn_once_for_the_same_weights(tmp_path: Path) -> None:
    run = replace(make_run(tmp_path, 2), judged=Toys(2, seed=9))
    trained(tmp_path / "one", run)
    (drawn,) = (tmp_path / "clips").glob("*.drawn")
    before = drawn.stat().st_mtime_ns
    trained(tmp_path / "two", run)
    assert drawn.stat().st_mtime_ns == before
    train_refiner(tmp_path / "three", run, grey(1), INDEX, "another", lambda _: None)
    assert len(list((tmp_path / "clips").glob("*.drawn"))) == 2


def test_figures_are_of_the_same_clips(tmp_path: Path) -> None:
    """A refiner that learned nothing changes nothing."""
    run = replace(make_run(tmp_path, 1), plan=Plan(steps=1, rate=1e-12))
    figures: Any = trained(tmp_path / "run", run)[0]
    np.testing.assert_allclose((figures.frame, figures.face), (figures.frame_before, figures.face_before), atol=0.01)
