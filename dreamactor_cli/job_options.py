"""What options of a job mean, whether a command line or a manifest gives them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from dreamactor_cli.errors import UsageError


def seconds(option: str, text: str | None) -> Fraction | None:
    """Seconds of ``12.5``, ``1:30`` or ``1:02:03.5``; None stays None.

    Raises:
        UsageError: it is not a time.
    """
    if text is None:
        return None
    if not re.fullmatch(r"(\d{1,9}:){0,2}\d{1,9}(\.\d{1,9})?|\.\d{1,9}", text, re.ASCII):
        raise UsageError(f"{option} {text:.80} is not a time", "give seconds like 12.5, or minutes and seconds like 1:30")
    total = Fraction(0)
    for part in text.split(":"):
        total = total * 60 + Fraction(part)
    return total


def driver_name(driver: str) -> str:
    """What a video, a sound, a controls file or ``motion:NAME`` is called in the name of a job."""
    name = Path(driver.removeprefix("motion:")).name
    return name.removesuffix(".controls.safetensors").rsplit(".", 1)[0] or "motion"


def job_name(image: Path, driver: str) -> str:
    """``IMAGE_DRIVER``: what a job and its output are called if nobody says so."""
    return f"{image.stem}_{driver_name(driver)}"
