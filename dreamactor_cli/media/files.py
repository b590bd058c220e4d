"""Small helpers on files: hashing, names for FFmpeg, and writing beside the target."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dreamactor_cli.errors import DiskFull, JobFailed, UnreadableInput

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex, read in pieces.

    Raises:
        UnreadableInput: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be read: {error.strerror}", "check the name and the permissions") from error


def require_file(path: Path) -> None:
    """Refuse, with a reason, what is not a readable file with bytes in it.

    Raises:
        UnreadableInput: not there, not a file, empty, or not ours to read.
    """
    try:
        if not path.exists():
            raise UnreadableInput(f"{path} was not found", "check the name")
        if not path.is_file():
            raise UnreadableInput(f"{path} is not a file", "give the name of a file")
        with open(path, "rb") as file:
            if not file.read(1):
                raise UnreadableInput(f"{path} is empty", "copy or download it again")
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be read: {error.strerror}", "check the name and the permissions") from error


def url_of(path: Path) -> str:
    """The name FFmpeg takes literally, whatever is in it (a leading dash, ``%d``, a colon)."""
    return f"file:{os.path.abspath(path)}"


def beside(path: Path, suffix: str | None = None) -> Path:
    """An unused hidden name in the folder of ``path``, so that `os.replace` onto it is atomic."""
    return path.parent / f".dreamactor-{secrets.token_hex(6)}{path.suffix if suffix is None else suffix}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the errors of the file system, while ``path`` is written, into ours.

    Raises:
        DiskFull: no room.
        JobFailed: anything else, like a folder that is not writable.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"no room left to write {path}", "free some space, or write to another disk") from error
        raise JobFailed(f"{path} cannot be written: {error.strerror or error}", "check the folder and its permissions") from error
