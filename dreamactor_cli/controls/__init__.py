"""Extractors of control signals: one file a signal, found through one table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dreamactor_cli.controls.base import Extractor

# name -> "module:Class"; entry points of the group `dreamactor.extractors` add to it.
EXTRACTORS: Mapping[str, str] = {
    "face": "dreamactor_cli.controls.face:FaceExtractor",
    "head": "dreamactor_cli.controls.head:HeadExtractor",
    "body": "dreamactor_cli.controls.body:BodyExtractor",
    "hands": "dreamactor_cli.controls.hands:HandsExtractor",
    "matte": "dreamactor_cli.controls.matte:MatteExtractor",
    "appearance": "dreamactor_cli.controls.appearance:AppearanceExtractor",
}


@cache
def extractor_table() -> dict[str, str]:
    """The built-in extractors and those of installed packages."""
    from importlib.metadata import entry_points

    return {**{point.name: point.value for point in entry_points(group="dreamactor.extractors")}, **EXTRACTORS}


def load_extractor(name: str) -> type[Extractor]:
    """Class of an extractor by name. Raises UsageError for a name that is not there."""
    from importlib import import_module

    from dreamactor_cli.errors import UsageError

    # Looking through the installed packages takes 0.1 s in every process.
    table = EXTRACTORS if name in EXTRACTORS else extractor_table()
    if name not in table:
        raise UsageError(f"there is no control signal {name!r}", f"choose from {', '.join(table)}")
    module, _, attribute = table[name].partition(":")
    loaded: type[Extractor] = getattr(import_module(module), attribute)
    return loaded
