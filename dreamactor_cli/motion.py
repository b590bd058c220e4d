"""Built-in and custom motions: key-framed control curves that drive a face without a video."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from dreamactor_cli.contracts import Controls


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """A performance as curves over time."""

    name: str
    description: str
    duration: Fraction
    loop: bool = False


def motion_names() -> list[str]:
    """Names of the motions that ship with the package."""
    raise NotImplementedError


def load_motion(name_or_path: str) -> Motion:
    """A motion by its name, or from a ``.toml`` file."""
    raise NotImplementedError


def synthesise(motion: Motion, *, fps: Fraction, width: int, height: int, duration: Fraction | None = None) -> Controls:
    """Face and head signals of a motion, in driving space."""
    raise NotImplementedError
