"""Files that are complete or not there: written beside their name and moved into place."""

from __future__ import annotations

import errno
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import DiskFull, UsageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def unique_suffix() -> str:
    """A suffix that no other process on any machine of the file system uses."""
    host = "".join(c if c.isalnum() else "_" for c in socket.gethostname())[:32]
    return f"{host}.{os.getpid()}.{secrets.token_hex(6)}"


@contextmanager
def write_errors(path: Path, elsewhere: str = "choose another place") -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` into ours.

    Args:
        path: what the user asked for, whatever temporary file it is written through.
        elsewhere: how the user names another place.

    Raises:
        DiskFull: no space, or the quota is used up.
        UsageError: no permission, or there is no such folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"no space left to write {path}", f"make room, or {elsewhere}") from error
        if error.errno in _FORBIDDEN:
            raise UsageError(f"no permission to write {path}", elsewhere) from error
        if error.errno in _NO_FOLDER:
            raise UsageError(f"{path} cannot be written: {error.strerror}", f"make its folder, or {elsewhere}") from error
        raise


def sync(path: Path) -> None:
    """Force a file's bytes to disk, so that a name never stands for a file that a crash emptied."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; moved onto ``path`` at the end, removed on any error.

    Raises:
        DiskFull, UsageError: as `write_errors`.
    """
    if not path.name:
        raise UsageError(f"{path} cannot be written: it is a folder", "name a file")
    beside = path.with_name(f".{path.name[:32]}.{unique_suffix()}.tmp")
    try:
        with write_errors(path):
            yield beside
            sync(beside)
            beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
