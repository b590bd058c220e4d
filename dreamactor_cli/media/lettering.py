"""Text in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dreamactor_cli.contracts import U8

HEIGHT = 0.055  # of a letter, to the shorter side of the picture
SMALLEST = 10  # px
MARGIN = 0.05  # of the picture's height below the text
OUTLINE = 0.12  # of a letter's height


def lettered(frame: U8, lines: Sequence[str]) -> U8:
    """A frame (H, W, 3 or 4) with lines of text in white with a black rim, centred near the lower edge."""
    height, width = frame.shape[:2]
    size = max(SMALLEST, round(HEIGHT * min(height, width)))
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    text = "\n".join(lines)
    rim = max(1, round(OUTLINE * size))
    while size > SMALLEST and draw.multiline_textbbox((0, 0), text, font=_font(size), stroke_width=rim)[2] > 0.96 * width:
        size -= 1
    place = (width / 2, height * (1 - MARGIN))
    draw.multiline_text(
        place, text, font=_font(size), fill=_opaque(frame, 255), anchor="md", align="center", stroke_width=rim,
        stroke_fill=_opaque(frame, 0),
    )  # fmt: skip
    return np.asarray(picture, np.uint8)


def _opaque(frame: U8, level: int) -> tuple[int, ...]:
    return (level, level, level, 255)[: frame.shape[2]]


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu, which matplotlib ships: Latin, Greek, Cyrillic, Arabic, and more."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
