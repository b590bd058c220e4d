"""Global options, exit codes and the last line."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli import __version__, app, errors

Cli = Callable[..., Any]


def _raise_from_doctor(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def examine(_folder: Path | None) -> None:
        raise error

    monkeypatch.setattr("dreamactor_cli.environment.examine", examine)


def test_version(cli: Cli) -> None:
    ended = cli("--version")
    assert (ended.code, ended.out) == (0, f"dreamactor {__version__}\n")


def test_no_command_shows_help_and_fails(cli: Cli) -> None:
    ended = cli()
    assert ended.code == 2
    assert ended.out == ""
    assert "Commands:" in ended.err
    assert ended.last_line.startswith("dreamactor: error[usage]: no command was given")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["anmate"], "did you mean 'animate'"),
        (["animate", "-s", "x.png"], "missing option '--driving'"),
        (["animate", "--relihgt"], "--relight"),
        (["cache"], "missing command"),
        (["animate", "-s", "x.png", "-d", "y.mp4", "--seed", "-1"], "--seed"),
    ],
)
def test_usage_errors_end_in_one_line(cli: Cli, arguments: list[str], says: str) -> None:
    ended = cli(*arguments)
    assert ended.code == 2
    assert ended.last_line.startswith("dreamactor: error[usage]: ")
    assert says in ended.last_line.replace("Did", "did")
    assert ended.out == ""


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (errors.UnreadableInput("a.mp4 is empty", "give another"), 4, "unreadable"),
        (errors.Stopped(143), 143, "stopped"),
        (KeyboardInterrupt(), 130, "stopped"),
        (MemoryError(), 5, "memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/out.mp4"), 5, "disk"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/out.mp4"), 1, "failed"),
        (ImportError("libGL.so.1: cannot open shared object file"), 3, "missing"),
        (ModuleNotFoundError("No module named 'mediapipe'", name="mediapipe"), 3, "missing"),
        (ZeroDivisionError("division by zero"), 1, "internal"),
    ],
)
def test_every_exception_has_a_code_and_a_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, name: str
) -> None:
    monkeypatch.delenv("DREAMACTOR_DEBUG", raising=False)
    _raise_from_doctor(monkeypatch, error)
    ended = cli("doctor")
    assert ended.code == code
    assert ended.last_line.startswith(f"dreamactor: error[{name}]: ")
    assert "Traceback" not in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_the_traceback_before_the_last_line(cli: Cli, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    _raise_from_doctor(monkeypatch, ZeroDivisionError("division by zero"))
    if how == "variable":
        monkeypatch.setenv("DREAMACTOR_DEBUG", "1")
    ended = cli("doctor", *(["--debug"] if how == "option" else []))
    assert ended.err.startswith("Traceback")
    assert ended.last_line.startswith("dreamactor: error[internal]: ZeroDivisionError: division by zero")


@pytest.mark.parametrize("arguments", [["--json", "doctor"], ["doctor", "--json"]])
def test_json_failure_is_an_object_on_stdout(cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    _raise_from_doctor(monkeypatch, errors.NoPersonFound("nobody in a.png", "give a portrait"))
    ended = cli(*arguments)
    [record] = ended.records()
    assert record["status"] == "failed"
    assert record["error"] == {
        "type": "NoPersonFound", "code": "no-person", "retryable": False, "message": "nobody in a.png; give a portrait",
        "exit_code": 4,
    }  # fmt: skip
    assert ended.last_line.startswith("dreamactor: error[no-person]: ")


def test_a_name_with_a_line_break_stays_in_the_last_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    _raise_from_doctor(monkeypatch, errors.UnreadableInput("two\nlines.mp4 is empty", "give another"))
    assert cli("doctor").last_line == "dreamactor: error[unreadable]: two lines.mp4 is empty; give another"


def test_cache_dir_stands_before_or_behind_the_command(cli: Cli, tmp_path: Path) -> None:
    for arguments in (["--cache-dir", tmp_path, "cache", "info", "--json"], ["cache", "info", "--json", "--cache-dir", tmp_path]):
        assert cli(*arguments).records()[0]["root"] == str(tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_signal_is_the_reason_whatever_a_library_makes_of_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int, swallowed: bool
) -> None:
    before = signal.getsignal(number)

    def examine(_folder: Path | None) -> None:
        try:
            signal.raise_signal(number)
        except BaseException:
            if not swallowed:
                raise
            raise errors.UnreadableInput("a.mp4 is broken", "give another") from None

    monkeypatch.setattr("dreamactor_cli.environment.examine", examine)
    ended = cli("doctor")
    assert ended.code == code
    assert ended.last_line.startswith("dreamactor: error[stopped]: ")
    assert signal.getsignal(number) is before


def test_a_closed_stdout_is_no_error(program: Callable[..., subprocess.Popen[str]]) -> None:
    process = program("presets", "list")
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 141)
    assert err == ""


def test_help_loads_nothing_beside_the_command_line() -> None:
    """What keeps it quick; how quick it is, `bench/speed.py` measures."""
    code = "import sys; bare = set(sys.modules); from dreamactor_cli.app import main; main(['--help']);"
    code += "print(*set(sys.modules) - bare, file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    foreign = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert foreign <= {"dreamactor_cli", "typer", "annotated_doc", "shellingham"}
    assert len(loaded) < 200


def test_commands_are_documented() -> None:
    import typer

    commands = typer.main.get_command(app.app).commands  # type: ignore[attr-defined]
    assert {"demo", "extract", "animate", "render", "doctor", "presets", "cache"} <= set(commands)
    assert all(command.help for command in commands.values())
