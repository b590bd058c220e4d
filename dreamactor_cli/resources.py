"""Where the files that ship with the package lie."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def presets_dir() -> Path:
    """The folder with ``render/*.toml`` and ``motion/*.toml``: inside an installed package, else at the top of the repository."""
    installed = PACKAGE / "presets"
    return installed if installed.is_dir() else PACKAGE.parent / "presets"
