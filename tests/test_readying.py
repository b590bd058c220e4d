"""A reference that is made ready in a thread."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from dreamactor_cli.errors import NoPersonFound
from dreamactor_cli.readying import Readying

LOADED: Any = object()


def test_it_is_there_when_it_is_prepared() -> None:
    prepared: list[object] = []

    def prepare(loaded: object) -> None:
        time.sleep(0.05)
        prepared.append(loaded)

    assert Readying(lambda: LOADED, prepare).result() is LOADED
    assert prepared == [LOADED]


def test_what_goes_wrong_is_told_as_soon_as_it_is_known() -> None:
    def load() -> Any:
        raise NoPersonFound("nobody")

    readying = Readying(load, lambda _: None)
    with pytest.raises(NoPersonFound):
        readying.result()
    with pytest.raises(NoPersonFound):
        readying.check()


def test_given_up_it_prepares_nothing_but_ends_what_it_writes() -> None:
    begun, finish, done = threading.Event(), threading.Event(), threading.Event()

    def load() -> Any:
        begun.set()
        finish.wait(10)
        done.set()
        return LOADED

    prepared: list[object] = []
    readying = Readying(load, prepared.append)
    readying.check()
    begun.wait(10)
    threading.Timer(0.1, finish.set).start()
    readying.give_up(wholly=False)
    assert done.is_set()
    readying.give_up(wholly=True)
    assert prepared == []


def test_a_renderer_that_fails_fails_the_job() -> None:
    def prepare(_: object) -> None:
        raise MemoryError

    readying = Readying(lambda: LOADED, prepare)
    with pytest.raises(MemoryError):
        readying.result()
