"""Content-addressed store of signals, safe with many processes on one network file system.

::

    ROOT/ab/ab12..-9f03...safetensors     an entry: its key, and the sha256 of its bytes
    ROOT/ab/.ab12...HOST.PID.RANDOM.tmp   an entry that is being written
    ROOT/scratch/HOST.PID.RANDOM/         a folder of `Cache.scratch`

The checksum is part of the name, so that one rename publishes an entry together with its checksum: no locks are needed
(network file systems keep them badly), and of several processes that make the same entry, the last wins with equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from .atomic import sync, unique_suffix, write_errors

ENVIRONMENT = "DREAMACTOR_CACHE"

_ELSEWHERE = f"name another place for the cache with --cache-dir or {ENVIRONMENT}"
_BLOCK = 1 << 20  # bytes
_STALE = 24 * 3600.0  # seconds without a change after which scratch counts as abandoned
_YOUNG = 60.0  # seconds for which `gc` leaves an entry to who has just made or read it
_SHARD = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"([0-9a-f]{64})-([0-9a-f]{64})\.safetensors")
_TEMPORARY = re.compile(r"\.[0-9a-f]{64}\.([^.]+)\.(\d+)\.[0-9a-f]{12}\.tmp")
_SCRATCH = re.compile(r"([^.]+)\.(\d+)\.[0-9a-f]{12}")

# Entries whose checksum this process has seen to hold: (path, inode) -> (size, modification time in ns) at that time.
_checked: dict[tuple[str, int], tuple[int, int]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What a cache holds. ``bytes`` counts the entries alone."""

    entries: int
    bytes: int
    root: Path


class _Entry(NamedTuple):
    path: Path
    key: str
    sha256: str
    size: int
    used: float  # modification time, which `get` sets, seconds since the epoch


class Cache:
    """A folder of signals.

    Attributes:
        root: the folder; made when something is written.
        damaged: keys of the entries that this object found damaged and removed.
    """

    def __init__(self, root: Path | None = None) -> None:
        """Name the folder.

        Args:
            root: None is ``DREAMACTOR_CACHE``, or else the user's cache folder.
        """
        self.root = (root or _default_root()).expanduser()
        self.damaged: list[str] = []

    @staticmethod
    def signal_key(
        *,
        input_sha256: str,
        window: str,
        fps: Fraction,
        extractor: str,
        version: str,
        parameters: Mapping[str, object],
        weights_sha256: str = "",
    ) -> str:
        """Key of a signal, 64 hex digits: everything that its values depend on, and nothing else.

        Args:
            input_sha256: of the input's bytes.
            window: of the input that was read, in any one spelling.
            fps: at which the signal was sampled.
            extractor: its name.
            version: of the extractor.
            parameters: of the extractor; numbers, strings, booleans, None, and lists and dicts of them.
            weights_sha256: of the weights, if there are any.
        """
        described = {
            "input": input_sha256, "window": window, "fps": f"{fps.numerator}/{fps.denominator}", "extractor": extractor,
            "version": version, "parameters": dict(parameters), "weights": weights_sha256,
        }  # fmt: skip
        text = json.dumps(described, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def get(self, key: str) -> Path | None:
        """The entry of a key, marked as used; None if it is not there or damaged.

        The checksum is looked at when a process reads an entry for the first time, and when the file was touched since. A
        damaged entry is removed.
        """
        for entry in sorted(self._entries(self._shard(key))):
            if entry.key == key and self._holds(entry):
                if time.time() - entry.used > _YOUNG / 2:  # seldom: others must look at the checksum again
                    with suppress(OSError):  # a cache that only others may write is still good to read
                        os.utime(entry.path)
                        _remember(entry.path)
                return entry.path
        return None

    def has(self, key: str) -> bool:
        """Whether there is an entry, without a look at its bytes: for plans, which `get` may yet correct."""
        return any(entry.key == key for entry in self._entries(self._shard(key)))

    def put(self, key: str, write: Callable[[Path], None]) -> Path:
        """Make an entry.

        Args:
            key: of `signal_key`.
            write: makes the file that it is given the name of. If it raises, nothing stays behind.

        Raises:
            DiskFull, UsageError: the cache cannot be written.
        """
        shard = self._shard(key)
        beside = shard / f".{key}.{unique_suffix()}.tmp"
        try:
            with write_errors(self.root, _ELSEWHERE):
                shard.mkdir(parents=True, exist_ok=True)
                write(beside)
                sync(beside)
                path = shard / f"{key}-{_sha256(beside)}.safetensors"
                beside.replace(path)
                _remember(path)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        return path

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for temporary files on the cache's file system, removed on exit."""
        folder = self.root / "scratch" / unique_suffix()
        with write_errors(self.root, _ELSEWHERE):
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def info(self) -> CacheInfo:
        """How much is there."""
        sizes = [entry.size for entry in self._all()]
        return CacheInfo(entries=len(sizes), bytes=sum(sizes), root=self.root)

    def verify(self) -> list[str]:
        """Look at every checksum and remove what is damaged.

        Returns:
            The keys of the damaged entries, which are made again when they are needed.
        """
        _checked.clear()
        known = len(self.damaged)
        for entry in self._all():
            self._holds(entry)
        return self.damaged[known:]

    def gc(self, max_bytes: int) -> int:
        """Remove the least recently used entries until the rest fits, and scratch that was abandoned.

        Entries that were made or read within the last minute, and scratch in use, stay.

        Returns:
            Bytes that were freed, scratch included.
        """
        now = time.time()
        freed = self._remove_abandoned(now)
        entries = sorted(self._all(), key=lambda entry: (entry.used, entry.key))
        excess = sum(entry.size for entry in entries) - max_bytes
        for entry in entries:
            if excess <= 0:
                break
            if now - entry.used >= _YOUNG and _unlink(entry.path):
                excess -= entry.size
                freed += entry.size
        return freed

    def sweep(self) -> int:
        """Remove what processes that were killed left half-written.

        Returns:
            Bytes that were freed.
        """
        return self._remove_abandoned(time.time())

    def clear(self) -> int:
        """Remove all entries, and scratch that was abandoned; files that are not the cache's stay.

        Returns:
            Bytes that were freed.
        """
        freed = self._remove_abandoned(time.time())
        # The folders stay: somebody may be about to write there.
        return freed + sum(entry.size for entry in self._all() if _unlink(entry.path))

    def _shard(self, key: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{64}", key):
            raise ValueError(f"{key!r} is not a key")
        return self.root / key[:2]

    def _shards(self) -> list[Path]:
        return sorted(path for path in _listing(self.root) if _SHARD.fullmatch(path.name))

    def _all(self) -> Iterator[_Entry]:
        for shard in self._shards():
            yield from self._entries(shard)

    def _entries(self, shard: Path) -> Iterator[_Entry]:
        for path in _listing(shard):
            match = _ENTRY.fullmatch(path.name)
            if match:
                with suppress(OSError):  # removed meanwhile
                    status = path.stat()
                    yield _Entry(path, match[1], match[2], status.st_size, status.st_mtime)

    def _holds(self, entry: _Entry) -> bool:
        """Whether an entry is there and whole; a damaged one is removed and noted."""
        try:
            name, state = _identity(entry.path)
            if _checked.get(name) == state:
                return True
            whole = _sha256(entry.path) == entry.sha256
        except OSError:
            return False  # removed meanwhile, or not for us to read
        if whole:
            _checked[name] = state
        elif _unlink(entry.path):
            self.damaged.append(entry.key)
        return whole

    def _remove_abandoned(self, now: float) -> int:
        freed = 0
        for shard in self._shards():
            for path in _listing(shard):
                match = _TEMPORARY.fullmatch(path.name)
                if match and _abandoned(path, match[1], int(match[2]), now):
                    with suppress(OSError):
                        size = path.stat().st_size
                        freed += size if _unlink(path) else 0
        for folder in _listing(self.root / "scratch"):
            match = _SCRATCH.fullmatch(folder.name)
            if match and _abandoned(folder, match[1], int(match[2]), now):
                freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                shutil.rmtree(folder, ignore_errors=True)
        return freed


def _identity(path: Path) -> tuple[tuple[str, int], tuple[int, int]]:
    """What file it is, and in what state."""
    status = path.stat()
    return (str(path), status.st_ino), (status.st_size, status.st_mtime_ns)


def _remember(path: Path) -> None:
    """This process knows that the file is whole."""
    name, state = _identity(path)
    _checked[name] = state


def _default_root() -> Path:
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("dreamactor", appauthor=False))


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _unlink(path: Path) -> bool:
    """Remove a file; whether this call did it."""
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _abandoned(path: Path, host: str, pid: int, now: float) -> bool:
    """Whether a temporary file or folder belongs to nobody: its process on this machine has ended, or it is old."""
    if unique_suffix().split(".")[0] == host and not _runs(pid):
        return True
    try:
        newest = max(each.stat().st_mtime for each in (path, *path.rglob("*")))
    except OSError:
        return False
    return now - newest > _STALE and unique_suffix().split(".")[0] != host


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
