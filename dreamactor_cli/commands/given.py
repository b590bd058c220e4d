"""The options that a user gave, as words of a command line that says the same elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import typer


def given_options(context: typer.Context, *, without: Collection[str]) -> list[str]:
    """Options that stood on the command line, with paths made absolute.

    Args:
        without: names of parameters to leave out.
    """
    words: list[str] = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.param_type_name != "option" or parameter.name in without or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[parameter.name or ""]
        if isinstance(value, bool):
            words.append(max(parameter.opts if value else parameter.secondary_opts, key=len))
        else:
            words.append(f"{max(parameter.opts, key=len)}={_placed(value)}")  # one word: a value may begin with a dash
    return words


def _placed(value: object) -> str:
    """Text of a value; a file's name, which options may take beside other things, is made absolute."""
    text = str(value)
    return str(Path(text).absolute()) if isinstance(value, Path) or Path(text).exists() else text
