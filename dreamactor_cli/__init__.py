"""dreamactor: make a picture of a person move by a video, a built-in motion or speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dreamactor_cli.api import animate, extract, lipsync

__all__ = ["__version__", "animate", "extract", "lipsync"]


def __getattr__(name: str) -> object:
    """Load the Python API on first use, so that ``dreamactor --help`` does not pay for it."""
    if name in ("animate", "extract", "lipsync"):
        from dreamactor_cli import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
