"""What the user may have meant by a name that is not there."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def hint(word: str, known: Iterable[str], how_to_list: str = "") -> str:
    """The nearest name, else all names, as an error's hint.

    Args:
        word: what was given.
        known: the names that exist.
        how_to_list: the command that lists them, for long lists.
    """
    names = list(known)
    near = get_close_matches(word.casefold(), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?" + (f" ({how_to_list} lists all)" if how_to_list else "")
    return f"see {how_to_list}" if how_to_list else f"use one of: {', '.join(names)}"
