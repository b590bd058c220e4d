"""``dreamactor cache``: the signals that are kept so that no clip is looked at twice."""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from typing import Annotated

import typer

from dreamactor_cli.errors import JobFailed, UsageError

app = typer.Typer(help="Look after the cache of signals.", no_args_is_help=True, rich_markup_mode=None)

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY = {"k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


@app.command()
def info(context: typer.Context) -> None:
    """Say where the cache lies and how much it holds."""
    found = context.obj.cache().info()
    line = f"{found.root}: {_entries(found.entries)}, {size_text(found.bytes)}"
    context.obj.result(line, {"root": str(found.root), "entries": found.entries, "bytes": found.bytes})


@app.command()
def verify(context: typer.Context) -> None:
    """Look at every checksum; what is damaged is removed, and made again when it is needed."""
    cache = context.obj.cache()
    entries = cache.info().entries
    damaged = cache.verify()
    record = {"root": str(cache.root), "entries": entries, "damaged": damaged}
    if damaged:
        context.obj.result("\n".join(f"damaged: {key}" for key in damaged), record)
        raise JobFailed(
            f"{len(damaged)} of {_entries(entries)} of {cache.root} were damaged and have been removed",
            "run your command again: they are made again; if this happens often, look after the disk",
        )
    context.obj.result(f"{cache.root}: {_entries(entries)}, none damaged", record)


@app.command()
def gc(
    context: typer.Context,
    max_size: Annotated[
        str, typer.Option("--max-size", metavar="SIZE", help="How much may stay, like 2GB or 500MiB.", show_default=False)
    ],
) -> None:
    """Remove what was not used for longest until the rest fits, and temporary files that were abandoned."""
    limit = parse_size(max_size)
    cache = context.obj.cache()
    freed = cache.gc(limit)
    left = cache.info()
    line = f"{cache.root}: {size_text(freed)} freed, {_entries(left.entries)} left, {size_text(left.bytes)}"
    context.obj.result(line, {"root": str(cache.root), "freed": freed, "entries": left.entries, "bytes": left.bytes})
    if left.bytes > limit:
        context.obj.warn("more than --max-size is left: entries that were used within the last minute stay")


@app.command()
def clear(context: typer.Context, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove all entries."""
    cache = context.obj.cache()
    found = cache.info()
    question = f"remove {_entries(found.entries)}, {size_text(found.bytes)}, from {cache.root}"
    if not yes and found.entries:
        if not sys.stdin.isatty():
            raise UsageError(f"there is nobody to ask whether to {question}", "say --yes")
        if not typer.confirm(f"{question[0].upper()}{question[1:]}?", err=True):
            context.obj.note("nothing was removed")
            return
    freed = cache.clear()
    record = {"root": str(cache.root), "freed": freed, "entries": found.entries}
    context.obj.result(f"{cache.root}: {_entries(found.entries)} removed, {size_text(freed)} freed", record)


def parse_size(text: str) -> int:
    """Bytes of ``2GB`` (powers of 1000), ``500MiB`` (powers of 1024) or ``1000000``.

    Raises:
        UsageError: it is not a size.
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(i?)b?\s*", text, re.ASCII | re.IGNORECASE)
    if not match or (match[3] and not match[2]):
        raise UsageError(f"--max-size {text} is not a size", "give one like 2GB, 500MiB or 0")
    unit = match[2].lower()
    return int(Fraction(match[1]) * (_BINARY[unit] if match[3] else _UNITS[unit]))


def size_text(count: int) -> str:
    """Bytes as people write them: 999 bytes, 1.5 kB, 2.0 GB."""
    if count < 1000:
        return f"{count} bytes"
    size = float(count)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def _entries(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"
