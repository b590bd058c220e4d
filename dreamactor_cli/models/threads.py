"""How many threads torch computes with on the CPU: how sums are spread over them shows in the last bits of what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")
_END = object()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Compute with so many threads inside, in this thread, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def made_with(count: int, values: Iterator[T]) -> Iterator[T]:
    """The same values, each made with so many threads; who takes them keeps its own number."""
    while True:
        with torch_threads(count):
            value = next(values, _END)
        if value is _END:
            return
        yield value  # type: ignore[misc]
