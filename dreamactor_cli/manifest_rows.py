"""From the bytes of a manifest to its rows: CSV, TSV or JSONL, from anybody. Nothing is known here of what columns mean."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from dreamactor_cli.errors import ManifestError

if TYPE_CHECKING:
    from _csv import Reader

MAX_BYTES = 64 << 20
MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_FIELD = 16_384  # characters: several file names of the greatest length
DELIMITERS = ",;\t"

_JSON_SUFFIXES = (".jsonl", ".ndjson")
_TAB_SUFFIXES = (".tsv", ".tab")
_WIDE = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16", codecs.BOM_UTF32_BE: "UTF-32"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in the manifest.

    Attributes:
        line: on which it begins, counted from 1.
        values: text, or what JSON has, by column; what is empty is left out.
    """

    line: int
    values: dict[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """What was read.

    Attributes:
        columns: with the line on which each is named first.
        problems: lines with what is wrong with them; these rows are left out.
    """

    rows: list[Row] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)


def read_table(data: bytes, suffix: str = "") -> Table:
    """Rows of a manifest.

    Args:
        data: all of it; UTF-8, with or without a byte order mark.
        suffix: of its name, with the dot; where it tells nothing, the first line does.

    Raises:
        ManifestError: it is no manifest at all; the message goes behind its name.
    """
    text = _decoded(data)
    if not text.strip():
        _refuse("is empty", "give it a line with the names of the columns, and a line for each job")
    head = text.lstrip()[:1]
    if head == "[" and suffix not in _TAB_SUFFIXES:
        _refuse("is a JSON array", "write one JSON object a line (JSONL), or CSV")
    table = Table()
    if suffix in _JSON_SUFFIXES or head == "{":
        _read_jsonl(text, table)
    else:
        _read_csv(text, "\t" if suffix in _TAB_SUFFIXES else _delimiter(text), table)
    if not table.rows and not table.problems:
        _refuse("has no job in it", "give it a line for each job")
    return table


def _refuse(what: str, hint: str) -> NoReturn:
    raise ManifestError(what, hint, (what,))


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        _refuse(f"is larger than {MAX_BYTES >> 20} MiB", "divide it")
    for mark, encoding in _WIDE.items():
        if data.startswith(mark):
            _refuse(f"is {encoding}", "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(f"is not UTF-8: line {line} has the byte 0x{data[error.start]:02x}", "save it as UTF-8")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        _refuse(f"has a NUL character in line {line}", "it is damaged, or no text: make it again")
    return text


def _delimiter(text: str) -> str:
    """What separates the columns' names: the one of `DELIMITERS` that is most often there."""
    header = next(line for line in io.StringIO(text) if line.strip())
    bare = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=bare.count)


def _read_csv(text: str, delimiter: str, table: Table) -> None:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    header: list[str] | None = None
    for line, cells in _numbered(reader, table):
        if header is None:
            header = _header(line, cells, table)
        elif len(cells) < len(header) or any(cells[len(header) :]):
            what = f"has {len(cells)} fields, and the header {len(header)}"
            table.problems.append((line, f"{what}; quote a field that holds {_spelled(delimiter)}, or mend the row"))
        elif not _is_unfit(line, zip(header, cells, strict=False), table):
            values: dict[str, object] = {name: cell for name, cell in zip(header, cells, strict=False) if name and cell}
            table.rows.append(Row(line, values))


def _numbered(reader: Reader, table: Table) -> Iterator[tuple[int, list[str]]]:
    """Rows that hold something, without spaces around their cells, with the line on which each begins."""
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            # Where a row ends cannot be told any more.
            what = "a quoted field is not closed" if "unexpected end" in str(error) else str(error)
            table.problems.append((line, f"{what}; a quote within a quoted field is written twice"))
            return
        if any(cells):
            if len(table.rows) + len(table.problems) > MAX_ROWS:
                table.problems.append((line, f"more than {MAX_ROWS} rows; divide the manifest"))
                return
            yield line, cells


def _header(line: int, cells: list[str], table: Table) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    if len(cells) > MAX_COLUMNS:
        _refuse(f"has {len(cells)} columns", "does its first line name the columns?")
    for number, name in enumerate(cells, 1):
        if not name:
            table.problems.append((line, f"column {number} has no name"))
        elif name in table.columns:
            table.problems.append((line, f"column {name[:80]} is there twice"))
        table.columns.setdefault(name, line)
    table.columns.pop("", None)
    return cells


def _read_jsonl(text: str, table: Table) -> None:
    for line, part in enumerate(text.split("\n"), 1):
        if not part.strip():
            continue
        if len(table.rows) + len(table.problems) >= MAX_ROWS:
            table.problems.append((line, f"more than {MAX_ROWS} rows; divide the manifest"))
            return
        values = _object(line, part, table)
        if values is None or _is_unfit(line, values.items(), table):
            continue
        for name in values:
            table.columns.setdefault(name, line)
        table.rows.append(Row(line, {name: value for name, value in values.items() if value not in (None, "", [])}))


def _object(line: int, text: str, table: Table) -> dict[str, object] | None:
    """The object of a line; None, and a problem, if there is none."""
    try:
        values = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if not isinstance(values, dict):
            raise ValueError(  # noqa: TRY004 - of the text, not of a type
                'this is no object like {"image": "a.png", ...}'
            )
        if len(values) > MAX_COLUMNS:
            raise ValueError(f"{len(values)} names are too many")
    except json.JSONDecodeError as error:
        table.problems.append((line, f"this is no JSON: {error.msg} at character {error.colno}"))
    except (ValueError, RecursionError) as error:
        what = "this is nested too deep" if isinstance(error, RecursionError) else str(error).partition(";")[0]
        table.problems.append((line, what))
    else:
        return values
    return None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"column {twice[:80]} is there twice")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value")


def _is_unfit(line: int, values: Iterable[tuple[str, object]], table: Table) -> bool:
    """Whether a value of a row cannot be used, whatever its column means; a problem if so."""
    for name, value in values:
        texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
        size = sum(map(len, texts))
        if size > MAX_FIELD:
            table.problems.append((line, f"column {name[:80]}: {size} characters are too many, {MAX_FIELD} are allowed"))
            return True
        if any(not _is_text(text) for text in (name, *texts)):
            table.problems.append((line, f"column {ascii(name[:80])[1:-1]}: a NUL character, or half of one, is no text"))
            return True
    return False


def _is_text(text: str) -> bool:
    """JSON can spell what no file's name can hold."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _spelled(delimiter: str) -> str:
    return {"\t": "a tab", ",": "a comma", ";": "a semicolon"}[delimiter]
