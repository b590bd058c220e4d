"""Control signals on disk: one signal a file in the cache, all of them in one portable file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from .contracts import U8, Controls, ControlStream, _Signal
from .matte_file import MatteReader


def stream_metadata(*, fps: Fraction, width: int, height: int, space: str = "driving", source_sha256: str = "",
                    extractor_versions: Mapping[str, str] = {}) -> dict[str, str]:
    """The metadata that `write_signal` needs of every finished signal (parts need none)."""
    raise NotImplementedError


def write_signal(path: Path, kind: str, source: Sequence[Path] | _Signal | U8, metadata: Mapping[str, str] = {}) -> None:
    """Write one signal (or a part of one) as safetensors.

    Args:
        path: is written in place; give it the file of `Cache.put` or one in `Cache.scratch`.
        kind: ``face``, ``head``, ``body``, ``hands``, ``appearance`` or ``matte``.
        source: the signal; for ``matte`` masks u8 (T, h, w); or files of consecutive parts, each made by this function.
        metadata: of `stream_metadata`; for a part none.
    """
    raise NotImplementedError


class StoredControls:
    """Signals on disk, read window by window (`contracts.ControlStream`)."""

    num_frames: int
    fps: Fraction
    width: int
    height: int
    signals: tuple[str, ...]  # "matte" among them if it is there
    metadata: Mapping[str, str]

    @classmethod
    def open(cls, files: Mapping[str, Path]) -> StoredControls:
        """From one file a signal, by kind."""
        raise NotImplementedError

    @classmethod
    def read(cls, path: Path) -> StoredControls:
        """From a portable file."""
        raise NotImplementedError

    def window(self, start: int, stop: int) -> Controls:
        raise NotImplementedError

    def only(self, *names: str) -> StoredControls:
        """The same clip with fewer signals, for who does not need to read the others."""
        raise NotImplementedError

    @property
    def matte(self) -> MatteReader | None:
        """The matte, if it is there; `MatteReader.window(start, stop)` -> u8 (T, h, w)."""
        raise NotImplementedError


def write_controls(path: Path, stream: ControlStream) -> None:
    """Write all signals to one portable file; streaming, and moved into place when complete."""
    raise NotImplementedError


def is_controls_file(path: Path) -> bool:
    """Whether a file is a portable controls file, by content."""
    raise NotImplementedError
