"""Write a video, a GIF or a PNG sequence."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from dreamactor_cli.contracts import U8
from dreamactor_cli.media.mux import AudioSource


class VideoWriter:
    """Context manager that writes frames; the file appears under its name only when all went well."""

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        fps: Fraction,
        crf: int = 16,
        alpha: bool = False,
        audio: AudioSource | None = None,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.warnings: tuple[str, ...] = ()

    def __enter__(self) -> VideoWriter:
        raise NotImplementedError

    def write(self, frame: U8) -> None:
        """Add a frame, (H, W, 3), or (H, W, 4) with straight alpha."""
        raise NotImplementedError

    def close(self) -> None:
        """Finish the file and move it into place."""

    def abort(self) -> None:
        """Leave nothing behind."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        raise NotImplementedError
