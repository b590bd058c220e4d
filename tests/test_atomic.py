import errno
import os
from pathlib import Path

import pytest

from dreamactor_cli.atomic import replacing, unique_suffix
from dreamactor_cli.errors import DiskFull, UsageError


def write_half(path: Path, error: BaseException) -> None:
    with replacing(path) as beside:
        beside.write_text("half")
        raise error


def test_the_file_appears_complete(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with replacing(path) as beside:
        assert beside.parent == tmp_path
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt())
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


REFUSALS = [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EACCES, UsageError), (errno.EROFS, UsageError)]


@pytest.mark.parametrize(("number", "kind"), REFUSALS)
def test_refusals_are_named(tmp_path: Path, number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="out") as raised:
        write_half(tmp_path / "out", OSError(number, os.strerror(number)))
    assert raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_folders_are_no_files(tmp_path: Path) -> None:
    for path in (tmp_path, Path("."), tmp_path / "missing" / "out"):
        with pytest.raises(UsageError), replacing(path) as beside:
            beside.write_text("x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["-leading", "with space", "%d", "quote'\"", "nonascii-é漢", "x" * 200, "🎬" * 60])
def test_any_name_can_be_written(tmp_path: Path, name: str) -> None:
    with replacing(tmp_path / name) as beside:
        beside.write_text("x")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_suffixes_differ_and_name_the_process() -> None:
    one, two = unique_suffix(), unique_suffix()
    assert one != two
    assert one.split(".")[1] == str(os.getpid())
