"""Bars of a letterboxed picture: nothing of the person is there, and they stay as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import Controls, Reference
from dreamactor_cli.picture_space import move_controls

U8 = NDArray[np.uint8]

ALIKE = 12  # levels by which the pixels of a bar differ from each other
ENDS = 0.9  # share of the line beside a bar that must look otherwise: a backdrop ends where the person begins
LEAST = 0.2  # share of a side that must remain between the bars


class Bars:
    """What lies around the picture proper.

    Args:
        image: (H, W, 3).

    Attributes:
        rows, columns: of the picture proper.
    """

    def __init__(self, image: U8) -> None:
        self._image = image
        self.rows, self.columns = content(image)

    @property
    def any(self) -> bool:
        """Whether there are bars."""
        return self._image[self.rows, self.columns].shape != self._image.shape

    def cut(self, reference: Reference) -> Reference:
        """The reference without bars."""
        if not self.any:
            return reference
        images, mattes = (np.ascontiguousarray(a[:, self.rows, self.columns]) for a in (reference.images, reference.matte))
        return Reference(images=images, matte=mattes, controls=self.moved(reference.controls))

    def moved(self, controls: Controls) -> Controls:
        """Controls as they lie in the picture without bars."""
        if not self.any:
            return controls
        height, width = self._image[self.rows, self.columns].shape[:2]
        corner = np.array([self.columns.start, self.rows.start], np.float64)
        return replace(move_controls(controls, 1.0, corner), width=width, height=height)

    def around(self, frame: U8) -> U8:
        """A frame (h, w, 3 or 4) with the bars around it, which are empty in a frame with alpha."""
        if not self.any:
            return frame
        height, width = self._image.shape[:2]
        whole = self._image.copy() if frame.shape[2] == 3 else np.zeros((height, width, 4), np.uint8)
        whole[self.rows, self.columns] = frame
        return whole


def content(image: U8) -> tuple[slice, slice]:
    """Rows and columns of an image (H, W, 3) between its bars: stretches of one colour from a border to a straight edge."""
    height, width = image.shape[:2]
    sides = (image, image[::-1], image.swapaxes(0, 1), image.swapaxes(0, 1)[::-1])  # as lines from a border inwards
    top, bottom, left, right = counts = [_plain(side) for side in sides]
    if height - top - bottom < LEAST * height or width - left - right < LEAST * width:
        return slice(0, height), slice(0, width)
    across = (slice(left, width - right), slice(top, height - bottom))
    kept = [n if _ends(side, n, across[k // 2]) else 0 for k, (side, n) in enumerate(zip(sides, counts, strict=True))]
    return slice(kept[0], height - kept[1]), slice(kept[2], width - kept[3])


def _plain(lines: U8) -> int:
    """How many lines (N, M, 3) from the first on have one colour."""
    color = np.median(lines[0].astype(np.int16), axis=0)
    unlike = (np.abs(line - color).max() > ALIKE for line in lines)
    return next((count for count, other in enumerate(unlike) if other), len(lines))


def _ends(lines: U8, count: int, across: slice) -> bool:
    """Whether lines (N, M, 3) change after so many, all across: the line in between is a mixture of both."""
    color = np.median(lines[0].astype(np.int16), axis=0)
    return count > 0 and float((np.abs(lines[count + 1, across] - color).max(1) > ALIKE).mean()) >= ENDS
