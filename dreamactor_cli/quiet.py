"""Keep the chatter of C++ libraries off the user's terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# The file descriptor is the process' own: two threads that put it aside at once would not both bring it back.
_aside = threading.RLock()
PATIENCE = 5.0  # seconds that a message waits for it


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 to nowhere; Python's own stderr is flushed before and after.

    One thread at a time is inside.
    """
    with _aside:
        sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # no stderr at all: nothing to keep quiet
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


@contextmanager
def terminal() -> Iterator[None]:
    """Wait until no other thread has put the terminal aside, so that what is written now is seen."""
    free = _aside.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        if free:
            _aside.release()
