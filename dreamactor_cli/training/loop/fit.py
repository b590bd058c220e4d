"""The loop itself: any network whose forward gives losses, any batches that follow from the number of the step."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from dreamactor_cli.errors import OutOfMemory, Stopped
from dreamactor_cli.models.memory import is_out_of_memory
from dreamactor_cli.training.loop import checkpoint
from dreamactor_cli.training.loop.ema import RunningMean, SharedMean
from dreamactor_cli.training.loop.guards import Numbers, StopAsked, free_memory
from dreamactor_cli.training.loop.sharding import share_out

Batch = Mapping[str, Tensor]  # the first axis of each tensor is the sample
Draw = Callable[[int, int], Batch]  # step, process -> batch

_CLIP = 1.0  # norm of the gradient
_PATIENCE = timedelta(hours=2)  # for the process that draws samples, writes checkpoints or waits for a clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a network is trained.

    Attributes:
        steps: of the optimizer, in all.
        rate: learning rate; rises over ``warm_up`` steps and falls over the last ``cool_down`` share of them.
        betas, weight_decay: of AdamW.
        decay: of the running mean of the weights.
        precision: what is computed in; the weights stay float32.
        keep_every: steps between two checkpoints.
        seed: of noise and batches.
        sharded: class names of blocks whose weights are shared out among several processes (`sharding`); empty for a copy each.
        device: ``cpu`` or ``cuda``.
    """

    steps: int
    rate: float
    warm_up: int = 100
    cool_down: float = 0.3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    decay: float = 0.999
    precision: Literal["float32", "bfloat16"] = "float32"
    keep_every: int = 250
    seed: int = 0
    sharded: tuple[str, ...] = ()
    device: str = "cpu"


class Progress(NamedTuple):
    """Where a training stands.

    Attributes:
        step: that is done, counted from 1.
        losses: of this step, by name, the mean over the batch; ``loss`` is what was learned from.
        mean: puts the running mean in place of the weights while a picture is drawn; where weights are shared out, that of the
            last checkpoint.
        main: whether this process is the one that writes.
    """

    step: int
    losses: Mapping[str, float]
    mean: RunningMean
    main: bool


def fit(network: nn.Module, draw: Draw, plan: Plan, path: Path, key: str, say: Callable[[str], None]) -> Iterator[Progress]:
    """Train a network.

    A batch follows from the number of its step, so that a run that was stopped and taken up gives the losses of one that was
    not. As long as the rate has not begun to fall, a run may be taken up with other ``steps`` than it began with. A step whose
    loss is no number is left out. Where memory runs out, the batch is worked off in twice as many parts, which changes no more
    than the order of sums; of several processes the others would wait for ever for the one that begins again, so there the run
    ends. A signal to any process ends the run after the step, with a checkpoint.

    Args:
        network: is trained in place; its forward takes a batch and gives losses by name, each (B,), and learns from ``loss``.
        draw: the batch of a step; runs ahead in a thread.
        path: of the checkpoint; taken up if it is there and of the same ``key``.
        key: what the run depends on besides the plan.
        say: is told what a user should know.

    Yields:
        After every step. At the end the network holds the running mean.

    Raises:
        Stopped: by a signal; the checkpoint is written.
        OutOfMemory: one sample is too much, or a batch on one of several processes.
        JobFailed: the loss is no number, again and again.
        DiskFull, UsageError: the checkpoint cannot be written.
    """
    accelerator = _accelerator(plan)
    shared = bool(plan.sharded) and accelerator.num_processes > 1
    trained = share_out(network, plan.sharded, plan.precision, accelerator.device.type) if shared else network
    parameters = [value for value in trained.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=plan.rate, betas=plan.betas, weight_decay=plan.weight_decay)
    trained, optimizer = (trained if shared else accelerator.prepare(trained)), accelerator.prepare(optimizer)
    state = _State(accelerator, trained, optimizer, plan, network if shared else None)
    done = state.take_up(path, key, say)
    rank, numbers = accelerator.process_index, Numbers()
    trained.train()
    with StopAsked() as stop, ThreadPoolExecutor(1) as drawer:
        drawn = drawer.submit(draw, done, rank) if done < plan.steps else None
        for step in range(done, plan.steps):
            batch = drawn.result()  # type: ignore[union-attr]
            drawn = drawer.submit(draw, step + 1, rank) if step + 1 < plan.steps else None
            losses = state.learn(step, batch, numbers, say)
            stopping = state.any_of(stop.received)
            if stopping or (step + 1) % plan.keep_every == 0 or step + 1 == plan.steps:
                state.save(path, key, step + 1)
            yield Progress(step + 1, losses, state.mean, accelerator.is_main_process)
            if stopping:
                raise Stopped(128 + stopping)
    network.eval()
    state.mean.settle()


def take_device(device: str | None) -> None:
    """Have ``cuda`` mean this process's own GPU, where several processes run on one machine."""
    if device != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def is_first_process() -> bool:
    """Whether this process of a run on several devices is the one that writes and speaks."""
    return os.environ.get("RANK", "0") == "0"


def rate_at(step: int, plan: Plan) -> float:
    """Learning rate of a step, counted from 1: up, constant, and down in the square root (Hägele et al. 2024)."""
    left = (plan.steps - step) / max(1, plan.steps - constant_until(plan.steps, plan))
    warm_up = min(plan.warm_up, max(1, plan.steps // 10))
    return plan.rate * max(0.02, min(1.0, step / warm_up, 1 - math.sqrt(max(0.0, 1 - left))))


def constant_until(steps: int, plan: Plan) -> int:
    """The step after which the rate falls in a run of so many steps."""
    return steps - max(1, round(plan.cool_down * steps))


class _State:
    """Network, optimizer and running mean of a run, and how a step is taken."""

    def __init__(
        self, accelerator: Accelerator, network: nn.Module, optimizer: torch.optim.Optimizer, plan: Plan, whole: nn.Module | None
    ) -> None:  # fmt: skip
        self._accelerator, self._network, self._optimizer, self._plan = accelerator, network, optimizer, plan
        plain = accelerator.unwrap_model(network)
        self._parameters = {name: value for name, value in plain.named_parameters() if value.requires_grad}
        known = (self._parameters, plan.decay)
        self.mean = RunningMean(*known) if whole is None else SharedMean(*known, whole)
        self._parts = 1

    def _standing(self) -> checkpoint.Standing:
        optimizer = getattr(self._optimizer, "optimizer", self._optimizer)
        return checkpoint.Standing(self._parameters, self.mean.means, optimizer)

    def save(self, path: Path, key: str, step: int) -> None:
        about = {"key": key, "step": str(step), "steps": str(self._plan.steps)}
        checkpoint.save(path, self._standing(), about, writes=self._accelerator.is_main_process)
        self.mean.gather(wanted=self._accelerator.is_main_process)
        self._accelerator.wait_for_everyone()

    def take_up(self, path: Path, key: str, say: Callable[[str], None]) -> int:
        """Steps that are done."""
        about = checkpoint.read_about(path)
        if about is None:
            return 0
        step, meant, steps = int(about["step"]), int(about["steps"]), self._plan.steps
        if about.get("key") != key or (steps != meant and step > constant_until(min(steps, meant), self._plan)):
            say(f"{path} is of another run and will be replaced")
            return 0
        checkpoint.take_up(path, self._standing(), step)
        self.mean.gather(wanted=self._accelerator.is_main_process)
        say(f"goes on at step {step} of {self._plan.steps}")
        return step

    def learn(self, step: int, batch: Batch, numbers: Numbers, say: Callable[[str], None]) -> dict[str, float]:
        """One step; the losses before it."""
        torch.manual_seed((self._plan.seed * 1_000_003 + step) * 1009 + self._accelerator.process_index)
        for group in self._optimizer.param_groups:
            group["lr"] = rate_at(step + 1, self._plan)
        losses = self._gradients(batch, say)
        norm = self._clip()
        if numbers.usable(losses["loss"], norm):
            self._optimizer.step()
            self.mean.update(step + 1)
        else:
            say(f"step {step + 1}: the loss is no number; the step is left out")
        self._optimizer.zero_grad()
        return {**losses, "norm": norm}

    def any_of(self, signal: int) -> int:
        """A signal that any process received; 0 if none did. All must know, as none can do a step alone."""
        if self._accelerator.num_processes == 1:
            return signal
        received = torch.tensor(signal, device=self._accelerator.device)
        return int(self._accelerator.reduce(received, reduction="max"))

    def _clip(self) -> float:
        """Norm of the gradient before it is clipped."""
        norm = self._accelerator.clip_grad_norm_(self._network.parameters(), _CLIP)
        return float(norm.full_tensor() if isinstance(norm, DTensor) else norm or 0.0)

    def _gradients(self, batch: Batch, say: Callable[[str], None]) -> dict[str, float]:
        size = len(next(iter(batch.values())))
        while True:
            try:
                return self._in_parts(batch, size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self._parts >= size:
                    raise OutOfMemory("memory ran out with one sample", "ask for a smaller --size or fewer --frames") from error
                if self._accelerator.num_processes > 1:
                    raise OutOfMemory("memory ran out in one of several processes", "ask for a smaller --batch") from error
            self._optimizer.zero_grad()
            free_memory()
            self._parts = min(2 * self._parts, size)
            say(f"memory ran out: a batch is now worked off in {self._parts} parts")

    def _in_parts(self, batch: Batch, size: int) -> dict[str, float]:
        totals: dict[str, Tensor] = {}
        for part in range(self._parts):
            rows = slice(part * size // self._parts, (part + 1) * size // self._parts)
            inputs = {name: value[rows].to(self._accelerator.device) for name, value in batch.items()}
            with self._accelerator.autocast():
                losses: dict[str, Tensor] = self._network(inputs)
            self._accelerator.backward(losses["loss"].sum() / size)
            for name, value in losses.items():
                totals[name] = totals.get(name, torch.zeros((), device=value.device)) + value.detach().float().sum() / size
        mean = self._accelerator.reduce(totals, reduction="mean")
        return {name: float(value) for name, value in mean.items()}


def _accelerator(plan: Plan) -> Accelerator:
    return Accelerator(
        mixed_precision="bf16" if plan.precision == "bfloat16" else "no", cpu=plan.device == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )  # fmt: skip
