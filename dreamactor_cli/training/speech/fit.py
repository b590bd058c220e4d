"""The training loop: any network, any batches; stops and goes on anywhere with the same result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from dreamactor_cli.atomic import replacing
from dreamactor_cli.contracts import SPEECH_CHANNELS
from dreamactor_cli.training.speech.examples import Batch

_RATE, _WEIGHT_DECAY = 2e-3, 0.01
_WARM_UP = 200  # steps in which the learning rate rises; fewer in a short run
_COOL_DOWN = 0.3  # share of the steps, the last ones, in which it falls
_CLIP = 1.0  # norm of the gradient
_KEEP_EVERY = 250  # steps
_BETA = 0.1  # of the smooth L1 loss
_VISEME_WEIGHT = 0.05
_WEIGHTS = {"aperture": 2.0, "jaw": 1.5, "width": 1.5, "closure": 2.0, "upper_lip": 0.7, "tongue": 0.7, "teeth": 0.7}


class Progress(NamedTuple):
    """Where the training stands; ``loss`` is a running mean."""

    step: int
    loss: float


def fit(
    model: nn.Module, draw: Callable[[int], Batch], *, steps: int, seed: int, checkpoint: Path, key: str
) -> Iterator[Progress]:
    """Train a network.

    Every batch is seeded by its number, so that a run that was stopped and goes on makes the weights of one that was not. The
    learning rate is constant up to the last third: until then a run may be taken up with other ``steps`` than it began with.

    Args:
        model: is trained in place; maps inputs to articulation and viseme logits.
        draw: a batch by its seed; runs in a thread of its own, while the network learns from the batch before.
        steps: in all.
        seed: of the batches.
        checkpoint: kept every few hundred steps; taken up if it is there and of the same ``key``.
        key: what the run depends on besides.

    Yields:
        After every step.

    Raises:
        DiskFull, UsageError: the checkpoint cannot be written.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=_WEIGHT_DECAY)
    key = f"{key}/{seed}"
    done, loss = _resume(checkpoint, key, steps, model, optimizer)
    model.train()
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as drawer:
        drawn = drawer.submit(draw, _seed(seed, done))
        for step in range(done, steps):
            batch, drawn = drawn.result(), drawer.submit(draw, _seed(seed, step + 1))
            for group in optimizer.param_groups:
                group["lr"] = _RATE * _schedule(step + 1, steps)
            wrong = _learn(model, optimizer, batch)
            loss = wrong if math.isnan(loss) else 0.98 * loss + 0.02 * wrong
            if (step + 1) % _KEEP_EVERY == 0 or step + 1 == steps:
                _keep(checkpoint, {"key": key, "steps": str(steps), "step": str(step + 1), "loss": repr(loss)}, model, optimizer)
            yield Progress(step + 1, loss)
    model.eval()


def _seed(seed: int, step: int) -> int:
    return seed * 1_000_003 + step


def _schedule(step: int, steps: int) -> float:
    """Share of the learning rate (Hägele et al. 2024: constant, then down in the square root)."""
    left = (steps - step) / (steps - _constant_until(steps))
    warm_up = min(_WARM_UP, max(1, steps // 10))
    return min(1.0, step / warm_up, 1 - math.sqrt(max(0.0, 1 - left)))


def _constant_until(steps: int) -> int:
    return steps - max(1, round(_COOL_DOWN * steps))


def _learn(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
    """One step; the loss before it."""
    articulation, logits = model(batch.inputs)
    wrong = _loss(articulation, logits, batch)
    optimizer.zero_grad()
    wrong.backward()
    nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
    optimizer.step()
    return wrong.item()


def _loss(articulation: Tensor, logits: Tensor, batch: Batch) -> Tensor:
    """How far off places, speeds over 40 ms and visemes are."""
    weights = torch.tensor([_WEIGHTS.get(name, 1.0) for name in SPEECH_CHANNELS])

    def distance(said: Tensor, meant: Tensor) -> Tensor:
        return (functional.smooth_l1_loss(said, meant, reduction="none", beta=_BETA) * weights).mean()

    moved, meant = articulation[:, 2:] - articulation[:, :-2], batch.articulation[:, 2:] - batch.articulation[:, :-2]
    visemes = functional.cross_entropy(logits.transpose(1, 2), batch.visemes)
    return distance(articulation, batch.articulation) + distance(moved, meant) + _VISEME_WEIGHT * visemes


def _keep(path: Path, about: dict[str, str], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    tensors = {f"model.{name}": value.detach().contiguous() for name, value in model.state_dict().items()}
    for name, parameter in _trained(model):
        state = optimizer.state[parameter]
        tensors |= {f"first.{name}": state["exp_avg"], f"second.{name}": state["exp_avg_sq"]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        save_file(tensors, beside, about)


def _resume(path: Path, key: str, steps: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """Steps that are done, and the running loss, after taking up a checkpoint if there is a usable one."""
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return 0, math.nan
    if about.get("key") != key:
        return 0, math.nan
    step, meant = int(about["step"]), int(about["steps"])
    if steps != meant and step > _constant_until(min(steps, meant)):
        return 0, math.nan
    model.load_state_dict({name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")})
    for name, parameter in _trained(model):
        averages = {"exp_avg": tensors[f"first.{name}"], "exp_avg_sq": tensors[f"second.{name}"]}
        optimizer.state[parameter] = {"step": torch.tensor(float(step)), **averages}
    return step, float(about["loss"])


def _trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
