"""A folder of weights on disk: its checksums, whether it is whole, and what identifies it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from dreamactor_cli.atomic import replacing
from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.model_store.known import CHECKSUMS

FORMAT = 1
BLOCK = 8 << 20  # bytes read at a time
_PLACES, _PLACE = 64, 4096  # of a file without checksum that are looked at, and bytes of each
_MOST_HEADER = 100 << 20  # bytes, of the table of a safetensors file

OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file as it was when it was pulled."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Checksums:
    """What ``checksums.json`` says.

    Attributes:
        revision: commit of the repository; empty for a folder that had none.
        files: by name below the folder, with ``/``.
    """

    name: str
    source: str = ""
    revision: str = ""
    files: dict[str, StoredFile] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the file; it appears when it is complete."""
        record = {"format": FORMAT, "name": self.name, "source": self.source, "revision": self.revision}
        files = {name: asdict(stored) for name, stored in sorted(self.files.items())}
        with replacing(folder / CHECKSUMS) as beside:
            beside.write_text(json.dumps({**record, "files": files}, indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Checksums | None:
        """What the folder's file says; None if there is none.

        Raises:
            UnreadableInput: it is damaged, or names files outside its folder.
        """
        try:
            record: Mapping[str, Any] = json.loads((folder / CHECKSUMS).read_text("utf-8"))
            files = {str(name): StoredFile(int(one["size"]), str(one["sha256"])) for name, one in record["files"].items()}
            if record["format"] != FORMAT or not all(map(is_safe, files)):
                raise ValueError("its contents are not ours")
            return cls(str(record["name"]), str(record["source"]), str(record["revision"]), files)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnreadableInput(f"{folder / CHECKSUMS} is damaged: {error}", "pull the model again with --overwrite") from error

    def problems(self, folder: Path, on_bytes: OnBytes = lambda count: None, *, thorough: bool = True) -> Iterator[str]:
        """What is wrong with the files of a folder, one line each.

        Args:
            on_bytes: told how many bytes more were read.
            thorough: look at every byte, and not at sizes only.
        """
        for name, stored in self.files.items():
            path = folder / name
            try:
                size = path.stat().st_size
            except OSError:
                yield f"{name} is not there"
                continue
            if size != stored.size:
                yield f"{name} has {size} bytes and not {stored.size}"
            elif thorough and file_sha256(path, on_bytes) != stored.sha256:
                yield f"{name} is damaged"


def is_safe(name: str) -> bool:
    """Whether a file's name stays below its folder."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and ":" not in name


def file_sha256(path: Path, on_bytes: OnBytes = lambda count: None) -> str:
    """Hash of a file, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
            on_bytes(len(block))
    return digest.hexdigest()


def weights_sha256(folder: Path, without: Collection[str] = ()) -> str:
    """What identifies the weights of a folder, 64 hex digits.

    With checksums, their hash. A folder of the user's own has none, and hashing it would take minutes before every job: of each
    file its name, its size and 64 places spread over it are looked at.

    Args:
        without: names of files that are not a part of them.
    """
    digest = hashlib.sha256()
    checksums = Checksums.read(folder)
    if checksums is not None:
        for name, stored in sorted(checksums.files.items()):
            digest.update(f"{name} {stored.size} {stored.sha256}\n".encode())
        return digest.hexdigest()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".safetensors") and path.is_file()):
        if path.name in without:
            continue
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
        with path.open("rb") as file:
            for place in dict.fromkeys(max(size - _PLACE, 0) * k // (_PLACES - 1) for k in range(_PLACES)):
                file.seek(place)
                digest.update(file.read(_PLACE))
    return digest.hexdigest()


def check_tensors(path: Path) -> None:
    """Refuse a safetensors file that was cut off, or is none, without reading its tensors.

    Raises:
        UnreadableInput: it is damaged.
    """
    hint = "`dreamactor models verify` says what else is damaged; `dreamactor models pull --overwrite` gets it again"
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MOST_HEADER, size - 8):
                raise ValueError("it does not begin like one")
            header = json.loads(file.read(length))
            end = max((int(one["data_offsets"][1]) for name, one in header.items() if name != "__metadata__"), default=0)
        if 8 + length + end != size:
            raise ValueError(f"it has {size} bytes, and its tensors need {8 + length + end}")
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise UnreadableInput(f"{path} is not a whole safetensors file: {error}", hint) from error
