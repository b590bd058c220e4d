"""The running mean of weights, which renders better than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dreamactor_cli.training.loop.sharding import gathered


class RunningMean:
    """Exponential moving average of the parameters that learn; sharded where they are.

    Args:
        parameters: by name.
        decay: at the end; at first the mean follows quickly (1 + s) / (10 + s), as it has little to remember.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters, self._decay = parameters, decay
        self.means: dict[str, Tensor] = {name: value.detach().clone().float() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, value in self._parameters.items():
            self.means[name].lerp_(value.detach().float(), share)

    @contextmanager
    @torch.no_grad()
    def in_place(self) -> Iterator[None]:
        """The network with the mean as its weights."""
        kept = {name: value.detach().clone() for name, value in self._parameters.items()}
        try:
            for name, value in self._parameters.items():
                value.copy_(self.means[name])
            yield
        finally:
            for name, value in self._parameters.items():
                value.copy_(kept[name])

    @torch.no_grad()
    def settle(self) -> None:
        """Leave the mean in the network for good."""
        for name, value in self._parameters.items():
            value.copy_(self.means[name])

    def gather(self, *, wanted: bool) -> None:
        """At a checkpoint: what `in_place` shall show, where that has to be fetched from other processes."""


class SharedMean(RunningMean):
    """The mean where weights are shared out among processes (`sharding`), and the whole network that it is gathered in.

    All processes must call `gather` and `settle`; between, each can draw alone.

    Args:
        whole: on the CPU, with parameters of the same names.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float, whole: nn.Module) -> None:
        super().__init__(parameters, decay)
        self._whole = whole

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The whole network with the mean of the last checkpoint, which it has anyway; it may be moved to a GPU meanwhile."""
        try:
            yield
        finally:
            self._whole.to("cpu")

    def settle(self) -> None:
        """Leave the mean in the whole network of each process."""
        self.gather(wanted=True)

    @torch.no_grad()
    def gather(self, *, wanted: bool) -> None:
        """Fetch the mean from all processes; the whole network of those who want it gets it."""
        plain = dict(self._whole.named_parameters())
        for name, mean in self.means.items():
            value = gathered(mean)
            if wanted:
                plain[name].copy_(value)
