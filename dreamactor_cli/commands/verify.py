"""``dreamactor verify``: where a video comes from, and whether it is still what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamactor_cli.errors import NoProvenance, Tampered

MARKS = {"agrees": "ok", "absent": "--", "disagrees": "!!"}


def verify(
    context: typer.Context,
    output: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="A video, or a folder of PNG files.")],
    trust: Annotated[
        Path | None,
        typer.Option("--trust", metavar="ROOTS.pem", help="Roots whose signatures are trusted, beside C2PA's own list."),
    ] = None,
) -> None:
    """Read back by what a video was made, and whether sidecar, container and Content Credentials agree.

    Exits with 0 if all that is there agrees, with 4 if something was changed, with 1 if there is nothing to go by.
    """
    from dreamactor_cli import provenance

    console = context.obj
    found = provenance.verify(output, trust=trust)
    for check in found.checks:
        line = f"{MARKS[check.state]}  {check.place:<11}  {check.detail}"
        console.result(line, {"place": check.place, "state": check.state, "detail": check.detail})
    if found.state == "disagrees":
        wrong = "; ".join(f"{c.place}: {c.detail}" for c in found.checks if c.state == "disagrees")
        raise Tampered(f"{output} is not what was made: {wrong}", "render it again, or get it from where it came from")
    if found.state == "absent":
        raise NoProvenance(f"nothing says where {output} comes from", "its sidecar NAME.json may have stayed behind")
