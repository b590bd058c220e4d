import io
import json
import os
import time
from pathlib import Path

import pytest

from dreamactor_cli.app import main
from dreamactor_cli.cache import Cache
from dreamactor_cli.commands.cache import parse_size, size_text
from dreamactor_cli.errors import UsageError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """The cache that the environment names, with four entries of 1000 bytes that were last used 4, 3, 2, 1 hours ago."""
    monkeypatch.setenv("DREAMACTOR_CACHE", str(tmp_path / "cache"))
    cache = Cache()
    for number in range(4):
        path = cache.put(f"{number:064x}", lambda path: path.write_bytes(os.urandom(1000)))
        then = time.time() - 3600 * (4 - number)
        os.utime(path, (then, then))
    return cache


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    capsys.readouterr()
    assert main(["cache", *arguments, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    return json.loads(lines[0])


def test_info(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_json(capsys, "info") == {"root": str(cache.root), "entries": 4, "bytes": 4000}
    assert main(["cache", "info"]) == 0
    assert capsys.readouterr().out == f"{cache.root}: 4 entries, 4.0 kB\n"


def test_cache_dir_goes_before_the_environment(cache: Cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    Cache(other).put("f" * 64, lambda path: path.write_bytes(b"x"))
    found = run_json(capsys, "info", "--cache-dir", str(other))
    assert found == {"root": str(other), "entries": 1, "bytes": 1}
    assert main(["--cache-dir", str(other), "cache", "clear", "--yes"]) == 0
    assert Cache(other).info().entries == 0
    assert cache.info().entries == 4


def test_info_of_a_cache_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, "info", "--cache-dir", str(tmp_path / "none"))
    assert (found["entries"], found["bytes"]) == (0, 0)
    assert not (tmp_path / "none").exists()


def test_verify(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_json(capsys, "verify")["damaged"] == []
    path = next(cache.root.glob(f"00/{2:064x}-*"))
    path.write_bytes(b"damage")
    assert main(["cache", "verify", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[0])["damaged"] == [f"{2:064x}"]
    last = captured.err.splitlines()[-1]
    assert last.startswith("dreamactor: error[failed]: 1 of 4 entries")
    assert not path.exists()
    assert main(["cache", "verify"]) == 0


def test_gc_keeps_the_most_recently_used(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, "gc", "--max-size", "2kB")
    assert found == {"root": str(cache.root), "freed": 2000, "entries": 2, "bytes": 2000}
    assert [cache.get(f"{number:064x}") is not None for number in range(4)] == [False, False, True, True]


def test_gc_says_when_young_entries_stay(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    cache.get(f"{0:064x}")
    assert main(["cache", "gc", "--max-size", "0"]) == 0
    captured = capsys.readouterr()
    assert "3.0 kB freed, 1 entry left" in captured.out
    assert "last minute" in captured.err


@pytest.mark.parametrize("size", ["", "lots", "-1", "2 XB", "1iB", "1e9", "٣GB", "2GB; rm"])
def test_gc_refuses_what_is_no_size(cache: Cache, capsys: pytest.CaptureFixture[str], size: str) -> None:
    assert main(["cache", "gc", f"--max-size={size}"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("dreamactor: error[usage]: ")
    assert cache.info().entries == 4


def test_gc_needs_a_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "gc"]) == 2
    assert "--max-size" in capsys.readouterr().err


def test_clear_asks_nobody_but_a_person(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["cache", "clear"]) == 2
    assert "--yes" in capsys.readouterr().err.splitlines()[-1]
    assert cache.info().entries == 4
    assert run_json(capsys, "clear", "--yes") == {"root": str(cache.root), "freed": 4000, "entries": 4}
    assert cache.info().entries == 0
    assert main(["cache", "clear"]) == 0  # nothing to ask about


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 4), ("\n", 4)])
def test_clear_asks_on_a_terminal(cache: Cache, monkeypatch: pytest.MonkeyPatch, answer: str, left: int) -> None:
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert main(["cache", "clear"]) == 0
    assert cache.info().entries == left


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("1000000", 1000000), ("2GB", 2 * 10**9), ("2g", 2 * 10**9), ("500MiB", 500 * 2**20), ("1.5 KiB", 1536),
        ("0.1kb", 100), ("3 T", 3 * 10**12), ("12B", 12),
    ],
)  # fmt: skip
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_parse_size_says_what_it_takes() -> None:
    with pytest.raises(UsageError, match="2GB") as raised:
        parse_size("much")
    assert "much" in raised.value.message


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_960, "1.0 MB"), (2 * 10**9, "2.0 GB"),
     (5 * 10**15, "5000.0 TB")],
)  # fmt: skip
def test_size_text(count: int, text: str) -> None:
    assert size_text(count) == text
