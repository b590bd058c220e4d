"""A numbered sequence of PNG files."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from dreamactor_cli.atomic import write_errors
from dreamactor_cli.contracts import U8
from dreamactor_cli.errors import UsageError
from dreamactor_cli.media.files import beside

DEFAULT_NAME = "%05d.png"
_NUMBER = re.compile(r"%(?:0(\d+))?d")


def is_sequence(path: Path) -> bool:
    """Whether an output name means PNG files: a pattern like ``name_%05d.png``, a folder, or no suffix."""
    return path.is_dir() or not path.suffix or (path.suffix.lower() == ".png" and _NUMBER.search(path.name) is not None)


class SequenceWriter:
    """Writes frames into a hidden folder and moves them into place at the end. Numbers start at 1.

    Args:
        path: a folder, or a pattern.
        metadata: written as text into every file.
        overwrite: replace a sequence of the same name; other files in the folder are never touched.
    """

    def __init__(self, path: Path, metadata: Mapping[str, str], overwrite: bool) -> None:
        pattern = not path.is_dir() and bool(path.suffix)
        self._folder = path.parent if pattern else path
        self._name = path.name if pattern else DEFAULT_NAME
        self._metadata = metadata
        self._count = 0
        if not overwrite and self._present():
            raise UsageError(f"{path} exists", "pass --overwrite, or choose another name")
        self._temporary = beside(self._folder, "")
        with write_errors(self._folder):
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.mkdir()

    def write(self, frame: U8) -> None:
        """Add a frame, (H, W, 3) or (H, W, 4)."""
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        for key, value in self._metadata.items():
            text.add_itxt(key, value)
        self._count += 1
        with write_errors(self._folder):
            Image.fromarray(frame).save(self._temporary / self._numbered(self._count), compress_level=1, pnginfo=text)

    def finish(self) -> None:
        """Move the files into place."""
        with write_errors(self._folder):
            if not self._folder.exists():
                os.rename(self._temporary, self._folder)
                return
            fresh = {self._numbered(number) for number in range(1, self._count + 1)}
            for stale in self._present() - fresh:
                (self._folder / stale).unlink()
            for name in sorted(fresh):
                os.replace(self._temporary / name, self._folder / name)
            self._temporary.rmdir()

    def abort(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _numbered(self, number: int) -> str:
        return _NUMBER.sub(lambda found: f"{number:0{found[1] or 1}d}", self._name, count=1)

    def _present(self) -> set[str]:
        """Files of this sequence that are there already."""
        if not self._folder.is_dir():
            return set()
        before, after = (re.escape(part) for part in _NUMBER.sub("\0", self._name, count=1).split("\0"))
        wanted = re.compile(f"{before}\\d+{after}")
        return {entry.name for entry in self._folder.iterdir() if wanted.fullmatch(entry.name)}
