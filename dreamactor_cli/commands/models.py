"""``dreamactor models``: public weights, which are known, here, whole, and how they get here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamactor_cli.commands.cache import size_text
from dreamactor_cli.errors import JobFailed, MissingRequirement, UsageError

if TYPE_CHECKING:
    from dreamactor_cli.console import Console
    from dreamactor_cli.model_store.pull import Source

app = typer.Typer(help="Look after weights that do not ship with the package.", no_args_is_help=True, rich_markup_mode=None)

SECONDS_BETWEEN_LINES = 5.0

_Root = Annotated[
    Path | None,
    typer.Option("--models-dir", metavar="DIR", help="Where models are kept [env: DREAMACTOR_MODELS]."),
]


@app.command("list")
def list_(context: typer.Context, models_dir: _Root = None) -> None:
    """Say which models this release can use, and which are here."""
    from dreamactor_cli.model_store.known import KNOWN, folder_of

    for model in KNOWN.values():
        folder = folder_of(model.name, models_dir)
        state = _state(folder, shipped=not model.repo)
        line = f"{model.name:<20} {state:<10} {size_text(model.size):>9}  {model.licence}  {model.use}"
        record = {
            "name": model.name, "state": state, "bytes": model.size, "licence": model.licence, "use": model.use,
            "repo": model.repo, "folder": str(folder),
        }  # fmt: skip
        context.obj.result(line, record)
    context.obj.detail(f"models are kept in {folder_of('x', models_dir).parent}")


def _state(folder: Path, *, shipped: bool) -> str:
    from dreamactor_cli.model_store.known import CHECKSUMS, partial_folder

    if shipped:
        return "shipped" if folder.is_dir() else "not here"
    if (folder / CHECKSUMS).is_file():
        return "here"
    return "begun" if partial_folder(folder).is_dir() else "not here"


@app.command()
def pull(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="See `dreamactor models list`.", show_default=False)],
    from_: Annotated[
        Path | None, typer.Option("--from", metavar="FOLDER", help="Copy from a folder instead of the hub; stays offline.")
    ] = None,
    repo: Annotated[str | None, typer.Option("--repo", metavar="OWNER/NAME", help="Another repository of the hub.")] = None,
    revision: Annotated[str | None, typer.Option("--revision", metavar="REV", help="Branch, tag or commit.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Get it again, though it is here.")] = False,
    models_dir: _Root = None,
) -> None:
    """Get a model from the Hugging Face hub; run it again to go on where it was stopped. No other command goes online."""
    from dreamactor_cli.model_store.known import CHECKSUMS, folder_of, known_model
    from dreamactor_cli.model_store.pull import pull as pull_model

    model = known_model(name)
    if from_ is not None and (repo or revision):
        raise UsageError("--from goes against --repo and --revision", "a folder has none; leave them out")
    console: Console = context.obj
    folder = folder_of(name, models_dir)
    if (folder / CHECKSUMS).is_file() and not overwrite:
        console.note(f"{name} is here already; --overwrite gets it again")
    else:
        bars = console.is_terminal and not console.quiet
        source = _source(from_, repo or model.repo, revision or model.revision, bars=bars)
        console.note(f"getting {name} ({model.licence}) from {source.label}{' at ' if source.revision else ''}{source.revision}")
        folder = pull_model(model, source, root=models_dir, overwrite=overwrite, on_file=_file_teller(console))
    console.result(str(folder), {"name": name, "folder": str(folder)})


def _source(folder: Path | None, repo: str, revision: str, *, bars: bool) -> Source:
    if folder is not None:
        from dreamactor_cli.model_store.pull import FolderSource

        return FolderSource(folder)
    from dreamactor_cli.model_store.hub import HubSource

    return HubSource(repo, revision, bars=bars)


def _file_teller(console: Console) -> Callable[[str, int, int], None]:
    def on_file(name: str, done: int, total: int) -> None:
        if name:
            console.note(f"{size_text(done)} of {size_text(total)} are here; next {name}")

    return on_file


@app.command()
def verify(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME|FOLDER]...", help="All that are here if none is given.", show_default=False),
    ] = None,
    models_dir: _Root = None,
) -> None:
    """Read every byte of models that are here and hold it against the checksums that were written when they came."""
    from dreamactor_cli.model_store.folder import Checksums
    from dreamactor_cli.model_store.known import KNOWN, folder_of

    console: Console = context.obj
    pulled = [
        name for name, model in KNOWN.items() if model.repo and _state(folder_of(name, models_dir), shipped=False) == "here"
    ]
    if not names and not pulled:
        console.note("no model is here")
    damaged = []
    for name in names or pulled:
        folder = folder_of(name, models_dir) if name in KNOWN else Path(name)
        checksums = Checksums.read(folder)
        if checksums is None:
            how = f"get it with: dreamactor models pull {name}" if name in KNOWN else "only what `models pull` brought has them"
            raise MissingRequirement(f"{name} is not here, or has no checksums ({folder})", how)
        teller = _byte_teller(console, name, sum(stored.size for stored in checksums.files.values()))
        problems = list(checksums.problems(folder, teller))
        damaged += [f"{name}: {problem}" for problem in problems]
        line = "\n".join(f"{name}: {problem}" for problem in problems) or f"{name}: {len(checksums.files)} files, all whole"
        console.result(line, {"name": name, "folder": str(folder), "files": len(checksums.files), "problems": problems})
    if damaged:
        raise JobFailed(
            f"{len(damaged)} files are not as they were", "get them again with: dreamactor models pull NAME --overwrite"
        )


def _byte_teller(console: Console, name: str, total: int) -> Callable[[int], None]:
    done, said = 0, time.monotonic()

    def on_bytes(count: int) -> None:
        nonlocal done, said
        done += count
        if time.monotonic() - said >= SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            console.note(f"{name}: {size_text(done)} of {size_text(total)} read")

    return on_bytes
