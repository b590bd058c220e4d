"""Temporary files that a run which was killed left beside its outputs.

Their names carry machine and process (`atomic.unique_suffix`), so that they can be told from those of runs that live.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dreamactor_cli.atomic import unique_suffix

STALE = 3600.0  # seconds without a change after which another machine's file counts as left behind
_OWNER = re.compile(r"\..*\.(?P<host>[A-Za-z0-9_]{1,32})\.(?P<pid>\d+)\.[0-9a-f]{12}(\.[A-Za-z0-9]+)?", re.DOTALL)


def sweep(folders: Iterable[Path]) -> int:
    """Remove what dead processes left in these folders, and end what still writes to it.

    Returns:
        How many files and folders were removed.
    """
    removed = 0
    for folder in folders:
        with suppress(OSError):
            for path in list(folder.iterdir()):
                removed += _remove(path)
    return removed


def remove_own(folder: Path) -> None:
    """Remove the temporary files of this process, which is about to end in the midst of its work."""
    mine = (unique_suffix().partition(".")[0], str(os.getpid()))
    with suppress(OSError):
        for path in list(folder.iterdir()):
            owner = _OWNER.fullmatch(path.name)
            if owner is not None and (owner["host"], owner["pid"]) == mine:
                _delete(path)


def _remove(path: Path) -> bool:
    """Whether a file was left behind, and is gone now."""
    owner = _OWNER.fullmatch(path.name)
    if owner is None or not _is_abandoned(path, owner["host"], int(owner["pid"])):
        return False
    _end_writers(path)
    _delete(path)
    return not path.exists()


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _is_abandoned(path: Path, host: str, pid: int) -> bool:
    """Whether the process that made a file has gone."""
    import psutil

    try:
        changed = path.stat().st_mtime
    except OSError:
        return False
    if host != unique_suffix().partition(".")[0]:
        return time.time() - changed > STALE
    if pid == os.getpid():
        return False
    try:
        # Numbers of processes are used again: one that was started after the file was changed did not make it.
        return bool(psutil.Process(pid).create_time() > changed + 1)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _end_writers(path: Path) -> None:
    """End the FFmpeg that outlived its parent: it would put the file back."""
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if any(argument.endswith(f"/{path.name}") for argument in process.cmdline()):
                process.kill()
                process.wait(5)
