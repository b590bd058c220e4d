"""Where the programs of the build lie, and how they are run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

from dreamactor_cli.errors import MissingRequirement
from dreamactor_cli.training.speech.voices import APT

_TIMEOUT = 900  # seconds; so long that a busy machine makes the same speech as an idle one


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


def run_program(name: str, arguments: Sequence[str]) -> str | None:
    """What a program wrote to its standard output; None if it failed or hung.

    Raises:
        MissingRequirement: it is not installed.
    """
    try:
        done = subprocess.run(
            [find_program(name), *arguments], capture_output=True, text=True, errors="replace", timeout=_TIMEOUT, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return done.stdout
