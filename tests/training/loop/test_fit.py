"""The loop: resumed as if never stopped, and what it does about signals, losses that are no numbers and lack of memory."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dreamactor_cli.errors import JobFailed, OutOfMemory, Stopped
from dreamactor_cli.training.loop.checkpoint import read_about
from dreamactor_cli.training.loop.fit import Plan, fit, rate_at
from dreamactor_cli.training.loop.log import TrainingLog

PLAN = Plan(steps=12, rate=0.05, warm_up=2, keep_every=5, seed=3)


class Line(nn.Module):
    """Learns a slope; fails as it is told."""

    def __init__(self, most: int = 100) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
        self.most = most

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if len(batch["x"]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        error = (self.layers(batch["x"])[:, 0] - batch["y"]).square()
        return {"loss": error, "twice": 2 * error}


def draw(step: int, process: int) -> dict[str, Tensor]:
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(1000 * process + step))
    return {"x": x, "y": x[:, 0] - 2 * x[:, 1]}


def run(network: nn.Module, path: Path, plan: Plan = PLAN, draw: Callable[[int, int], dict[str, Tensor]] = draw) -> list[float]:
    return [at.losses["loss"] for at in fit(network, draw, plan, path, "key", lambda _: None)]


def test_a_run_that_was_stopped_gives_the_same_losses(tmp_path: Path) -> None:
    whole_network, network = Line(), Line()
    whole = run(whole_network, tmp_path / "whole.safetensors")

    def stopping(step: int, process: int) -> dict[str, Tensor]:
        if step == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(step, process)

    first: list[float] = []

    def begin() -> None:
        for at in fit(network, stopping, PLAN, tmp_path / "part.safetensors", "key", lambda _: None):
            first.append(at.losses["loss"])

    with pytest.raises(Stopped) as stopped:
        begin()
    assert stopped.value.exit_code == 143
    done = int((read_about(tmp_path / "part.safetensors") or {})["step"])
    assert done == len(first) < 12
    fresh = Line()
    rest = run(fresh, tmp_path / "part.safetensors")
    assert first + rest == whole
    for one, other in zip(whole_network.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_run_may_become_longer_until_its_rate_falls(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    for at in fit(Line(), draw, PLAN, path, "key", lambda _: None):
        if at.step == 6:
            break
    told: list[str] = []
    longer = Plan(steps=20, rate=0.05, warm_up=2, keep_every=5, seed=3)
    assert next(iter(fit(Line(), draw, longer, path, "key", told.append))).step == 6
    assert told == ["goes on at step 5 of 20"]
    run(Line(), path)
    assert next(iter(fit(Line(), draw, longer, path, "key", told.append))).step == 1
    assert "another run" in told[-1]


def test_another_run_begins_anew(tmp_path: Path) -> None:
    run(Line(), tmp_path / "c.safetensors")
    told: list[str] = []
    steps = [at.step for at in fit(Line(), draw, PLAN, tmp_path / "c.safetensors", "other", told.append)]
    assert steps[0] == 1
    assert "another run" in told[0]


def test_a_step_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    def odd(step: int, process: int) -> dict[str, Tensor]:
        batch = draw(step, process)
        return {**batch, "y": batch["y"] * float("nan")} if step == 4 else batch

    told: list[str] = []
    network = Line()
    losses = [at.losses["loss"] for at in fit(network, odd, PLAN, tmp_path / "c.safetensors", "key", told.append)]
    assert losses[4] != losses[4]
    assert all(torch.isfinite(value).all() for value in network.parameters())
    assert [line for line in told if "no number" in line] == ["step 5: the loss is no number; the step is left out"]

    def never(step: int, process: int) -> dict[str, Tensor]:
        return {**draw(step, process), "y": torch.full((4,), float("inf"))}

    with pytest.raises(JobFailed, match="no number"):
        run(Line(), tmp_path / "d.safetensors", draw=never)


def test_lack_of_memory_makes_smaller_parts(tmp_path: Path) -> None:
    told: list[str] = []
    network, whole = Line(most=1).eval(), Line().eval()
    network.layers[2].p = whole.layers[2].p = 0.0
    small = [at.losses["loss"] for at in fit(network, draw, PLAN, tmp_path / "a.safetensors", "key", told.append)]
    large = run(whole, tmp_path / "b.safetensors")
    assert small == pytest.approx(large, rel=1e-5)
    assert told == [f"memory ran out: a batch is now worked off in {parts} parts" for parts in (2, 4)]
    with pytest.raises(OutOfMemory):
        run(Line(most=0), tmp_path / "c.safetensors")


def test_the_rate_rises_and_falls() -> None:
    rates = [rate_at(step, Plan(steps=100, rate=1.0, warm_up=10)) for step in range(1, 101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[69] == 1.0
    assert rates[70] < 1.0
    assert rates[-1] == pytest.approx(0.02)


def test_the_log_of_a_run_that_was_stopped_has_no_step_twice(tmp_path: Path) -> None:
    with TrainingLog(tmp_path) as log:
        for step in (1, 2, 3):
            log.numbers(step, {"loss": 1 / step})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # a crash
    with TrainingLog(tmp_path) as log:
        log.numbers(3, {"loss": 0.5})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}, {"step": 3, "loss": 0.5}]


def test_numbers_and_pictures_are_there_for_tensorboard(tmp_path: Path) -> None:
    """Where that package is; steps that are done again are not there twice."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for begun, steps in ((1, 3), (3, 4)):
        with TrainingLog(tmp_path) as log:
            for step in range(begun, steps + 1):
                log.numbers(step, {"loss": begun / step})
            log.picture(steps, "samples", np.full((8, 8, 3), 200, np.uint8))
    written = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = written.Scalars("loss")
    assert [event.step for event in losses] == [1, 2, 3, 4]
    assert [event.value for event in losses] == pytest.approx([1, 0.5, 1, 0.75])
    assert [event.step for event in written.Images("samples")] == [4]


def test_without_tensorboard_there_is_the_log_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is there and cannot be used is told."""
    (tmp_path / "packages" / "tensorboard").mkdir(parents=True)
    (tmp_path / "packages" / "tensorboard" / "__init__.py").write_text('raise ImportError("cannot import runtime_version")')
    for name in [name for name in sys.modules if name.startswith(("tensorboard", "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    with monkeypatch.context() as there:
        there.syspath_prepend(str(tmp_path / "packages"))
        with pytest.warns(RuntimeWarning, match=r"runtime_version; .*tensorboard<2\.21"):
            write_alone(tmp_path / "odd")
    monkeypatch.setattr("dreamactor_cli.training.loop.log.find_spec", lambda name: None)
    write_alone(tmp_path / "none")


def write_alone(folder: Path) -> None:
    with TrainingLog(folder) as log:
        log.numbers(1, {"loss": 1.0})
        log.picture(1, "samples", np.zeros((8, 8, 3), np.uint8))
    assert [path.name for path in folder.iterdir()] == ["log.jsonl"]


def test_memory_that_runs_out_in_one_of_several_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts would have it wait for the others at each, and them for it."""
    monkeypatch.setattr(Accelerator, "num_processes", property(lambda self: 2))
    with pytest.raises(OutOfMemory, match="one of several"):
        run(Line(most=1), tmp_path / "c.safetensors")
