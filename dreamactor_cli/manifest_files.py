"""Names of files in a manifest from anybody: what may be read, and where may be written."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeVar

from dreamactor_cli import nearest
from dreamactor_cli.contracts import BACKGROUNDS
from dreamactor_cli.driving import MOTION_PREFIX, driving_sha256
from dreamactor_cli.errors import DreamActorError
from dreamactor_cli.media.files import require_file

MAX_NAME = 200  # bytes of a part of a path; sidecars and temporary files have longer names

Found = TypeVar("Found", Path, str)

_RESERVED = re.compile(r"run(-\d+-of-\d+)?")  # folders of pictures whose sidecars would be the records of the run
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # http:, concat:, pipe:, data: ...
_WHISPER = "whisper:"


class Wrong(ValueError):
    """A name that cannot be used: what is wrong with it, and what to do."""


class Inputs:
    """Finds the inputs of a manifest, and looks at each once.

    Args:
        base: where relative names begin, an absolute path.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._seen: dict[str, Path | Wrong] = {}
        self._motions: dict[str, str | Wrong] = {}

    def file(self, name: str) -> Path:
        """The absolute path of an input that can be read.

        Raises:
            Wrong: it is an address, cannot be read, or is a pickle.
        """
        if name not in self._seen:
            try:
                self._seen[name] = self._looked_at(name)
            except Wrong as wrong:
                self._seen[name] = wrong
        return _or_raise(self._seen[name])

    def driving(self, name: str) -> str:
        """A driver: the absolute path of a file, or ``motion:NAME``, where NAME may be a file too."""
        if not name.startswith(MOTION_PREFIX):
            return str(self.file(name))
        if name not in self._motions:
            bare = name.removeprefix(MOTION_PREFIX)
            placed = str(self._base / bare) if bare.endswith(".toml") or "/" in bare else bare
            try:
                driving_sha256(MOTION_PREFIX + placed)
                self._motions[name] = MOTION_PREFIX + placed
            except DreamActorError as error:
                self._motions[name] = Wrong(str(error))
        return _or_raise(self._motions[name])

    def background(self, name: str) -> str:
        """A kind of background, or the absolute path of a picture."""
        if name in BACKGROUNDS:
            return name
        if name.startswith("#") and not (self._base / name).exists():
            if not re.fullmatch(r"#[0-9a-fA-F]{6}", name):
                raise Wrong(f"{name:.80} is not a colour; give six hexadecimal digits like #00ff00")
            return name.lower()
        if not _is_there(self._base / name) and not _ADDRESS.match(name):
            known = nearest.hint(name[:80], (*BACKGROUNDS, "#rrggbb"))
            raise Wrong(f"{name:.80} is neither a picture file that is there nor known; {known}")
        return str(self.file(name))

    def preset(self, name: str) -> str:
        """The name of a preset, or the absolute path of its file."""
        return name if re.fullmatch(r"[\w-]+", name) else str(self.file(name))

    def speech_encoder(self, name: str) -> str:
        """The name of an encoder, with the absolute path of its file if it has one."""
        bare = name.removeprefix(_WHISPER)
        return _WHISPER + str(self._base / bare) if bare != name and _is_there(self._base / bare) else name

    def _looked_at(self, name: str) -> Path:
        path = self._base / name
        if _ADDRESS.match(name) and not _is_there(path):
            raise Wrong(f"{name:.80} is an address and no file; download it, and give the name of the file")
        try:
            require_file(path)
        except DreamActorError as error:
            raise Wrong(str(error)) from None
        if _is_pickle(path):
            raise Wrong(f"{path} is a pickle, which can run any program when it is read; give a video, or controls of this tool")
        return path


class Outputs:
    """Keeps the outputs of a manifest within one folder, and apart from each other.

    Args:
        folder: of the run; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = os.path.realpath(folder)
        self._taken: dict[str, int] = {}
        self._parents: dict[str, tuple[Path, str]] = {}  # by what stands before the last slash: as named, and without links

    def place(self, name: str, line: int) -> Path:
        """Where an output goes.

        Args:
            line: of its row, for the next who wants the same place.

        Raises:
            Wrong: it leaves the folder, or is taken.
        """
        head, _, last = name.rstrip("/").rpartition("/")
        if name.startswith("/"):
            raise Wrong(f"{name:.80} is absolute; outputs stay within the folder that -o names")
        if last in ("", "."):
            raise Wrong(f"{name:.80} names no file; give a name like clips/a.mp4")
        _check_part(name, last)
        parent, real_parent = self._parent(name, head)
        real = f"{real_parent}/{last}"
        if os.path.islink(real):
            real = os.path.realpath(real)
        if not real.startswith(self._root.rstrip("/") + "/"):
            raise Wrong(f"{name:.80} leads out of the folder that -o names, through a link; give a name within it")
        if real_parent == self._root and _RESERVED.fullmatch(last):
            raise Wrong(f"{name:.80} is where the run writes about itself; choose another name")
        # Patterns that differ in what is behind the number's place would take each other's pictures.
        key = real.partition("%")[0] if last.lower().endswith(".png") else real
        if key in self._taken:
            raise Wrong(f"{name:.80} is the output of line {self._taken[key]} too; choose another name")
        self._taken[key] = line
        return parent / last

    def _parent(self, name: str, head: str) -> tuple[Path, str]:
        if head not in self._parents:
            parts = [part for part in head.split("/") if part not in ("", ".")]
            for part in parts:
                _check_part(name, part)
            parent = self._folder.joinpath(*parts)
            self._parents[head] = (parent, os.path.realpath(parent))
        return self._parents[head]


def _check_part(name: str, part: str) -> None:
    if part == "..":
        raise Wrong(f"{name:.80} leaves the folder that -o names; give a name within it")
    if len(os.fsencode(part)) > MAX_NAME:
        raise Wrong(f"{name:.80} is too long; choose a shorter name")
    if part[0] in ".-":
        raise Wrong(f"{name:.80} begins with a dot or a dash; choose another name")


def _or_raise(found: Found | Wrong) -> Found:
    if isinstance(found, Wrong):
        raise Wrong(*found.args)
    return found


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _is_pickle(path: Path) -> bool:
    """By name, or by what protocols 2 to 5 begin with."""
    with path.open("rb") as file:
        head = file.read(2)
    return path.suffix.lower() in (".pkl", ".pickle") or (head[:1] == b"\x80" and b"\x02" <= head[1:] <= b"\x05")
