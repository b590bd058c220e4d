"""What the commands share: the global options, and how signals are written."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dreamactor_cli.console import Console

_GLOBAL: dict[str, Any] = {
    "json_": Annotated[bool, typer.Option("--json", help="Results as JSON, one object a line.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
    "cache_dir": Annotated[
        Path | None,
        typer.Option("--cache-dir", metavar="DIR", help="Where signals are kept [env: DREAMACTOR_CACHE]."),
    ],
}


def with_global_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the global options, so that they may stand before or behind its name.

    They end up in the `Console` that is ``context.obj``.
    """
    signature = inspect.signature(command, eval_str=True)
    takes_context = "context" in signature.parameters

    @functools.wraps(command)
    def run(context: typer.Context, **options: Any) -> None:
        console: Console = context.find_root().obj
        for name in ("json", "verbose", "quiet", "debug"):
            given = options.pop("json_" if name == "json" else name)
            setattr(console, name, getattr(console, name) or given)
        console.cache_dir = options.pop("cache_dir") or console.cache_dir
        if takes_context:
            options["context"] = context
        command(**options)

    keyword = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("context", keyword, annotation=typer.Context)
    own = [p.replace(kind=keyword) for name, p in signature.parameters.items() if name != "context"]
    ours = [
        inspect.Parameter(name, keyword, annotation=annotation, default=None if name == "cache_dir" else False)
        for name, annotation in _GLOBAL.items()
    ]
    parameters = [context, *own, *ours]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return run
