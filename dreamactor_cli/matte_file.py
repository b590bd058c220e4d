"""The person matte as a stored signal: one grey 8-bit PNG a frame, at the extractor's own resolution.

Arrays: ``png`` u8 (N,), the files one behind the other, and ``offsets`` i64 (T+1,): frame t is
``png[offsets[t]:offsets[t+1]]``. Everything else that is stored is geometry; a matte has no shorter form.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from .contracts import U8
from .errors import UnreadableInput
from .tensor_file import TensorFile

Offsets = NDArray[np.int64]

# A small file must not unpack into all memory.
MAX_SIDE = 1024  # px, of the masks of a clip
MAX_STILL_PIXELS = 1 << 28  # of a single mask
MAX_FRAMES = 10_000_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HINT = "make it again with: dreamactor extract SOURCE -o FILE"


def encode_mattes(masks: U8) -> tuple[U8, Offsets]:
    """Compress masks.

    Args:
        masks: (T, h, w), 0..255; at most `MAX_SIDE` px a side, or any size if T is 1.

    Returns:
        ``png`` (N,) and ``offsets`` (T+1,).
    """
    import cv2

    if masks.ndim != 3 or masks.dtype != np.uint8 or not _fits(*masks.shape):
        raise ValueError(f"masks must be uint8 (T, h, w), not {masks.dtype} {masks.shape}")
    files: list[NDArray[np.uint8]] = []
    for frame, mask in enumerate(masks):
        if frame and np.array_equal(mask, masks[frame - 1]):  # of a picture that was still, and not measured again
            files.append(files[-1])
            continue
        done, data = cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 3])
        if not done:
            raise ValueError(f"a mask of {mask.shape} cannot be compressed")
        files.append(data.reshape(-1))
    offsets = np.zeros(len(files) + 1, np.int64)
    np.cumsum([len(data) for data in files], out=offsets[1:])
    return np.concatenate(files) if files else np.zeros(0, np.uint8), offsets


class MatteReader:
    """Masks of a clip on disk, read window by window.

    Attributes:
        num_frames: T.
        width, height: of the masks, px.
    """

    def __init__(self, file: TensorFile, prefix: str = "matte.") -> None:
        """Check the arrays ``prefix + "png"`` and ``prefix + "offsets"`` of a file.

        Raises:
            UnreadableInput: they are no masks.
        """
        self._file, self._png, self._offsets = file, prefix + "png", prefix + "offsets"
        if not {self._png, self._offsets} <= file.entries.keys():
            raise self._refuse("is incomplete")
        png, offsets = file.entries[self._png], file.entries[self._offsets]
        if png.dtype != np.uint8 or len(png.shape) != 1 or offsets.dtype != np.int64 or len(offsets.shape) != 1:
            raise self._refuse("has arrays of a wrong shape or type")
        self.num_frames = offsets.shape[0] - 1
        if self.num_frames > MAX_FRAMES:
            raise self._refuse("has too many frames")
        ends = file.read(self._offsets).astype(np.int64)
        if self.num_frames < 1 or ends[0] != 0 or ends[-1] != png.shape[0] or (np.diff(ends) <= 0).any():
            raise self._refuse("has offsets that do not fit")
        self.width, self.height = self._size_of(file.read(self._png, 0, 33).tobytes())
        # What a plain PNG of that size can take; more is an attempt to fill the memory.
        if np.diff(ends).max() > 2 * (self.width + 1) * self.height + 4096:
            raise self._refuse("has a frame that is too large")

    def window(self, start: int, stop: int) -> U8:
        """Masks (T, h, w), 0..255, of frames start..stop-1, clipped to the clip.

        Raises:
            UnreadableInput: a mask is damaged.
        """
        import cv2

        stop = min(stop, self.num_frames)
        start = min(max(start, 0), max(stop, 0))
        masks = np.empty((max(stop - start, 0), self.height, self.width), np.uint8)
        if not len(masks):
            return masks
        ends = self._file.read(self._offsets, start, stop + 1).astype(np.int64)
        data = self._file.read(self._png, int(ends[0]), int(ends[-1]))
        ends -= ends[0]
        for mask, begin, end in zip(masks, ends[:-1], ends[1:], strict=True):
            if self._size_of(data[begin : begin + 33].tobytes()) != (self.width, self.height):
                raise self._refuse("changes its size")
            decoded = cv2.imdecode(data[begin:end], cv2.IMREAD_UNCHANGED)
            if decoded is None or decoded.shape != mask.shape or decoded.dtype != np.uint8:
                raise self._refuse("has a damaged frame")
            mask[:] = decoded
        return masks

    def _size_of(self, head: bytes) -> tuple[int, int]:
        """Width and height in the head of a PNG, checked before anything is decoded."""
        if len(head) < 33 or head[:8] != _SIGNATURE or head[12:16] != b"IHDR":
            raise self._refuse("has a damaged frame")
        width, height, depth, colour = struct.unpack(">IIBB", head[16:26])
        if depth != 8 or colour != 0 or not _fits(self.num_frames, height, width):
            raise self._refuse("is not 8-bit grey, or too large")
        return width, height

    def _refuse(self, reason: str) -> UnreadableInput:
        return UnreadableInput(f"the matte of {self._file.path} {reason}", _HINT)


def _fits(frames: int, height: int, width: int) -> bool:
    if min(height, width) < 1:
        return False
    return max(height, width) <= MAX_SIDE or (frames == 1 and height * width <= MAX_STILL_PIXELS)
