"""From a manifest to jobs: every row is checked before the first one runs, and all that is wrong is said at once.

A manifest comes from anybody. Inputs are plain files, found beside the manifest if their names are relative; outputs stay
within the folder of the run, whatever a name or a link says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from dreamactor_cli.contracts import Job, JobKind, Preset
from dreamactor_cli.errors import ManifestError, UsageError
from dreamactor_cli.job_options import driver_name, job_name
from dreamactor_cli.manifest_columns import PRESET_FIELDS, column_of, parse_row, unknown_columns
from dreamactor_cli.manifest_files import Inputs, Outputs, Wrong
from dreamactor_cli.manifest_rows import MAX_BYTES, MAX_ROWS, Table, read_table
from dreamactor_cli.presets import load_preset

MAX_PROBLEMS = 200

Values = dict[str, Any]
_OPTIONS = frozenset(PRESET_FIELDS)
_OF_JOB = (
    "driving",
    "audio",
    "seed",
    "start",
    "duration",
    "subject",
    "side_by_side",
    "overwrite",
    "skeleton",
    "credentials",
    "key",
)
_OF_DRIVER = ("driving", "audio", "start", "duration", "subject")


@dataclass(frozen=True, slots=True)
class _Row:
    """The values of a row that can be used, those of the command line in their place, and the columns that cannot."""

    line: int
    values: Values
    wrong: frozenset[str] = frozenset()

    def lacks(self, *columns: str) -> bool:
        """Whether none of the columns says anything, be it right or wrong."""
        return not {*columns} & (self.values.keys() | self.wrong)


def load_manifest(
    source: Path | None, *, folder: Path, overrides: Mapping[str, object], product: bool = False
) -> tuple[Job, ...]:
    """The jobs of a manifest, in its order.

    Args:
        source: CSV, TSV or JSONL in UTF-8; None is stdin.
        folder: where outputs go.
        overrides: what the command line says, by the names of columns; None is not given. Its paths are found from the
            current folder.
        product: cross every image of the manifest with every driver in it. A row's options go with its driver, and with its
            image where the driver's row says nothing.

    Raises:
        ManifestError: something is wrong with the manifest; all of it stands in ``problems``.
        UsageError: something is wrong with the overrides.
    """
    name = "the manifest on stdin" if source is None else str(source)
    given = _checked_overrides(overrides)
    try:
        table = read_table(_read(source), source.suffix.lower() if source is not None else "")
    except ManifestError as error:
        raise ManifestError(f"{name} {error.message}", error.hint, (f"{name} {error.message}; {error.hint}",)) from error
    base = (source.parent if source is not None else Path()).absolute()
    return _Reader(base, folder, given, table).jobs(name, product)


def _read(source: Path | None) -> bytes:
    try:
        if source is None:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        if not source.is_file():
            what = "is not a file" if source.exists() else "was not found"
            raise ManifestError(what, "name a CSV, TSV or JSONL file, or - for stdin", (what,))
        with source.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ManifestError(what, "check its name and permissions", (what,)) from error


def _checked_overrides(overrides: Mapping[str, object]) -> Values:
    """Values of the command line as those of a row, with its paths absolute."""
    named = {column_of(name): value for name, value in overrides.items() if value is not None}
    named = {name: str(value) if isinstance(value, Path) else value for name, value in named.items()}
    values, wrong = parse_row(named)
    inputs = Inputs(Path.cwd())
    for column in values:
        try:
            values[column] = _placed(column, values[column], inputs)
        except Wrong as error:
            wrong[column] = str(error)
    for column, what in wrong.items():
        message, _, hint = what.partition("; ")
        raise UsageError(f"--{column.replace('_', '-')}: {message}", hint)
    return values


def _placed(column: str, value: Any, inputs: Inputs) -> Any:
    """A value with its paths absolute and looked at.

    Raises:
        Wrong: they cannot be used.
    """
    if column == "image":
        return tuple(inputs.file(name) for name in value)
    if column == "driving":
        return inputs.driving(value)
    if column in ("audio", "skeleton", "credentials", "key"):
        return inputs.file(value)
    if column in ("background", "preset", "speech_encoder"):
        return getattr(inputs, column)(value)
    return value


class _Reader:
    """Makes the jobs of one table, and collects what is wrong with it."""

    def __init__(self, base: Path, folder: Path, given: Values, table: Table) -> None:
        self._given, self._table = given, table
        self._inputs, self._outputs = Inputs(base), Outputs(folder)
        self._presets: dict[tuple[object, ...], Preset | UsageError] = {}
        self._problems: list[tuple[int, str]] = list(table.problems)
        self._ids: dict[str, int] = {}

    def jobs(self, name: str, product: bool) -> tuple[Job, ...]:
        """All jobs. Raises ManifestError if anything is wrong."""
        unknown = unknown_columns(self._table.columns)
        self._problems += [(self._table.columns[column], f"column {column[:80]} {what}") for column, what in unknown.items()]
        rows: Iterable[_Row] = self._rows(frozenset(unknown))
        if product:
            rows = self._crossed(list(rows))
        jobs = tuple(job for row in rows if (job := self._job(row)) is not None)
        if self._problems:
            raise _error(name, self._problems)
        return jobs

    def _rows(self, unknown: frozenset[str]) -> Iterator[_Row]:
        for row in self._table.rows:
            named = {column_of(name): value for name, value in row.values.items() if name not in unknown}
            values, wrong = parse_row({column: value for column, value in named.items() if column not in self._given})
            for column in list(values):
                try:
                    values[column] = _placed(column, values[column], self._inputs)
                except Wrong as error:
                    wrong[column] = str(error)
                    del values[column]
            for column, what in wrong.items():
                self._wrong(row.line, column, what)
            yield _Row(row.line, {**values, **self._given}, frozenset(wrong))

    def _crossed(self, rows: list[_Row]) -> Iterator[_Row]:
        """A row for every image with every driver."""
        images: dict[tuple[Path, ...], _Row] = {}
        drivers: dict[tuple[object, ...], _Row] = {}
        for row in rows:
            has_image, has_driver = not row.lacks("image"), not row.lacks("driving", "audio")
            for column in ("output", "id") if has_image and has_driver else ("output",):
                if column in row.values:
                    self._wrong(row.line, column, "--product names its results by image and driver; leave this out")
            if "image" in row.values:
                images.setdefault(row.values["image"], row)
            if row.values.keys() & {"driving", "audio"}:
                drivers.setdefault(tuple(row.values.get(column) for column in _OF_DRIVER), row)
            if not has_image and not has_driver:
                self._wrong(row.line, "image", "there is neither an image nor a driver; give one of them")
        if len(images) * len(drivers) > MAX_ROWS:
            what = f"{len(images)} images and {len(drivers)} drivers make more than {MAX_ROWS} jobs; divide the manifest"
            self._problems.append((1, what))
            return
        if not self._problems and not (images and drivers):
            self._problems.append((1, f"--product finds no {'driver' if images else 'image'}; give the manifest one"))
        for pictures, at in images.items():
            for driver in drivers.values():
                yield _paired(pictures, at, driver)

    def _job(self, row: _Row) -> Job | None:
        """The job of a row; None, and problems, if there is something wrong with it."""
        if row.lacks("image"):
            self._wrong(row.line, "image", "there is no picture; give one")
        if row.lacks("driving", "audio"):
            what = "there is no driver; give a video, a controls file or motion:NAME here, or a sound as audio"
            self._wrong(row.line, "driving", what)
        preset = self._preset(row)
        values = row.values
        complete = "image" in values and values.keys() & {"driving", "audio"}
        if row.wrong & {"id", "output"} or not (complete or values.keys() & {"id", "output"}):
            return None
        name = values.get("id") or _default_id(values)
        path = self._output(row, name)
        if path is None or preset is None or row.wrong or not complete:
            return None
        own = {column: values[column] for column in _OF_JOB if column in values}
        kind: JobKind = "lipsync" if "audio" in values else "animate"
        return Job(id=name, references=values["image"], output=path, preset=preset, kind=kind, **own)

    def _preset(self, row: _Row) -> Preset | None:
        """The preset of a row with its options."""
        options = {name: row.values[name] for name in sorted(row.values.keys() & _OPTIONS)}
        key = (row.values.get("preset", "default"), *options.items())
        if key not in self._presets:
            try:
                self._presets[key] = replace(load_preset(str(key[0])), **options)
            except UsageError as error:
                self._presets[key] = error
        preset = self._presets[key]
        if isinstance(preset, UsageError):
            self._wrong(row.line, "preset", str(preset))
            return None
        return preset

    def _output(self, row: _Row, name: str) -> Path | None:
        """Where the output goes; None, and a problem, if it cannot go there or the name is taken."""
        if name in self._ids:
            what = f"{name!r:.100} is the name of line {self._ids[name]} too; give each row an id of its own"
            self._wrong(row.line, "id", what)
            return None
        self._ids[name] = row.line
        try:
            return self._outputs.place(row.values.get("output") or f"{name}.mp4", row.line)
        except Wrong as error:
            self._wrong(row.line, "output" if "output" in row.values else "id", str(error))
            return None

    def _wrong(self, line: int, column: str, what: str) -> None:
        self._problems.append((line, f"column {column}: {what}"))


def _paired(pictures: tuple[Path, ...], at: _Row, driver: _Row) -> _Row:
    """One image with one driver; where both rows have an option, the driver's counts."""
    options = {name: value for name, value in at.values.items() if name not in (*_OF_DRIVER, "id")}
    values = {**options, **driver.values, "image": pictures}
    image = at.values.get("id") or pictures[0].stem
    moved_by = driver.values.get("id") or driver_name(str(values.get("driving") or values["audio"]))
    return _Row(driver.line, {**values, "id": f"{image}_{moved_by}"}, driver.wrong | at.wrong)


def _default_id(values: Values) -> str:
    """By the output if it is named, else by image and driver."""
    if "output" in values:
        output = PurePosixPath(values["output"])
        return str(output.with_suffix("") if output.name else output)
    return job_name(values["image"][0], str(values.get("audio") or values["driving"]))


def _error(name: str, problems: list[tuple[int, str]]) -> ManifestError:
    ordered = [f"line {line}, {what}" for line, what in sorted(problems, key=lambda problem: problem[0])]
    if len(ordered) == 1:
        message, _, hint = ordered[0].partition("; ")
        return ManifestError(f"{name}, {message}", hint, tuple(ordered))
    told = ordered[:MAX_PROBLEMS]
    if len(ordered) > MAX_PROBLEMS:
        told.append(f"and {len(ordered) - MAX_PROBLEMS} more")
    first, _, hint = ordered[0].partition("; ")
    return ManifestError(f"{name} has {len(ordered)} problems; the first: {first}", hint, tuple(told))
