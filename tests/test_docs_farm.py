"""The examples of docs/farm.md, run as they stand there, with small media and pretended farms."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.manifest_columns import COLUMNS, column_of

if TYPE_CHECKING:
    from tests.conftest import FaceClip

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "farm.md").read_text("utf-8")
JOBS = {"ann-walk", "bob-walk", "bob-nod", "ann-talk"}

pytestmark = pytest.mark.slow

# What the page's tools are here: the program of this tree, and farms of one machine.
TOOLS = {
    "dreamactor": f'exec "{sys.executable}" -m dreamactor_cli "$@"',
    "openjd": f'exec "{sys.executable}" -m openjd "$@"',
    "ray": "exit 0",
    "sbatch": r"""
range=$(sed -n 's/^#SBATCH --array=1-//p' "$1")
for task in $(seq "$range"); do
    SLURM_ARRAY_JOB_ID=1 SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_COUNT=$range SLURM_ARRAY_TASK_MIN=1 bash "$1" || exit
done""",
    "srun": r"""
tasks=${1#--ntasks=}; shift
for task in $(seq 0 $((tasks - 1))); do SLURM_PROCID=$task SLURM_NTASKS=$tasks "$@" || exit; done""",
}


class Block(NamedTuple):
    """A fenced block of the page."""

    section: str
    language: str
    text: str


def _blocks() -> list[Block]:
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:]
    return [
        Block(section, found[1], found[2])
        for section, text in zip(parts[::2], parts[1::2], strict=True)
        for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


@pytest.fixture(scope="module")
def media(
    tmp_path_factory: pytest.TempPathFactory, astronaut_rgb: NDArray[np.uint8], face_clip: FaceClip,
    encode_clip: Callable[..., None],
) -> Path:  # fmt: skip
    """The files that the page's manifest names, all of them short and small."""
    folder = tmp_path_factory.mktemp("farm")
    for name in ("photos", "clips", "sounds", "tools"):
        (folder / name).mkdir()
    portrait = cv2.resize(astronaut_rgb[:256, 96:352, ::-1], (128, 128), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "photos" / "ann.png"), portrait)
    cv2.imwrite(str(folder / "photos" / "bob.png"), portrait[:, ::-1])
    encode_clip(folder / "clips" / "walk.mp4", face_clip.frames[:6], face_clip.fps)
    with wave.open(str(folder / "sounds" / "hello.wav"), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        rising = np.sin(np.arange(6400) / 16000 * 2 * np.pi * 300) * 8000
        sound.writeframes(rising.astype("<i2").tobytes())
    (folder / "jobs.csv").write_text(next(block.text for block in _blocks() if block.language == "csv"))
    for name, script in TOOLS.items():
        (folder / "tools" / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / "tools" / name).chmod(0o755)
    return folder


def _run(text: str, folder: Path, **environment: str) -> str:
    """What commands write to stdout, run by bash in a folder with the media."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "RANK", "WORLD_SIZE"))}
    variables = {
        **known, "PATH": f"{folder}/tools:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
        "DREAMACTOR_CACHE": str(folder / "cache"), **environment,
    }  # fmt: skip
    script = ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(script, cwd=folder, env=variables, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rendered(media: Path) -> Path:
    """The media, and what the section "One machine" made of them."""
    [commands] = _scripts("One machine")
    _run(commands, media)
    return media


@pytest.fixture
def begun(rendered: Path, tmp_path: Path) -> Callable[[str], Path]:
    """``begun("out")``: a folder in which all is there and done but for one job, as if a run had been stopped."""
    shutil.copytree(rendered, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out"))

    def make(name: str) -> Path:
        (tmp_path / name).mkdir()
        for job in JOBS - {"bob-nod"}:
            for path in (rendered / "out").glob(f"{job}.mp4*"):
                shutil.copy2(path, tmp_path / name)
        return tmp_path / name

    return make


def _scripts(section: str) -> list[str]:
    found = [block.text for block in _blocks() if block.section == section and block.language == "sh"]
    assert found
    return found


def _statuses(folder: Path) -> dict[str, str]:
    """How each job ended, by the last line of its results."""
    return {line["id"]: line["status"] for line in map(json.loads, (folder / "results.jsonl").read_text().splitlines())}


def _is_finished(folder: Path) -> None:
    """The job that was not done is, and all others are as they were."""
    assert _statuses(folder) == {**dict.fromkeys(JOBS, "skipped"), "bob-nod": "ok"}
    assert {path.name for path in folder.glob("*.mp4")} == {f"{name}.mp4" for name in JOBS}
    assert not [path for path in folder.rglob("*") if path.name.endswith((".tmp", ".part"))]
    assert (folder / "report.html").is_file()


def test_the_page_names_columns_that_there_are() -> None:
    [table] = [block.text for block in _blocks() if block.language == "csv"]
    told = set(re.findall(r"`(\w+)`", PAGE.partition("- A column is")[2].partition("preset < row")[0]))
    assert {column_of(name) for name in {*next(csv.reader([table.splitlines()[0]])), *told}} <= set(COLUMNS)


def test_what_would_be_done(rendered: Path, tmp_path: Path) -> None:
    shutil.copytree(rendered, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out"))
    plan, product = _scripts("What would be done")
    assert _run(plan, tmp_path).splitlines()[-1].startswith("4 jobs, 4 to do")
    told = _run(product, tmp_path)
    assert re.findall(r"^todo +(\w+)", told, re.MULTILINE) == ["ann_walk", "ann_nod", "bob_walk", "bob_nod"]
    assert not (tmp_path / "out").exists()


def test_one_machine(rendered: Path) -> None:
    folder = rendered / "out"
    assert _statuses(folder) == dict.fromkeys(JOBS, "ok")
    for name in ("report.html", "results.csv", "junit.xml", *(f"{job}.mp4.json" for job in JOBS)):
        assert (folder / name).is_file()


def test_parts(begun: Callable[[str], Path], tmp_path: Path) -> None:
    [commands] = _scripts("Parts")
    folder = begun("parts")
    _run(commands, tmp_path)
    _is_finished(folder)


def test_slurm(begun: Callable[[str], Path], tmp_path: Path) -> None:
    array, own = _scripts("Slurm")
    folder = begun("out")
    _run(array, tmp_path)
    _is_finished(folder)
    events = map(json.loads, _run(own.rstrip() + " --json", tmp_path).splitlines())
    ended = [event for event in events if event["event"] == "ended"]
    assert [(event["rendered"], event["failed"]) for event in ended] == [(0, 0)] * 2
    assert sum(event["skipped"] for event in ended) == len(JOBS)


def test_openjd(begun: Callable[[str], Path], tmp_path: Path) -> None:
    [commands] = _scripts("OpenJD")
    folder = begun("out")
    told = _run(commands, tmp_path)
    _is_finished(folder)
    assert "openjd_progress: 100" in told


def test_ci(begun: Callable[[str], Path], tmp_path: Path) -> None:
    import yaml

    [text] = [block.text for block in _blocks() if block.language == "yaml"]
    job = yaml.safe_load(text)["jobs"]["render"]
    steps = [step["run"] for step in job["steps"] if step.get("run", "").startswith("dreamactor ")]
    folder = begun("ci")
    for part in job["strategy"]["matrix"]["part"]:
        for step in steps:
            _run(step.replace("${{ matrix.part }}", str(part)), tmp_path)
    _is_finished(folder)


@contextmanager
def _ray_cluster() -> Iterator[str]:
    """A cluster of one node; its address."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 100_000_000}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def test_ray(begun: Callable[[str], Path], tmp_path: Path) -> None:
    [commands] = _scripts("Ray")
    folder = begun("ray")
    with _ray_cluster() as address:
        _run(commands, tmp_path, RAY_ADDRESS=address)
    _is_finished(folder)
