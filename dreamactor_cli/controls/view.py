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
        crop = self._square(picture)
        side = len(crop)
        factor = max(side // self.size, 1)
        if factor > 1:
            whole = side // factor
            crop = cv2.resize(crop[: whole * factor, : whole * factor], (whole, whole), interpolation=cv2.INTER_AREA)
        if grey and crop.ndim == 3:
            crop = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        step = side / factor / self.size  # px of `crop` per px of the result
        method = cv2.INTER_CUBIC if step < 0.75 else cv2.INTER_LINEAR
        if side % factor == 0:
            return crop if len(crop) == self.size else cv2.resize(crop, (self.size, self.size), interpolation=method)
        matrix = np.array([[step, 0, (step - 1) / 2], [0, step, (step - 1) / 2]])  # pixel centres at integers in both
        flags = method | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(crop, matrix, (self.size, self.size), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def _square(self, picture: U8) -> U8:
        """The square at the picture's own size."""
        height, width = picture.shape[:2]
        side = 2 * self.half
        # A square beyond the picture shows its edge only, wherever it lies.
        x0 = min(max(int(self.x - self.half), 1 - side), width - 1)
        y0 = min(max(int(self.y - self.half), 1 - side), height - 1)
        inside = picture[max(y0, 0) : y0 + side, max(x0, 0) : x0 + side]
        beyond = (max(-y0, 0), max(y0 + side - height, 0), max(-x0, 0), max(x0 + side - width, 0))
        return cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE) if any(beyond) else inside

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

    def grey_crop(self, region: Region) -> U8:
        """A square in grey, (size, size)."""
        return region.cut(self.work_grey if self.work is self.rgb else self.rgb, grey=True)

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
