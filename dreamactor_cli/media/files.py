"""Small helpers on files: hashing, refusing what is none, names for FFmpeg, and names beside the target."""

from __future__ import annotations

import hashlib
import os
import time
from functools import lru_cache
from pathlib import Path

from dreamactor_cli.atomic import unique_suffix
from dreamactor_cli.errors import UnreadableInput

_SETTLED = 2_000_000_000  # ns; a file may change once more within one tick of the file system's clock


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex, read in pieces; remembered while the file stays as it is.

    Raises:
        UnreadableInput: the file cannot be read.
    """
    try:
        status = os.stat(path)
        if abs(time.time_ns() - status.st_mtime_ns) < _SETTLED:
            return _digest(path)
        return _remembered(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be read: {error.strerror}", "check the name and the permissions") from error


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1 << 15)
def _remembered(path: Path, version: tuple[int, ...]) -> str:  # noqa: ARG001 - a part of the key
    return _digest(path)


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
    return path.parent / f".dreamactor.{unique_suffix()}{path.suffix if suffix is None else suffix}"
