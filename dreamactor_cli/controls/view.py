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

    def cut(self, picture: U8) -> U8:
        """The crop, (size, size) or (size, size, C); what lies outside repeats the edge."""
        height, width = picture.shape[:2]
        x0, y0 = self.x - self.half, self.y - self.half
        x1, y1 = x0 + 2 * self.half, y0 + 2 * self.half
        inside = picture[max(y0, 0) : max(min(y1, height), 0), max(x0, 0) : max(min(x1, width), 0)]
        if inside.size == 0:
            return np.zeros((self.size, self.size, *picture.shape[2:]), np.uint8)
        if inside.shape[:2] != (2 * self.half, 2 * self.half):
            top, left = max(-y0, 0), max(-x0, 0)
            bottom, right = 2 * self.half - top - inside.shape[0], 2 * self.half - left - inside.shape[1]
            inside = cv2.copyMakeBorder(inside, top, bottom, left, right, cv2.BORDER_REPLICATE)
        shrinks = self.size < 2 * self.half
        return cv2.resize(inside, (self.size, self.size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)

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
    def small_grey(self) -> U8:
        """Grey, at most `FLOW_SIDE` px long."""
        return cv2.cvtColor(shrink(self.work, FLOW_SIDE), cv2.COLOR_RGB2GRAY)

    @cached_property
    def thumb(self) -> U8:
        """Grey, 64 px wide, for what only needs the gist of a frame."""
        width = 64
        height = min(max(round(width * self.height / self.width), 4), 256)
        return cv2.resize(self.small_grey, (width, height), interpolation=cv2.INTER_AREA)


def shrink(picture: U8, side: int) -> U8:
    """The picture, its longer side at most ``side`` px."""
    height, width = picture.shape[:2]
    if max(height, width) <= side:
        return picture
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
