"""The command line: global options, the commands, and how a run ends.

Nothing heavy is imported before a command runs, so that ``dreamactor --help`` answers at once.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Annotated, Any

import typer

from dreamactor_cli import __version__
from dreamactor_cli.commands import (
    animate,
    cache,
    demo,
    doctor,
    evaluate,
    extract,
    lipsync,
    models,
    presets,
    render,
    train,
    verify,
)
from dreamactor_cli.commands.common import with_global_options
from dreamactor_cli.console import Console, one_line
from dreamactor_cli.endings import ending_of, failure_record
from dreamactor_cli.errors import Stopped, UsageError
from dreamactor_cli.quiet import terminal

app = typer.Typer(
    name="dreamactor",
    help="Make a picture of a person move by a video, a built-in motion or speech.",
    epilog="dreamactor demo shows what it does; dreamactor COMMAND --help shows the options of a command.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dreamactor {__version__}")
        raise typer.Exit


_Version = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")]


@app.callback(invoke_without_command=True)
@with_global_options
def _root(context: typer.Context, version: _Version = False) -> None:  # noqa: ARG001
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise UsageError("no command was given", "`dreamactor demo` shows what it does")


def _register() -> None:
    commands: tuple[Callable[..., None], ...] = (
        demo.demo, extract.extract, animate.animate, lipsync.lipsync, render.render, evaluate.evaluate, verify.verify,
        doctor.doctor,
    )  # fmt: skip
    for command in commands:
        app.command()(with_global_options(command))
    for name, group in (("presets", presets.app), ("models", models.app), ("cache", cache.app), ("train", train.app)):
        for registered in group.registered_commands:
            if registered.callback is not None:
                registered.callback = with_global_options(registered.callback)
        app.add_typer(group, name=name, no_args_is_help=False)


_register()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; None takes them from the process.

    Returns:
        The exit code; see `errors`.
    """
    console = Console()
    console.debug = os.environ.get("DREAMACTOR_DEBUG", "0") not in ("", "0")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="surrogateescape")  # a file's name need not be text
    command = typer.main.get_command(app)
    signals = _Signals()
    try:
        with signals:
            if "_DREAMACTOR_COMPLETE" in os.environ:
                command.main(arguments, prog_name="dreamactor")
            with command.make_context("dreamactor", arguments, obj=console) as context:
                command.invoke(context)
    except typer.Exit as exit_:
        return exit_.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001
        return _fail(console, Stopped(128 + signals.received) if signals.received else error)
    return 0


def _fail(console: Console, error: BaseException) -> int:
    """Say what went wrong, the last line first of all things, and give the exit code."""
    ending = ending_of(error)
    if console.debug:
        traceback.print_exception(error)
    if console.json:
        console.result("", failure_record(ending))
    with terminal():
        sys.stderr.write(one_line(ending.line()) + "\n")
        sys.stderr.flush()
    return ending.exit_code


class _Signals:
    """Turns SIGINT, SIGTERM and SIGUSR2 (a farm's warning) into exceptions, so that whoever holds temporary files removes them.

    Attributes:
        received: the first signal; 0 if there was none. Whatever a library made of the exception, this is why it ended.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Signals:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` and a shell's background jobs have it
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self.received and number != signal.SIGINT:
            return  # a farm's second signal must not disturb the tidying up
        self.received = self.received or number
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped(128 + number)
