"""Who may write into an output folder: one run, or the parts of one run, each of them once.

A claim is a marker file that its owner touches every few seconds (a lease of the library filelock), which works on network
file systems too, where other locks may only hold on one machine. The claim of a process that died is taken over: at once
on its own machine, after `LEASE` seconds on another. Claims are looked through and made under one more lock.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dreamactor_cli.atomic import write_errors
from dreamactor_cli.errors import UsageError

LEASE = 30.0  # seconds without a sign of life after which a claim counts as left behind
SECONDS_BETWEEN_TRIES = 1.0
_GATE = ".dreamactor-gate.lock"
_CLAIM = re.compile(r"\.dreamactor-run(?:-(\d+)-of-(\d+))?\.lock")


@contextmanager
def claim(folder: Path, part: str, *, wait: bool, on_wait: Callable[[str], None]) -> Iterator[threading.Event]:
    """Keep other runs off a folder.

    Args:
        part: like ``"2-of-8"``; empty is the whole.
        wait: for the other run to end; else that is an error.
        on_wait: told once what is waited for.

    Yields:
        An event that is set when the claim was lost to another run, after this one slept longer than `LEASE`.

    Raises:
        UsageError: another run has the folder.
        DiskFull: the claim cannot be written.
    """
    from filelock import SoftFileLease

    lost = threading.Event()
    name = f".dreamactor-run-{part}.lock" if part else ".dreamactor-run.lock"
    lease = SoftFileLease(folder / name, lease_duration=LEASE, on_compromise=lambda _: lost.set(), thread_local=False, timeout=0)
    told = False
    while True:
        busy = _try(folder, lease, name)
        if busy is None:
            break
        if not wait:
            hint = "wait for it with --wait, or name another folder with -o"
            raise UsageError(f"{folder} is in use by another run ({busy})", hint)
        if not told:
            on_wait(f"waiting for another run ({busy}) to end")
            told = True
        time.sleep(SECONDS_BETWEEN_TRIES)
    try:
        yield lost
    finally:
        with suppress(OSError):
            lease.release()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep the other parts of a run out for a moment."""
    from filelock import SoftFileLease

    with write_errors(folder, "name another folder with -o"), SoftFileLease(folder / _GATE, lease_duration=LEASE, timeout=-1):
        yield


def _try(folder: Path, lease: Any, name: str) -> str | None:
    """Make the claim; who stands against it, if it cannot be made."""
    from filelock import SoftFileLease, Timeout

    with alone(folder):
        for path in sorted(folder.iterdir()):
            found = _CLAIM.fullmatch(path.name)
            if found is None or path.name == name or (found[2] and found[2] == _count(name)):
                continue
            other = SoftFileLease(path, lease_duration=LEASE, timeout=0)
            try:
                with other:
                    pass  # it was left behind
            except Timeout:
                return f"part {found[1]} of {found[2]}" if found[1] else _holder(path)
        try:
            lease.acquire()
        except Timeout:
            return _holder(folder / name)
    return None


def _count(name: str) -> str:
    found = _CLAIM.fullmatch(name)
    return found[2] or "" if found else ""


def _holder(path: Path) -> str:
    """Process and machine of a claim, as far as its file tells."""
    with suppress(OSError):
        text = path.read_text("utf-8", "replace")
        found = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
        if "pid" in found and "host" in found:
            return f"process {found['pid']} on {found['host']}"
    return "it has just begun"
