"""``--renderer diffusion`` from the command line, end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli.cache import Cache
from dreamactor_cli.media import probe

Cli = Callable[..., Any]


@pytest.fixture
def job(astronaut: Path, shared_cache: Cache, debug_weights: Path, tmp_path: Path) -> tuple[object, ...]:
    return (
        "animate", "--renderer", "diffusion", "--weights", debug_weights, "-s", astronaut, "-d", "motion:nod",
        "--duration", "0.52", "--steps", "1", "--cfg-reference", "1", "--cfg-motion", "1.5", "--size", "128x128",
        "-o", tmp_path / "out.mp4",
        "--cache-dir", shared_cache.root,
    )  # fmt: skip


def test_a_picture_moves(cli: Cli, job: tuple[object, ...], debug_weights: Path, tmp_path: Path) -> None:
    ended = cli(*job)
    assert ended.code == 0, ended.err
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height, info.num_frames) == (128, 128, 13)
    record = json.loads((tmp_path / "out.mp4.json").read_text())
    parameters = record["made_from"]["parameters"]
    assert (parameters["steps"], parameters["guidance_reference"], parameters["guidance_motion"]) == (1, 1.0, 1.5)
    assert len(record["made_from"]["weights"]) == 64
    assert record["digital_source_type"].endswith("/trainedAlgorithmicMedia")
    assert cli(*job).code == 0  # this very result is there already
    assert "already" in cli(*job).err
    again = cli(*job, "--overwrite")
    assert json.loads((tmp_path / "out.mp4.json").read_text())["output_sha256"] == record["output_sha256"], again.err


def test_without_weights_nothing_is_begun(cli: Cli, job: tuple[object, ...], tmp_path: Path) -> None:
    ended = cli(*job, "--weights", tmp_path / "none")
    assert ended.code == 3
    assert "dreamactor train diffusion" in ended.last_line
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--step-cache", "best"], "first-block"),
        (["--dtype", "int4"], "--precision"),
        (["--references", "many"], "given"),
        (["--background", "#112233"], "--renderer geometry"),
    ],
)
def test_options_that_cannot_be_used(cli: Cli, job: tuple[object, ...], options: list[str], says: str) -> None:
    ended = cli(*job, *options)
    assert ended.code == 2
    assert says in ended.last_line


@pytest.fixture
def rows(astronaut: Path, tmp_path: Path) -> Callable[..., Path]:
    def write(*weights: Path) -> Path:
        lines = [
            "id,image,driving,duration,size,renderer,weights,steps,cfg-motion,Cfg_Reference,dtype,step_cache,reference_views"
        ]
        for k, folder in enumerate(weights):
            lines.append(f"job{k},{astronaut},motion:nod,0.2,64x64,diffusion,{folder},1,1,1.5,float32,off,given")
        (tmp_path / "m.csv").write_text("\n".join(lines))
        return tmp_path / "m.csv"

    return write


def test_a_manifest_has_the_same_options(
    cli: Cli, rows: Callable[..., Path], shared_cache: Cache, debug_weights: Path, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "out", "--executor", "inprocess", "--cache-dir", shared_cache.root, "--json")
    ended = cli("render", rows(debug_weights), *out)
    assert ended.code == 0, ended.err
    [made] = (json.loads(path.read_text())["made_from"] for path in (tmp_path / "out").glob("job0.mp4.json"))
    parameters = made["parameters"]
    assert (parameters["guidance_motion"], parameters["guidance_reference"], parameters["precision"]) == (1.0, 1.5, "float32")


def test_a_run_with_a_row_without_weights_does_not_begin(
    cli: Cli, rows: Callable[..., Path], shared_cache: Cache, debug_weights: Path, tmp_path: Path
) -> None:
    out = ("-o", tmp_path / "out", "--executor", "inprocess", "--cache-dir", shared_cache.root)
    ended = cli("render", rows(debug_weights, tmp_path / "none"), *out)
    assert ended.code == 3
    assert "dreamactor train diffusion" in ended.last_line
    assert not list((tmp_path / "out").glob("*.mp4"))
