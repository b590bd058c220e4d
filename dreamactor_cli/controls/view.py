"""A frame as the extractors see it: the picture, smaller copies made on demand, and square crops."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from dreamactor_cli.contracts import U8

WORK_SIDE = 960  # px, longer side of the picture that detectors see
FLOW_SIDE = 512  # px, longer side of the picture that the torso's flow sees


class Region:
    """A square of a picture, resampled to a fixed size.

    Args:
        x, y: centre, px.
        half: half of its side, px.
        size: side of the crop, px.
    """

    __slots__ = ("half", "size", "x", "y")

    def __init__(self, x: float, y: float, half: float, size: int) -> None:
        # The corner lies on a whole pixel and the side is whole: the same square is always cut the same way.
        self.half = max(round(float(half)), 4)
        self.x = round(float(x) - self.half) + self.half
        self.y = round(float(y) - self.half) + self.half
        self.size = size

    @property
    def scale(self) -> float:
        """Crop px per picture px."""
        return self.size / (2 * self.half)

    @property
    def origin(self) -> np.ndarray:
        """Position of the crop's first pixel (centre) in the picture, (2,) px."""
        corner = np.array([self.x - self.half, self.y - self.half], np.float64) - 0.5
        return corner + 0.5 / self.scale

    def cut(self, picture: U8, *, grey: bool = False) -> U8:
        """The crop of a picture (H, W, 3), (size, size, 3), or (size, size) in grey; what lies outside repeats the edge.

        A much larger square is first averaged down by a whole factor: bilinear sampling alone would alias, and
        averaging by a broken factor is ten times slower.
        """
        height, width = picture.shape[:2]
        x0, y0 = int(self.x - self.half), int(self.y - self.half)
        left, top = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
        right, bottom = max(min(x0 + 2 * self.half, width), left + 1), max(min(y0 + 2 * self.half, height), top + 1)
        inside = picture[top:bottom, left:right]
        factor = min(max(int(2 * self.half / self.size), 1), right - left, bottom - top)
        if factor > 1:
            columns, rows = (right - left) // factor, (bottom - top) // factor
            inside = cv2.resize(inside[: rows * factor, : columns * factor], (columns, rows), interpolation=cv2.INTER_AREA)
        if grey:
            inside = cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY)
        # Crop px to px of `inside`, pixel centres at integers in both.
        step = 1 / (self.scale * factor)
        offset = [((value + 0.5) / factor) - 0.5 for value in (self.origin[0] - left, self.origin[1] - top)]
        matrix = np.array([[step, 0, offset[0]], [0, step, offset[1]]])
        flags = (cv2.INTER_CUBIC if step < 0.75 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(inside, matrix, (self.size, self.size), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 2 or 3) of the crop in px of the picture; z is only scaled."""
        out = np.asarray(points, np.float64) / self.scale
        out[:, :2] += self.origin
        return out.astype(np.float32)


class View:
    """One frame.

    Args:
        rgb: (H, W, 3).
        index: of the frame in the window.
    """

    def __init__(self, rgb: U8, index: int) -> None:
        self.rgb = rgb
        self.index = index

    @property
    def width(self) -> int:
        """Px."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Px."""
        return int(self.rgb.shape[0])

    @cached_property
    def work(self) -> U8:
        """The picture at most `WORK_SIDE` px long."""
        return shrink(self.rgb, WORK_SIDE)

    @cached_property
    def work_scale(self) -> float:
        """Px of `work` per px of the picture."""
        return self.work.shape[1] / self.width

    @cached_property
    def work_grey(self) -> U8:
        """`work` in grey."""
        return cv2.cvtColor(self.work, cv2.COLOR_RGB2GRAY)

    @cached_property
    def small_grey(self) -> U8:
        """Grey, at most `FLOW_SIDE` px long."""
        return shrink(self.work_grey, FLOW_SIDE)

    @cached_property
    def thumb(self) -> U8:
        """Grey, 64 px wide, for what only needs the gist of a frame."""
        width = 64
        height = min(max(round(width * self.height / self.width), 4), 256)
        return cv2.resize(self.small_grey, (width, height), interpolation=cv2.INTER_AREA)


def shrink(picture: U8, side: int) -> U8:
    """The picture, its longer side at most ``side`` px: averaged by a whole factor, then bilinear (see `Region.cut`)."""
    height, width = picture.shape[:2]
    if max(height, width) <= side:
        return picture
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    factor = min(max(height, width) // side, height, width)
    if factor > 1:
        rows, columns = height // factor, width // factor
        picture = cv2.resize(picture[: rows * factor, : columns * factor], (columns, rows), interpolation=cv2.INTER_AREA)
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
