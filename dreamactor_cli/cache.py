"""Content-addressed store of signals, safe with many processes on one network file system."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What a cache holds. ``bytes`` counts the entries alone."""

    entries: int
    bytes: int
    root: Path


class Cache:
    """A folder of signals.

    Attributes:
        root: the folder.
        damaged: keys of the entries that were found damaged and removed by this object.
    """

    root: Path
    damaged: list[str]

    def __init__(self, root: Path | None = None) -> None:
        raise NotImplementedError

    @staticmethod
    def signal_key(*, input_sha256: str, window: str, fps: Fraction, extractor: str, version: str,
                   parameters: Mapping[str, object], weights_sha256: str = "") -> str:
        """Key of a signal, 64 hex digits."""
        raise NotImplementedError

    def get(self, key: str) -> Path | None:
        """The entry, or None if it is not there or damaged. Reading touches it."""
        raise NotImplementedError

    def put(self, key: str, write: Callable[[Path], None]) -> Path:
        """Make an entry: ``write`` fills the (not yet existing) file it is given."""
        raise NotImplementedError

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder inside the root, removed on exit."""
        raise NotImplementedError
        yield Path()

    def info(self) -> CacheInfo:
        raise NotImplementedError

    def verify(self) -> list[str]:
        raise NotImplementedError

    def gc(self, max_bytes: int) -> int:
        raise NotImplementedError

    def clear(self) -> int:
        raise NotImplementedError
