"""Put a model together: from the hub or from a folder, file by file, and under its name only when all of it is there.

What was fetched before a stop stays in a hidden folder beside, with the checksums of what is whole, and is not fetched again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dreamactor_cli.atomic import replacing, write_errors
from dreamactor_cli.errors import DiskFull, JobFailed, UnreadableInput, UsageError
from dreamactor_cli.model_store.folder import BLOCK, Checksums, StoredFile, check_tensors, file_sha256, is_safe
from dreamactor_cli.model_store.known import KnownModel, folder_of, partial_folder

SUFFIXES = (".json", ".safetensors", ".txt", ".model")  # nothing that can hold code
_SPARE = 1.02  # room is asked for with a little more than the files take

OnFile = Callable[[str, int, int], None]  # name, bytes that are there, bytes in all


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that can be fetched.

    Attributes:
        name: below the source, with ``/``.
        sha256: of its bytes, if the source knows it.
        git_sha1: git's name for its bytes, if the source knows that instead.
    """

    name: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


class Source(Protocol):
    """Where files come from."""

    label: str
    revision: str

    def files(self) -> Sequence[SourceFile]:
        """All files, with their sizes."""

    def fetch(self, file: SourceFile, folder: Path) -> None:
        """Bring a file to ``folder / file.name``, where it appears when it is complete."""


class FolderSource:
    """A folder, such as a download of the hub's own tool, or a disk that was carried here."""

    revision = ""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UnreadableInput(f"{folder} is not a folder", "name the folder that holds model_index.json")
        self.label, self._folder = str(folder), folder
        self._known = Checksums.read(folder)

    def files(self) -> Sequence[SourceFile]:
        """See `Source`."""
        known = self._known.files if self._known else {}
        found = []
        for path in sorted(path for path in self._folder.rglob("*") if path.is_file()):
            name = path.relative_to(self._folder).as_posix()
            sha256 = known[name].sha256 if name in known else ""
            found.append(SourceFile(name=name, size=path.stat().st_size, sha256=sha256))
        return found

    def fetch(self, file: SourceFile, folder: Path) -> None:
        """See `Source`."""
        target = folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with (self._folder / file.name).open("rb") as read, replacing(target) as beside, beside.open("wb") as write:
            shutil.copyfileobj(read, write, BLOCK)


def pull(
    model: KnownModel, source: Source, *, root: Path | None = None, overwrite: bool = False, on_file: OnFile = lambda *_: None
) -> Path:
    """Bring a model to its place.

    Args:
        root: folder of all models; see `known.models_dir`.
        overwrite: fetch it though it is there.
        on_file: told before each file.

    Returns:
        The model's folder.

    Raises:
        UsageError: another process is at it, or the folder may not be written.
        DiskFull: there is no room; found out before anything is fetched.
        UnreadableInput: the source lacks parts of the model, or holds what is no weights.
        JobFailed: a file arrived damaged.
    """
    from filelock import FileLock, Timeout

    folder = folder_of(model.name, root)
    if folder.is_dir() and not overwrite and Checksums.read(folder) is not None:
        return folder
    with write_errors(folder, "name another folder with --models-dir"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0):
                partial = partial_folder(folder)
                _fetch(model, source, partial, on_file)
                _publish(partial, folder)
        except Timeout:
            raise UsageError(f"{model.name} is being pulled by another process", "wait until it has ended") from None
    return folder


def _fetch(model: KnownModel, source: Source, partial: Path, on_file: OnFile) -> None:
    """Fetch into the partial folder what is not there yet."""
    wanted = _wanted(model, source)
    partial.mkdir(exist_ok=True)
    done = _resumed(partial, source)
    missing = [file for file in wanted if not _is_there(file, partial, done)]
    total, left = sum(file.size for file in wanted), sum(file.size for file in missing)
    free = shutil.disk_usage(partial).free
    if left * _SPARE > free:
        raise DiskFull(
            f"{model.name} needs {left / 1e9:.1f} GB more, and {partial.parent} has {free / 1e9:.1f} GB left",
            "make room, or name another disk with --models-dir or DREAMACTOR_MODELS",
        )
    checksums = Checksums(model.name, source.label, source.revision, {f.name: done[f.name] for f in wanted if f not in missing})
    checksums.write(partial)
    for file in missing:
        on_file(file.name, total - left, total)
        source.fetch(file, partial)
        checksums.files[file.name] = _checked(file, partial)
        checksums.write(partial)
        left -= file.size
    on_file("", total, total)


def _wanted(model: KnownModel, source: Source) -> list[SourceFile]:
    """The files of the model's parts.

    Raises:
        UnreadableInput: parts are missing, or a name leads elsewhere.
    """
    files = [file for file in source.files() if file.name.partition("/")[0] in model.parts and file.name.endswith(SUFFIXES)]
    if not all(is_safe(file.name) for file in files):
        raise UnreadableInput(f"{source.label} names files outside its folder", "pull from a source that you trust")
    there = {file.name.partition("/")[0] for file in files}
    lacking = [part for part in model.parts if part not in there]
    if lacking:
        raise UnreadableInput(
            f"{source.label} is not {model.name} as diffusers lays it out: {', '.join(lacking)} missing", "name another source"
        )
    return files


def _resumed(partial: Path, source: Source) -> dict[str, StoredFile]:
    """What an earlier pull of the same source and commit has brought whole."""
    try:
        before = Checksums.read(partial)
    except UnreadableInput:
        return {}
    same = before is not None and (before.source, before.revision) == (source.label, source.revision)
    return before.files if before is not None and same else {}


def _is_there(file: SourceFile, partial: Path, done: dict[str, StoredFile]) -> bool:
    stored, path = done.get(file.name), partial / file.name
    if stored is None or stored.size != file.size or (file.sha256 and file.sha256 != stored.sha256):
        return False
    return path.is_file() and path.stat().st_size == file.size


def _checked(file: SourceFile, folder: Path) -> StoredFile:
    """The size and hash of a file that has arrived.

    Raises:
        JobFailed: it is not what the source said; it is removed.
    """
    path = folder / file.name
    size, sha256 = path.stat().st_size, file_sha256(path)
    right = size == file.size and sha256 == (file.sha256 or sha256)
    if right and file.git_sha1:
        right = hashlib.sha1(b"blob %d\0" % size + path.read_bytes(), usedforsecurity=False).hexdigest() == file.git_sha1
    if not right:
        path.unlink()
        raise JobFailed(f"{file.name} arrived damaged", "run the same command again: only what is missing is fetched")
    if path.suffix == ".safetensors":
        check_tensors(path)
    return StoredFile(size, sha256)


def _publish(partial: Path, folder: Path) -> None:
    """Give the finished folder its name; an older one under it goes."""
    shutil.rmtree(partial / ".cache", ignore_errors=True)  # the hub's client keeps its notes there
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
