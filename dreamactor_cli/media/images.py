"""Still pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dreamactor_cli.contracts import U8

MAX_PIXELS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedImage:
    """A picture, upright, in sRGB.

    Attributes:
        rgb: (H, W, 3), flattened over a neutral colour where it was transparent.
        alpha: (H, W), straight; None where the picture is opaque.
        warnings: what the user should know.
    """

    rgb: U8
    alpha: U8 | None
    warnings: tuple[str, ...] = ()


def load_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> LoadedImage:
    """Load a picture. Raises UnreadableInput, UnsafeInput."""
    raise NotImplementedError
