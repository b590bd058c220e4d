"""What a command says: results on stdout, messages for people on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dreamactor_cli.quiet import terminal

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task

    from dreamactor_cli.cache import Cache

OnProgress = Callable[[str, int, int], None]

PIPE_CLOSED = 141  # what a shell reports of a program that wrote to a reader that had gone
SECONDS_BETWEEN_LINES = 5.0


class Console:
    """The global options of one run, and its two streams.

    Attributes:
        json: results are JSON objects, one a line.
        verbose: also say what is found out on the way.
        quiet: say nothing but warnings and errors.
        debug: show the traceback of an error.
        cache_dir: where the cache lies; None is the usual place.
    """

    def __init__(self) -> None:
        self.json = False
        self.verbose = False
        self.quiet = False
        self.debug = False
        self.cache_dir: Path | None = None

    def cache(self) -> Cache:
        """The cache that the options name."""
        from dreamactor_cli.cache import Cache

        return Cache(self.cache_dir)

    def result(self, line: str, record: Mapping[str, object]) -> None:
        """Write one result to stdout: the record with ``--json``, else the line (none if it is empty).

        Raises:
            SystemExit: the reader of stdout has gone; there is nobody left to tell.
        """
        text = json.dumps(record, ensure_ascii=False, default=str) if self.json else line
        if not text:
            return
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            silence_stdout()
            raise SystemExit(PIPE_CLOSED) from None

    def note(self, text: str) -> None:
        """Tell how the work goes."""
        if not self.quiet:
            self._message(text)

    def detail(self, text: str) -> None:
        """Tell what only ``--verbose`` wants to know."""
        if self.verbose:
            self._message(text)

    def warn(self, text: str) -> None:
        """Tell what the user should know of a result that is there all the same."""
        self._message(f"warning: {text}")

    @property
    def is_terminal(self) -> bool:
        """Whether a person may be watching stderr."""
        return sys.stderr.isatty()

    def plain(self, line: str) -> None:
        """Write a line to stderr as it is, for a program that reads it."""
        try:
            with terminal():
                print(line, file=sys.stderr, flush=True)  # noqa: T201
        except BrokenPipeError:
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115

    @contextmanager
    def progress(self) -> Iterator[OnProgress]:
        """Show the progress of stages: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet.

        Yields:
            ``on_progress(stage, done, total)``, to be called with frames.
        """
        if self.quiet:
            yield _nothing
        elif self.is_terminal:
            with _bars() as on_progress:
                yield on_progress
        else:
            yield _Lines(self._message)

    def _message(self, text: str) -> None:
        self.plain(f"dreamactor: {one_line(text)}")


def _nothing(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody wants to see."""


class _Lines:
    """Progress as plain lines: one when a stage ends, and one every few seconds of a long stage."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._stage = ""
        self._began = self._said = 0.0
        self._first = 0  # frames that were done when the clock of the speed started
        self._ended = False

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._said, self._first, self._ended = stage, now, now, done, False
        elif self._first == 0:  # what the first frame waited for is not the speed
            self._began, self._first = now, done
        ends = done >= total > 0
        if self._ended or not (ends or now - self._said >= SECONDS_BETWEEN_LINES):
            return
        self._said, self._ended = now, ends
        line = f"{stage}: {done}/{total} frames"
        if done > self._first and now - self._began > 0.2:
            speed = (done - self._first) / (now - self._began)
            line += f", {speed:.1f} frames/s" + ("" if ends else f", {(total - done) / speed:.0f} s left")
        self._say(line)


@contextmanager
def _bars() -> Iterator[OnProgress]:
    """Progress as a bar a stage, with frames/s and the time that is left."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bars = Progress(
        TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), _frames_per_second(), TimeRemainingColumn(),
        console=RichConsole(stderr=True), redirect_stdout=False,
    )  # fmt: skip
    tasks = {}

    def on_progress(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total or None)
        bars.update(tasks[stage], completed=done, total=total or None)

    with bars:
        yield on_progress


def _frames_per_second() -> ProgressColumn:
    from rich.progress import ProgressColumn
    from rich.text import Text

    class FramesPerSecond(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:6.1f} frames/s" if speed else "", style="progress.data.speed")

    return FramesPerSecond()


def one_line(text: str) -> str:
    """The text without line breaks and without what moves the cursor of a terminal: a file's name may hold both."""
    return printable(" ".join(text.splitlines()))


def printable(text: str) -> str:
    """The text with control characters spelled out."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def silence_stdout() -> None:
    """Send what is still to be flushed to stdout nowhere."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
