"""Windowed reading and writing of safetensors files.

The safetensors package maps whole files, and mapped pages count as the process's memory; a clip's signals are read in
windows, so files are read here by position. Files are untrusted: the header is limited, strictly checked, and nothing of
a file is ever executed or unpickled. Format: 8 bytes of header length (little endian), JSON, then the arrays' bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import struct
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import UnreadableInput

Array = NDArray[np.generic]
Layout = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]  # dtype and shape by name

MAX_HEADER = 1 << 20  # bytes; ours take a few thousand
BLOCK = 1 << 20  # bytes that are copied or hashed at a time
DTYPES: Mapping[str, np.dtype[np.generic]] = {"I64": np.dtype("<i8"), "F32": np.dtype("<f4"), "U8": np.dtype("u1")}
CHECKSUM = "data_sha256"  # metadata: sha256 of everything behind the header

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_HINT = "make it again with: dreamactor extract SOURCE -o FILE"


class Entry(NamedTuple):
    """One array of a file; ``offset`` is counted from the start of the file, bytes."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one step along the first axis."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize


class TensorFile:
    """Arrays of a safetensors file, read by position.

    The file stays open (without being mapped) as long as the object lives, so that removing its name, as `Cache.gc` may,
    disturbs nobody who reads it. Pickles as its path.

    Attributes:
        path: the file.
        entries: arrays by name.
        metadata: the header's strings.
    """

    def __init__(self, path: Path) -> None:
        """Open a file and check its header.

        Raises:
            UnreadableInput: not there, not a safetensors file, truncated, or with arrays of a type that is not used here.
        """
        self.path = path
        self._file = _open(path)
        self._finalizer = weakref.finalize(self, os.close, self._file)
        try:
            self.entries, self.metadata = _parse(path, self._file)
        except BaseException:
            self.close()
            raise

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path,)

    def close(self) -> None:
        """Close the file; it cannot be read any more."""
        self._finalizer()

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start..stop-1`` of an array, copied."""
        entry = self.entries[name]
        rows = entry.shape[0]
        stop = rows if stop is None else min(stop, rows)
        start = min(max(start, 0), max(stop, 0))
        array = np.empty((max(stop - start, 0), *entry.shape[1:]), entry.dtype)
        self._fill(array.reshape(-1).view(np.uint8).data, entry.offset + start * entry.row_bytes)
        return array

    def blocks(self, name: str) -> Iterator[bytes]:
        """The bytes of an array, block by block."""
        entry = self.entries[name]
        yield from self._blocks(entry.offset, entry.offset + entry.nbytes)

    def arrays(self, name: str) -> Iterator[Array]:
        """The values of an array, flat, block by block."""
        for block in self.blocks(name):
            yield np.frombuffer(block, self.entries[name].dtype)

    def checksum_holds(self) -> bool:
        """Whether the arrays are those that were written; True for a file that carries no checksum."""
        want = self.metadata.get(CHECKSUM)
        if want is None:
            return True
        start = min(entry.offset for entry in self.entries.values())
        digest = hashlib.sha256()
        for block in self._blocks(start, os.fstat(self._file).st_size):
            digest.update(block)
        return digest.hexdigest() == want

    def _blocks(self, start: int, stop: int) -> Iterator[bytes]:
        for position in range(start, stop, BLOCK):
            buffer = bytearray(min(BLOCK, stop - position))
            self._fill(memoryview(buffer), position)
            yield bytes(buffer)

    def _fill(self, buffer: memoryview, position: int) -> None:
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._file, [buffer[done:]], position + done)
            except OSError as error:
                raise UnreadableInput(f"{self.path} cannot be read: {error.strerror}", _HINT) from error
            if count == 0:
                raise UnreadableInput(f"{self.path} became shorter while it was read", _HINT)
            done += count


class TensorWriter:
    """Writes arrays of known shape in any order, row by row if need be.

    ::

        with TensorWriter(path, {"a": (np.float32, (1000, 3))}, {"fps": "25/1"}) as writer:
            writer.put("a", first_rows)
            writer.put("a", more_rows, row=len(first_rows))

    Equal arrays and metadata give equal bytes.
    """

    def __init__(self, path: Path, arrays: Layout, metadata: Mapping[str, str], *, checksum: bool = False) -> None:
        """Lay out a file.

        Args:
            path: is written in place.
            arrays: dtype and shape by name.
            metadata: strings of the header.
            checksum: also write the sha256 of the arrays into the header, at the end.
        """
        text, entries = _header(arrays, dict(metadata) | ({CHECKSUM: "0" * 64} if checksum else {}))
        if len(text) > MAX_HEADER:
            raise ValueError(f"the header of {path} would take {len(text)} bytes")
        self._start = 8 + len(text)
        self._entries = {name: entry._replace(offset=entry.offset + self._start) for name, entry in entries.items()}
        self._checksum_at = 8 + text.index(f'"{CHECKSUM}":"'.encode()) + len(CHECKSUM) + 4 if checksum else None
        self._file = path.open("wb+")
        self._file.write(struct.pack("<Q", len(text)) + text)
        self._file.truncate(self._start + sum(entry.nbytes for entry in entries.values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and self._checksum_at is not None:
                self._write_checksum(self._checksum_at)
        finally:
            self._file.close()

    def put(self, name: str, values: Array, row: int = 0) -> None:
        """Write rows of an array, the first of them at ``row``."""
        entry = self._entries[name]
        if values.dtype != entry.dtype or values.shape[1:] != entry.shape[1:] or row + len(values) > entry.shape[0]:
            raise ValueError(f"{name}: {values.dtype} {values.shape} at row {row} does not fit {entry.dtype} {entry.shape}")
        self._file.seek(entry.offset + row * entry.row_bytes)
        self._file.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)

    def copy(self, name: str, source: TensorFile, row: int = 0) -> None:
        """Copy the array of the same name out of another file, its first row to ``row``."""
        entry, other = self._entries[name], source.entries[name]
        if other.dtype != entry.dtype or other.shape[1:] != entry.shape[1:] or row + other.shape[0] > entry.shape[0]:
            raise ValueError(f"{source.path}: {name} {other.shape} at row {row} does not fit {entry.shape}")
        self._file.seek(entry.offset + row * entry.row_bytes)
        for block in source.blocks(name):
            self._file.write(block)

    def _write_checksum(self, position: int) -> None:
        digest = hashlib.sha256()
        self._file.seek(self._start)
        while block := self._file.read(BLOCK):
            digest.update(block)
        self._file.seek(position)
        self._file.write(digest.hexdigest().encode())


def _header(arrays: Layout, metadata: Mapping[str, str]) -> tuple[bytes, dict[str, Entry]]:
    """The JSON of a file, and its arrays with offsets behind the header."""
    described = {name: Entry(np.dtype(dtype).newbyteorder("<"), shape, 0) for name, (dtype, shape) in arrays.items()}
    entries: dict[str, Entry] = {}
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    position = 0
    # The widest first, so that every array is aligned.
    for name in sorted(described, key=lambda name: (-described[name].dtype.itemsize, name)):
        entry = entries[name] = described[name]._replace(offset=position)
        position += entry.nbytes
        offsets = [entry.offset, position]
        header[name] = {"dtype": _NAMES[entry.dtype], "shape": list(entry.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8), entries


def _open(path: Path) -> int:
    try:
        # Not blocking: a named pipe must be refused, not waited for.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise UnreadableInput(f"{path} does not exist", "check the name") from error
    except (OSError, ValueError) as error:
        raise UnreadableInput(f"{path} cannot be opened: {error}", "check the name and its permissions") from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise UnreadableInput(f"{path} is not a file", "name a controls file")
    return file


def _parse(path: Path, file: int) -> tuple[dict[str, Entry], dict[str, str]]:
    def refuse(reason: str) -> UnreadableInput:
        return UnreadableInput(f"{path} is not a usable controls file: {reason}", _HINT)

    size = os.fstat(file).st_size
    head = os.pread(file, 8, 0)
    if len(head) < 8:
        raise refuse("it is empty or truncated")
    (length,) = struct.unpack("<Q", head)
    if not 2 <= length <= MAX_HEADER:
        raise refuse("it does not begin as a safetensors file")
    text = os.pread(file, length, 8)
    if len(text) < length:
        raise refuse("it is truncated in its header")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise refuse("its header is damaged") from error
    if not isinstance(header, dict):
        raise refuse("its header is damaged")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise refuse("its metadata are damaged")
    entries = {}
    for name, described in header.items():
        entry = _entry(described, 8 + length)
        if isinstance(entry, str):
            raise refuse(f"array {name[:80]!r} {entry}")
        entries[name] = entry
    if not entries:
        raise refuse("it holds no arrays")
    # Every byte belongs to one array: no overlaps, no holes, nothing behind the last one.
    position = 8 + length
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].offset, item[1].nbytes)):
        if entry.offset != position:
            raise refuse(f"array {name[:80]!r} lies outside its place")
        position += entry.nbytes
    if position != size:
        raise refuse(f"it has {size} bytes and should have {position}")
    return entries, metadata


def _entry(described: object, start: int) -> Entry | str:
    """The array that a header describes, or what is wrong with the description."""
    if not isinstance(described, dict) or described.keys() != {"dtype", "shape", "data_offsets"}:
        return "is not described"
    dtype = DTYPES.get(described["dtype"]) if isinstance(described["dtype"], str) else None
    if dtype is None:
        return f"is of type {str(described['dtype'])[:16]!r}"
    shape, offsets = _sizes(described["shape"]), _sizes(described["data_offsets"])
    if not shape or len(shape) > 8 or offsets is None or len(offsets) != 2:
        return "has no usable shape"
    if math.prod(shape) * dtype.itemsize != offsets[1] - offsets[0]:
        return "has a size that is not that of its shape"
    return Entry(dtype, shape, start + offsets[0])


def _sizes(values: object) -> tuple[int, ...] | None:
    if not isinstance(values, list) or not all(type(value) is int and 0 <= value < 1 << 48 for value in values):
        return None
    return tuple(values)


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
