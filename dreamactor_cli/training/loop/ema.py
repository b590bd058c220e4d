"""The running mean of weights, which renders better than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


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
