"""Options of `dreamactor render --emit`, as they stand in the template."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def manifest(astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three jobs, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wall paper.png").write_bytes(astronaut.read_bytes())
    rows = "".join(f"{astronaut},motion:nod,job{k}\n" for k in range(3))
    (tmp_path / "m.csv").write_text(f"image,driving,id\n{rows}")
    return "m.csv"


def test_what_was_given_is_said_again(cli: Cli, manifest: str, tmp_path: Path) -> None:
    options = ["--no-relight", "--background", "wall paper.png", "--fps", "25", "--overwrite", "--qc", "warn", "--retries", "3"]
    ended = cli("render", manifest, "-o", "out", "--emit", "slurm", *options, "--cache-dir", "cache", "--parts", "2", "-q")
    assert ended.code == 0, ended.err
    [line] = [line for line in ended.out.splitlines() if line.startswith('"${program[@]}" ')]
    words = shlex.split(line.removesuffix(" &"))[1:]
    assert words[:4] == ["render", str(tmp_path / "m.csv"), "-o", str(tmp_path / "out")]
    wall = tmp_path / "wall paper.png"
    wanted = {f"--background={wall}", "--fps=25", "--no-relight", "--overwrite", "--qc=warn", "--retries=3"}
    assert set(words[4:-2]) == wanted | {"--quiet"}
    assert f"DREAMACTOR_CACHE={tmp_path / 'cache'}" in ended.out
    assert not (tmp_path / "out").exists()


def test_there_are_no_more_parts_than_jobs(cli: Cli, manifest: str) -> None:
    template = json.loads(cli("render", manifest, "-o", "out", "--emit", "openjd").out)
    assert template["parameterDefinitions"][-1] == {"name": "Parts", "type": "INT", "minValue": 1, "default": 3}
    assert template == json.loads(cli("render", manifest, "-o", "out", "--emit", "openjd", "--json").records()[0]["template"])


@pytest.mark.parametrize(
    ("arguments", "says"), [(["m.csv", "--emit", "pbs"], "--emit pbs"), (["no.csv", "--emit", "slurm"], "no.csv")]
)
def test_what_cannot_be_emitted(cli: Cli, manifest: str, arguments: list[str], says: str) -> None:
    ended = cli("render", *arguments, "-o", "out")
    assert ended.code == 2
    assert says in ended.last_line
    assert ended.out == ""
