"""What the columns of a manifest mean: the options of `animate` and `lipsync`, each checked as the command line checks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from fractions import Fraction
from functools import lru_cache, partial
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from dreamactor_cli import nearest
from dreamactor_cli.contracts import Preset
from dreamactor_cli.errors import UsageError
from dreamactor_cli.job_options import seconds
from dreamactor_cli.presets import merge

ALIASES = {
    "source": "image", "reference": "image", "references": "image", "cfg_reference": "guidance_reference",
    "cfg_motion": "guidance_motion", "dtype": "precision",
}  # fmt: skip
PRESET_FIELDS = tuple(field.name for field in fields(Preset) if field.name != "name")
SEPARATOR = "|"
MAX_IMAGES = 64

# Options that are said once for a run and not for each of its jobs.
_OF_THE_RUN = ("device", "devices", "workers", "executor", "shard", "timeout", "retries", "cache_dir", "qc")


def column_of(name: str) -> str:
    """A column's name as the fields of `contracts.Job` and `contracts.Preset` have it: ``Expression-Scale`` too is understood."""
    plain = name.strip().casefold().replace("-", "_").replace(" ", "_").lstrip("_")
    return ALIASES.get(plain, plain)


def _text(given: object) -> object:
    """Numbers and truth values of JSON as the text that a CSV has; the rest as it is."""
    if isinstance(given, bool):
        return str(given).lower()
    return str(given) if isinstance(given, int | float | Fraction) else given


def _images(given: object) -> object:
    parts = given.split(SEPARATOR) if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"this is no picture; give file names, several with {SEPARATOR} between them")
    names = tuple(part.strip() for part in parts)
    if not all(names):
        raise ValueError(f"a name between two {SEPARATOR} is missing")
    return names


def _id(given: str) -> str:
    if given.startswith("-"):
        raise ValueError(f"{given!r:.80} begins with a dash, which programs take for an option; choose another")
    if not given.isprintable():
        raise ValueError(f"{given!r:.80} holds what cannot be printed; choose another")
    return given


def _seconds(column: str, given: object) -> object:
    text = _text(given)
    if not isinstance(text, str):
        raise ValueError("this is no time; give seconds like 12.5, or minutes and seconds like 1:30")  # noqa: TRY004 - for pydantic
    return _said(lambda: seconds(column, text), f"{column} ")


def _positive(given: Fraction) -> Fraction:
    if not given:
        raise ValueError("0 seconds are no clip; leave it out to go on to the end")
    return given


def _option(column: str, given: object) -> object:
    listed = isinstance(given, list) and all(isinstance(part, str) for part in given)
    value = ",".join(given) if listed else _text(given)  # type: ignore[arg-type]
    if not isinstance(value, str):
        raise ValueError("this is no single value")  # noqa: TRY004 - for pydantic
    return _preset_option(column, value)


@lru_cache(maxsize=4096)
def _preset_option(column: str, text: str) -> object:
    """The value of a preset's field. Remembered: some are looked up among installed packages."""
    return getattr(_said(lambda: merge(Preset(), {column: text}, source=" "), f" {column} "), column)


def _said(check: Any, label: str) -> Any:
    """What a check gives; its complaint, without the label that is the command line's, is pydantic's."""
    try:
        return check()
    except UsageError as error:
        raise ValueError(f"{error.message.removeprefix(label)}; {error.hint}") from None


_Text = Annotated[str | None, BeforeValidator(_text)]


class JobRow(BaseModel):
    """Values of one row that are a job's own; the fields of a preset are added to it by `RowModel`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str | None, BeforeValidator(_text), AfterValidator(_id), Field(max_length=200)] = None
    image: Annotated[tuple[str, ...], BeforeValidator(_images), Field(max_length=MAX_IMAGES)] = ()
    driving: _Text = None
    audio: _Text = None
    output: Annotated[str | None, BeforeValidator(_text), AfterValidator(_id)] = None
    preset: _Text = None
    seed: Annotated[int | None, Field(ge=0, lt=1 << 63)] = None
    start: Annotated[Fraction | None, BeforeValidator(partial(_seconds, "start"))] = None
    duration: Annotated[Fraction | None, BeforeValidator(partial(_seconds, "duration")), AfterValidator(_positive)] = None
    subject: Annotated[int | None, Field(ge=1, le=1000)] = None
    side_by_side: bool | None = None
    overwrite: bool | None = None
    skeleton: _Text = None
    credentials: _Text = None
    key: _Text = None


# A background may be a file, which is looked for beside the manifest.
_OPTIONS: dict[str, Any] = {
    name: (_Text if name == "background" else Annotated[object, BeforeValidator(partial(_option, name))], None)
    for name in PRESET_FIELDS
}
RowModel: type[JobRow] = create_model("RowModel", __base__=JobRow, **_OPTIONS)
COLUMNS = tuple(RowModel.model_fields)


def unknown_columns(names: Iterable[str]) -> dict[str, str]:
    """What is wrong with columns, by their names as they stand in the manifest."""
    said: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        column = column_of(name)
        if column in _OF_THE_RUN:
            said[name] = f"is an option of the whole run; give --{column.replace('_', '-')} on the command line"
        elif column not in COLUMNS:
            said[name] = f"is unknown; {nearest.hint(column[:80], COLUMNS)}"
        elif column in taken:
            said[name] = f"is the same as column {taken[column]}; leave one out"
        taken.setdefault(column, name[:80])
    return said


def parse_row(values: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a row that are there and right, and what is wrong with the others, by column.

    Args:
        values: by the names of `COLUMNS`.
    """
    try:
        row = RowModel.model_validate(values)
    except ValidationError as error:
        wrong = {str(problem["loc"][0]): _message(problem) for problem in error.errors(include_url=False)}
        right, _ = parse_row({name: value for name, value in values.items() if name not in wrong})
        return right, wrong
    given = row.model_fields_set
    return {name: value for name in COLUMNS if name in given and (value := getattr(row, name)) is not None}, {}


def _message(problem: Any) -> str:
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    message = str(problem["msg"])
    return f"{problem['input']!r:.80}: {message[:1].lower()}{message[1:]}"
