"""How a run is shown while it goes: a live picture on a terminal, lines elsewhere, JSON events, and what OpenJD reads."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dreamactor_cli.console import Console, one_line
from dreamactor_cli.executors.base import Progress, Started
from dreamactor_cli.results import record
from dreamactor_cli.run import Finished, Note, OnEvent, Phase, Planned, RunEvent

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dreamactor_cli.contracts import RenderResult
    from dreamactor_cli.plan import Plan

OPENJD = "OPENJD_SESSION_WORKING_DIR"  # set for every action by openjd-sessions since 0.10.8
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_EVENTS = 1.0  # of one worker's progress as JSON
LAST_FAILURES = 5


@contextmanager
def shown(console: Console, environ: Mapping[str, str], *, openjd: bool = False) -> Iterator[OnEvent]:
    """Show a run the way that console and environment ask for.

    Args:
        openjd: write OpenJD's lines though the environment does not tell of it.
    """
    tally = Tally()
    views: list[OnEvent] = [_Json(console) if console.json else _Outputs(console)]
    if openjd or OPENJD in environ:
        views.append(_OpenJD(console, tally))
    if console.quiet:
        views.append(_Warnings(console))
    elif not console.is_terminal:
        views.append(_Lines(console, tally))

    def tell(event: RunEvent) -> None:
        tally(event)
        for view in views:
            view(event)

    if console.quiet or not console.is_terminal:
        yield tell
        return
    with _screen(tally) as on_screen:
        views.append(on_screen)
        yield tell


class Tally:
    """How far a run is.

    Attributes:
        phase: ``""`` before the first, ``"extract"`` or ``"render"``.
        tasks, done: of the phase.
        workers: what each works on: task, stage, frames done and in all, and since when.
        failures: the last ones, with their messages.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.tasks = self.done = self.failed = 0
        self.workers: dict[str, tuple[str, str, int, int, float]] = {}
        self.failures: deque[tuple[str, str]] = deque(maxlen=LAST_FAILURES)
        self._began = time.monotonic()
        self._expected: dict[str, int] = {}  # frames of the tasks that have begun
        self._frames = self._all_frames = 0

    def __call__(self, event: RunEvent) -> None:
        """Take an event in."""
        match event:
            case Phase():
                self.phase, self.tasks, self.done, self._frames, self._all_frames = event.name, event.tasks, 0, 0, event.frames
                self._began = time.monotonic()
            case Started():
                self._expected[event.task.id] = event.task.frames
                self.workers[event.worker] = (event.task.id, "", 0, event.task.frames, time.monotonic())
            case Progress():
                began = self.workers.get(event.worker, ("", "", 0, 0, 0.0))
                since = began[4] if began[1] == event.stage and began[2] else time.monotonic()
                self.workers[event.worker] = (event.task, event.stage, event.done, event.total, since)
            case Finished():
                self._finished(event)

    def _finished(self, event: Finished) -> None:
        if self.workers.get(event.result.worker, ("",))[0] == event.result.id:  # it may have begun the next one
            del self.workers[event.result.worker]
        if event.again:
            return
        if event.result.error is not None and event.phase != "extract":
            self.failed += 1
            self.failures.append((event.result.id, event.result.error.message))
        if event.phase != "plan":
            self.done += 1
            self._frames += self._expected.get(event.result.id, 0)

    @property
    def share(self) -> float:
        """Of the phase that is done, 0..1, by frames."""
        if not self._all_frames:
            return self.done / self.tasks if self.tasks else 0.0
        running = sum(
            done / total * self._expected.get(task, 0)
            for task, stage, done, total, _ in self.workers.values()
            if total and stage == self.phase
        )
        return min((self._frames + running) / self._all_frames, 1.0)

    @property
    def percent(self) -> float:
        """Of the whole run, 0..100; extraction counts as its first tenth."""
        return {"": 0.0, "extract": 10 * self.share, "render": 10 + 90 * self.share}[self.phase]

    @property
    def left(self) -> float | None:
        """Seconds until the phase ends; None is unknown."""
        share, took = self.share, time.monotonic() - self._began
        return took / share * (1 - share) if share > 0.01 and took > 1 else None


class _Json:
    """Events as JSON, one a line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, float] = {}

    def __call__(self, event: RunEvent) -> None:
        say = self._console.result
        match event:
            case Planned():
                plan = event.plan
                counts = {state: plan.count(state) for state in ("todo", "done", "refused")}
                say("", {"event": "planned", **counts, "inputs": len(plan.extractions), "seconds": plan.seconds})
            case Phase():
                say("", {"event": "phase", "name": event.name, "tasks": event.tasks, "frames": event.frames})
            case Started():
                say("", {"event": "started", "id": event.task.id, "worker": event.worker, "attempt": event.task.attempt})
            case Progress():
                now = time.monotonic()
                if now - self._said.get(event.worker, 0.0) >= SECONDS_BETWEEN_EVENTS:
                    self._said[event.worker] = now
                    about = {"id": event.task, "worker": event.worker, "stage": event.stage}
                    say("", {"event": "progress", **about, "done": event.done, "total": event.total})
            case Finished():
                say("", {"event": "finished", "phase": event.phase, "again": event.again, **record(event.result)})
            case Note():
                say("", {"event": "note", "text": event.text})


class _Outputs:
    """The names of outputs on stdout, as they are there."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: RunEvent) -> None:
        if isinstance(event, Finished) and event.phase == "render" and event.result.status == "ok":
            self._console.result(str(event.result.output), {})


class _OpenJD:
    """Lines by which a render farm that runs OpenJD knows how far it is; on stderr where stdout is JSON."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._console, self._tally, self._percent = console, tally, -1

    def __call__(self, event: RunEvent) -> None:
        if isinstance(event, Phase):
            self._say(f"openjd_status: {event.name}, {event.tasks} tasks")
        percent = int(self._tally.percent)
        if percent > self._percent:
            self._percent = percent
            self._say(f"openjd_progress: {percent}")

    def _say(self, line: str) -> None:
        if self._console.json:
            self._console.plain(line)
        else:
            self._console.result(line, {})


class _Warnings:
    """Failures and warnings alone."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: RunEvent) -> None:
        if isinstance(event, Finished):
            for text in _troubles(event):
                self._console.warn(text)


class _Lines(_Warnings):
    """A line for each task, and one every few seconds when nothing ends."""

    def __init__(self, console: Console, tally: Tally) -> None:
        super().__init__(console)
        self._tally, self._said = tally, time.monotonic()

    def __call__(self, event: RunEvent) -> None:
        super().__call__(event)
        tally = self._tally
        match event:
            case Planned():
                self._say(planned_line(event.plan))
            case Note():
                self._say(event.text)
            case Finished() if event.result.status == "ok":
                self._say(f"{tally.phase} {tally.done}/{tally.tasks}: {_done_line(event.result)}")
            case Progress() if time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
                self._say(f"{tally.phase} {tally.done}/{tally.tasks}, {100 * tally.share:.0f} %{_left(tally)}")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        self._console.note(text)


def planned_line(plan: Plan) -> str:
    """What is going to be done, in one line."""
    missing = sum(not one.cached for one in plan.extractions)
    parts = [f"{len(plan.jobs)} jobs", f"{plan.count('todo')} to do", f"{plan.count('done')} done already"]
    if plan.count("refused"):
        parts.append(f"{plan.count('refused')} refused")
    return f"{', '.join(parts)}; {len(plan.extractions)} inputs, {missing} to extract; about {duration(plan.seconds)}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _troubles(event: Finished) -> list[str]:
    result = event.result
    if result.error is not None:
        again = "; it is tried again" if event.again else ""
        return [f"{result.id}: error[{result.error.code}]: {result.error.message}{again}"]
    return [f"{result.id}: {warning}" for warning in result.warnings]


def _done_line(result: RenderResult) -> str:
    took = sum(result.seconds.values())
    return f"{result.id}, {result.frames} frames in {took:.1f} s ({result.worker})"


def _left(tally: Tally) -> str:
    return "" if tally.left is None or tally.done == tally.tasks else f", {duration(tally.left)} left"


@contextmanager
def _screen(tally: Tally) -> Iterator[OnEvent]:
    """A picture of the run on the terminal: the whole, a line a worker, the last failures."""
    from rich.console import Console as RichConsole
    from rich.live import Live

    screen = RichConsole(stderr=True)
    same = sys.stdout.isatty()  # then what is written to stdout must not run into the picture
    with Live(get_renderable=lambda: _picture(tally), console=screen, refresh_per_second=4, redirect_stdout=same) as live:

        def tell(event: RunEvent) -> None:
            match event:
                case Planned():
                    screen.print(planned_line(event.plan), markup=False, highlight=False)
                case Note():
                    screen.print(one_line(event.text), markup=False, highlight=False)
                case Finished() if event.result.error is None and event.result.warnings:
                    for text in _troubles(event):
                        screen.print(one_line(f"warning: {text}"), markup=False, highlight=False)
            if isinstance(event, Finished | Phase):
                live.refresh()

        yield tell


def _picture(tally: Tally) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    whole = Table.grid(padding=(0, 1))
    failed = Text(f"{tally.failed} failed", style="red") if tally.failed else Text("")
    bar = ProgressBar(total=1.0, completed=tally.share, width=40, pulse=not tally.tasks)
    count = f"{tally.done}/{tally.tasks}{_left(tally)}" if tally.tasks else ""
    whole.add_row(Text(tally.phase or "plan"), bar, Text(count), failed)
    workers = Table.grid(padding=(0, 2))
    for name, (task, stage, done, total, since) in sorted(tally.workers.items()):
        took = time.monotonic() - since
        speed = f"{done / took:.1f} frames/s" if done and took > 0.2 else ""
        workers.add_row(
            Text(name, style="dim"), Text(one_line(task)[:50]), Text(stage), Text(f"{done}/{total}" if total else ""), Text(speed)
        )
    failures = [Text(one_line(f"{name}: {message}")[:200], style="red") for name, message in tally.failures]
    return Group(whole, workers, *failures)
