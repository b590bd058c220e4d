"""Where the programs of the build lie."""

from __future__ import annotations

import shutil
from functools import cache

from dreamactor_cli.errors import MissingRequirement
from dreamactor_cli.training.speech.voices import APT


@cache
def find_program(name: str) -> str:
    """Path of a program.

    Raises:
        MissingRequirement: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingRequirement(f"{name} is not installed", APT)
    return path
