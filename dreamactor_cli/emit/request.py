"""What every template is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitRequest:
    """A run that a farm is to do in parts.

    Attributes:
        program: command that starts dreamactor on the farm's machines, like ``("/opt/venv/bin/dreamactor",)``.
        manifest, folder: absolute paths, the same on all machines.
        here: absolute path of the folder where the template will lie.
        parts: tasks that the manifest is divided into.
        options: of the run, beside those that stand here.
        cache: absolute path of a cache that all machines share; None is each user's own.
    """

    program: tuple[str, ...]
    manifest: Path
    folder: Path
    here: Path
    parts: int
    options: tuple[str, ...] = ()
    cache: Path | None = None

    @property
    def name(self) -> str:
        """Of the job: letters, digits, dots, dashes and underscores."""
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in self.manifest.stem)
        return f"dreamactor-{plain[:80]}"
