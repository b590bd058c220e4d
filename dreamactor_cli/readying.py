"""A reference that is made ready in a thread, while the processes that look at the driver are still starting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from dreamactor_cli.reference import LoadedReference


class Readying:
    """Loads a reference, which writes to the cache, and then prepares the renderer, which writes nothing of ours.

    Args:
        load: gives the reference.
        prepare: what the renderer does with it before the first frame.
    """

    def __init__(self, load: Callable[[], LoadedReference], prepare: Callable[[LoadedReference], None]) -> None:
        self._load, self._prepare = load, prepare
        self._loaded: Future[LoadedReference] = Future()
        self._ready: Future[LoadedReference] = Future()
        self._given_up = threading.Event()
        threading.Thread(target=self._run, name="reference", daemon=True).start()

    def check(self) -> None:
        """Raise what went wrong, if anything has so far."""
        if self._ready.done():
            self._ready.result()

    def loaded(self) -> LoadedReference:
        """The reference, as soon as it is there; raises what went wrong."""
        return self._loaded.result()

    def result(self) -> LoadedReference:
        """The reference, when all is ready; raises what went wrong."""
        return self._ready.result()

    def give_up(self, *, wholly: bool) -> None:
        """Begin nothing more, and wait until no file is half-written; ``wholly``: until the thread has ended."""
        self._given_up.set()
        wait([self._ready if wholly else self._loaded])

    def _run(self) -> None:
        try:
            loaded = self._load()
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            self._ready.set_exception(error)
            self._loaded.set_exception(error)
            return
        self._loaded.set_result(loaded)
        try:
            if not self._given_up.is_set():
                self._prepare(loaded)
        except BaseException as error:  # noqa: BLE001 - likewise
            self._ready.set_exception(error)
        else:
            self._ready.set_result(loaded)
