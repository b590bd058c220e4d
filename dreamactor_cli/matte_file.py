"""The person matte as a stored signal: one PNG a frame."""

from __future__ import annotations

from .contracts import U8


class MatteReader:
    """Masks of a clip on disk."""

    num_frames: int

    def window(self, start: int, stop: int) -> U8:
        """Masks (T, h, w), 0..255, of frames start..stop-1."""
        raise NotImplementedError
