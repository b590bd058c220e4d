"""Put rendered frames on another background, and beside the reference and the driver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from dreamactor_cli.contracts import U8
from dreamactor_cli.driving import Driver
from dreamactor_cli.errors import UsageError
from dreamactor_cli.media import load_image, read_frames

COLOR = re.compile(r"#[0-9a-fA-F]{6}")


def cover(image: U8, width: int, height: int) -> U8:
    """Scale a picture (H, W, 3) until it covers width x height px, and crop its middle."""
    high, wide = image.shape[:2]
    if (wide, high) == (width, height):
        return image
    scale = max(width / wide, height / high)
    size = (max(width, round(wide * scale)), max(height, round(high * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=method)[y : y + height, x : x + width])


def needs_alpha(background: str) -> bool:
    """Whether the renderer has to leave its own background out."""
    return background != "keep"


def backgrounds(background: str, driver: Driver, fps: Fraction, width: int, height: int) -> Iterator[U8] | None:
    """The background of each output frame, (H, W, 3); None where there is none to put under.

    Raises:
        UsageError: the driver's background is asked for, and the driver has no picture.
    """
    if background in ("keep", "transparent"):
        return None
    if COLOR.fullmatch(background):
        color = [int(background[k : k + 2], 16) for k in (1, 3, 5)]
        return _forever(np.full((height, width, 3), color, np.uint8))
    if background == "driving":
        if driver.video is None:
            raise UsageError("--background driving needs a driving video", "give a video with -d, or another background")
        return (cover(frame, width, height) for frame in driving_frames(driver, fps))
    return _forever(cover(load_image(Path(background)).rgb, width, height))


def driving_frames(driver: Driver, fps: Fraction) -> Iterator[U8]:
    """The driver's picture at each output frame, (H, W, 3); the last one is held."""
    assert driver.video is not None
    first = driver.first_frame
    reader = read_frames(driver.video.path, first, first + driver.controls.num_frames, info=driver.video)
    shown, picture = -1, None
    ratio, k = driver.controls.fps / fps, 0
    while True:
        wanted = min(int(k * ratio), driver.controls.num_frames - 1)
        while shown < wanted:
            following = next(reader, None)
            if following is None:
                break
            picture, shown = following, shown + 1
        if picture is None:
            return
        yield picture
        k += 1


def _forever(picture: U8) -> Iterator[U8]:
    while True:
        yield picture


def lay_over(frame: U8, background: U8) -> U8:
    """A frame (H, W, 4) with straight alpha over a background (H, W, 3)."""
    alpha = frame[..., 3:].astype(np.uint16)
    mixed = frame[..., :3] * alpha + background * (255 - alpha) + 127
    return (mixed // 255).astype(np.uint8)


def beside(panels: list[U8]) -> U8:
    """Pictures side by side, all scaled to the height of the last one, (H, W, 3)."""
    height = panels[-1].shape[0]
    scaled = []
    for panel in panels:
        width = max(2, round(panel.shape[1] * height / panel.shape[0]))
        method = cv2.INTER_AREA if panel.shape[0] > height else cv2.INTER_CUBIC
        same = panel.shape[0] == height
        scaled.append(panel if same else cv2.resize(panel, (width, height), interpolation=method))
    return np.ascontiguousarray(np.concatenate(scaled, 1))
