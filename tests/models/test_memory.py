"""What is given up when memory runs out, in which order, and what is said."""

from __future__ import annotations

import pytest
import torch

from dreamactor_cli.errors import OutOfMemory
from dreamactor_cli.models.memory import Ladder, is_out_of_memory


def failing(times: int, error: BaseException) -> tuple[list[int], object]:
    calls: list[int] = []

    def action() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "done"

    return calls, action


def test_one_thing_after_the_other() -> None:
    told: list[str] = []
    ladder = Ladder(told.append, frames=73, can_offload=True)
    calls, action = failing(4, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"))
    assert ladder.attempt(action) == "done"  # type: ignore[arg-type]
    assert len(calls) == 5
    assert (ladder.tiled, ladder.offloaded, ladder.frames) == (True, True, 17)
    assert [part in text for part, text in zip(["tiles", "waits", "37 frames", "17 frames"], told, strict=True)] == [True] * 4
    assert all("Tried to allocate 9 GiB" in text for text in told)


def test_a_device_without_memory_of_its_own_offloads_nothing() -> None:
    told: list[str] = []
    ladder = Ladder(told.append, frames=13, can_offload=False, taken=2)
    assert (ladder.tiled, ladder.offloaded, ladder.frames) == (True, False, 9)
    assert len(told) == 2


def test_in_the_end_it_is_an_error_of_ours() -> None:
    ladder = Ladder(lambda text: None, frames=9, can_offload=False)
    _, action = failing(9, MemoryError())
    with pytest.raises(OutOfMemory, match="segments of 9 frames") as raised:
        ladder.attempt(action)  # type: ignore[arg-type]
    assert raised.value.exit_code == 5


def test_other_errors_pass() -> None:
    ladder = Ladder(lambda text: pytest.fail(text), frames=9, can_offload=False)
    _, action = failing(1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        ladder.attempt(action)  # type: ignore[arg-type]


def test_a_cpu_says_it_in_its_own_words() -> None:
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to get 1 byte"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))
