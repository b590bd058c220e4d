"""`dreamactor render` from a manifest to files: exit codes, signals, kills, and what a manifest may not do."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from tests.conftest import FaceClip

Cli = Callable[..., Any]
Program = Callable[..., "subprocess.Popen[str]"]
OWN = {"results.jsonl", "run.json", "report.html", "junit.xml", "results.csv"}


@pytest.fixture
def manifest(tmp_path: Path, portrait: Path) -> Callable[..., Path]:
    """``manifest("a,motion:nod", "b,motion:wave")``: rows of id and driver, 0.4 s of each."""

    def write(*rows: str) -> Path:
        path = tmp_path / "rows.csv"
        lines = [f"{row.partition(',')[0]},{portrait},{row.partition(',')[2]},0.4,96x96" for row in rows]
        path.write_text("\n".join(["id,image,driving,duration,size", *lines]) + "\n", "utf-8")
        return path

    return write


@pytest.fixture
def options(shared_cache: Cache, tmp_path: Path) -> tuple[str, ...]:
    """Where things go, with signals of the whole test run."""
    return "-o", str(tmp_path / "out"), "--cache-dir", str(shared_cache.root)


def outputs(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.mp4")}


def own_processes(marker: str) -> list[psutil.Process]:
    """Processes that name a folder on their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(marker in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_manifest_is_rendered_and_run_again(
    cli: Cli, manifest: Callable[..., Path], options: Sequence[str], tmp_path: Path
) -> None:
    rows = manifest("a,motion:nod", "b,motion:wave", "c,motion:turn")
    plan = cli("render", rows, *options, "--dry-run", "--json")
    assert plan.code == 0, plan.err
    assert not (tmp_path / "out").exists()
    assert {(line["id"], line["frames"]) for line in plan.records() if "id" in line} == {("a", 10), ("b", 10), ("c", 10)}

    ended = cli("render", rows, *options, "--workers", "2")
    assert ended.code == 0, ended.err
    folder = tmp_path / "out"
    assert set(ended.out.split()) == {str(folder / f"{name}.mp4") for name in "abc"}
    assert "3 rendered" in ended.last_line
    assert {path.name for path in folder.iterdir()} == OWN | {f"{name}.mp4{end}" for name in "abc" for end in ("", ".json")}

    again = cli("render", rows, *options, "--json")
    assert again.code == 0
    records = again.records()
    assert (records[0]["event"], records[0]["done"]) == ("planned", 3)
    assert (records[-1]["event"], records[-1]["skipped"], records[-1]["rendered"]) == ("ended", 3, 0)


def test_some_fail(cli: Cli, manifest: Callable[..., Path], options: Sequence[str], tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.write_bytes(b"\0" * 2000)
    ended = cli("render", manifest("a,motion:nod", f"bad,{empty}"), *options, "--executor", "inprocess")
    assert ended.code == 1
    assert ended.last_line.startswith("dreamactor: error[failed]: 1 of 2 jobs failed; see ")
    assert "bad: error[unreadable]" in ended.err
    assert (tmp_path / "out" / "a.mp4").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--qc", "wran"), 2, "did you mean"),
        (("--executor", "pol"), 2, "choose one of"),
        (("--shard", "3/2"), 2, "--shard"),
        (("--devices", "0,0"), 2, "twice"),
        (("--devices", "0", "--workers", "2"), 2, "against each other"),
        (("--devices", "7"), 3, "no device 7"),
        (("--size", "huge"), 2, "is not a size"),
    ],
)
def test_options_that_cannot_be_used(
    cli: Cli, manifest: Callable[..., Path], options: Sequence[str], monkeypatch: pytest.MonkeyPatch,
    arguments: Sequence[str], code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    ended = cli("render", manifest("a,motion:nod"), *options, *arguments)
    assert ended.code == code
    assert said in ended.last_line


HOSTILE = ["../outside.mp4", "/tmp/absolute.mp4", "../../etc/passwd.mp4", "a/../../b.mp4", "x\0y.mp4", "-vf.mp4", "~/x.mp4"]


@pytest.mark.parametrize("output", HOSTILE)
def test_outputs_stay_in_the_folder(cli: Cli, portrait: Path, options: Sequence[str], tmp_path: Path, output: str) -> None:
    rows = tmp_path / "rows.jsonl"
    row = {"id": "a", "image": str(portrait), "driving": "motion:nod", "output": output, "duration": "0.2", "size": "64x64"}
    rows.write_text(json.dumps(row) + "\n", "utf-8")
    before = set(tmp_path.rglob("*"))
    ended = cli("render", rows, *options, "--executor", "inprocess")
    if output.startswith("~"):  # a folder of that name and nobody's home
        assert ended.code == 0, ended.err
        assert (tmp_path / "out" / "~" / "x.mp4").exists()
    else:
        assert ended.code == 2
        assert "column output" in ended.last_line
        assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "driving", ["concat:a.mp4|b.mp4", "http://example.org/a.mp4", "pickled.controls.safetensors", "-vf", "pipe:0"]
)
def test_inputs_are_plain_files(cli: Cli, portrait: Path, options: Sequence[str], tmp_path: Path, driving: str) -> None:
    (tmp_path / "pickled.controls.safetensors").write_bytes(b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94.")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"id": "a", "image": str(portrait), "driving": driving}) + "\n", "utf-8")
    ended = cli("render", rows, *options, "--executor", "inprocess")
    assert ended.code in (1, 2, 4), ended.err
    assert not (tmp_path / "out" / "a.mp4").exists()


NAME = "%d ü;rm 'x\" $HOME|a.mp4"


def test_a_name_that_shells_and_ffmpeg_would_misread_is_a_name(
    cli: Cli, portrait: Path, options: Sequence[str], tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    row = {
        "id": "a",
        "image": str(portrait),
        "driving": "motion:nod",
        "output": NAME,
        "duration": "0.2",
        "size": "64x64",
    }
    rows.write_text(json.dumps(row) + "\n", "utf-8")
    ended = cli("render", rows, *options, "--executor", "inprocess")
    assert ended.code == 0, ended.err
    assert (tmp_path / "out" / NAME).stat().st_size > 1000


def test_openjd_hears_of_the_progress(
    cli: Cli, manifest: Callable[..., Path], options: Sequence[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENJD_SESSION_WORKING_DIR", str(tmp_path))
    ended = cli("render", manifest("a,motion:nod", "b,motion:wave"), *options, "--executor", "inprocess")
    percents = [int(line.split(": ")[1]) for line in ended.out.splitlines() if line.startswith("openjd_progress: ")]
    assert percents == sorted(set(percents))
    assert percents[-1] == 100
    monkeypatch.delenv("OPENJD_SESSION_WORKING_DIR")
    assert "openjd_progress" not in cli("render", manifest("c,motion:nod"), *options, "--executor", "inprocess").out


def long_rows() -> list[str]:
    return [f"j{k},motion:{motion}" for k, motion in enumerate(("nod", "wave", "turn", "talk", "smile", "wink"))]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR2, 140)])
def test_a_signal_ends_a_run_in_order(
    program: Program, manifest: Callable[..., Path], options: Sequence[str], tmp_path: Path, number: int, code: int
) -> None:
    folder = tmp_path / "out"
    process = program("render", manifest(*long_rows()), *options, "--workers", "2", "--size", "512x512", "--duration", "3")
    _wait_for(
        lambda: (folder / "results.jsonl").exists() and any(path.name.startswith(".dreamactor.") for path in folder.iterdir())
    )
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert said.strip().splitlines()[-1].startswith("dreamactor: error[stopped]")
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert {path.name + ".json" for path in folder.glob("*.mp4")} == {path.name for path in folder.glob("*.mp4.json")}
    assert (folder / "report.html").exists()
    assert own_processes(str(folder)) == []


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_nothing(
    program: Program, cli: Cli, manifest: Callable[..., Path], shared_cache: Cache, tmp_path: Path
) -> None:
    rows = manifest(*long_rows())
    calm = ("-o", str(tmp_path / "calm"), "--cache-dir", str(shared_cache.root), "--executor", "inprocess")
    assert cli("render", rows, *calm).code == 0
    folder = tmp_path / "out"
    stormy = ("-o", str(folder), "--cache-dir", str(shared_cache.root), "--workers", "2")
    chance = random.Random(5)
    for _ in range(4):
        process = program("render", rows, *stormy)
        time.sleep(chance.uniform(1.0, 8.0))
        process.kill()
        process.communicate()
    ended = cli("render", rows, *stormy)
    assert ended.code == 0, ended.err
    assert outputs(folder) == outputs(tmp_path / "calm")
    assert len(outputs(folder)) == 6
    assert {path.name for path in folder.iterdir()} == OWN | {f"j{k}.mp4{end}" for k in range(6) for end in ("", ".json")}


def test_two_runs_in_one_folder(
    program: Program, cli: Cli, manifest: Callable[..., Path], options: Sequence[str], tmp_path: Path
) -> None:
    rows = manifest(*long_rows())
    first = program("render", rows, *options, "--workers", "1")
    _wait_for(lambda: (tmp_path / "out" / ".dreamactor-run.lock").exists())
    second = cli("render", rows, *options, "--executor", "inprocess")
    assert second.code == 2
    assert f"in use by another run (process {first.pid}" in second.last_line
    third = cli("render", rows, *options, "--executor", "inprocess", "--wait")
    assert first.wait(120) == 0
    first.communicate()
    assert third.code == 0, third.err
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text("utf-8").splitlines()]
    assert sorted(line["id"] for line in lines) == [f"j{k}" for k in range(6)]


def test_a_cache_that_is_damaged_while_a_run_goes_on_is_mended(
    cli: Cli, portrait: Path, face_clip: FaceClip, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    lines = [f"j{k},{portrait},{face_clip.path},64x64,{k}" for k in range(4)]
    rows.write_text("\n".join(["id,image,driving,size,seed", *lines]) + "\n", "utf-8")
    cache = tmp_path / "own-cache"
    options = ("--cache-dir", cache, "--executor", "inprocess")
    assert cli("render", rows, "-o", tmp_path / "calm", *options).code == 0
    for path in cache.rglob("*.safetensors"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    ended = cli("render", rows, "-o", tmp_path / "out", *options)
    assert ended.code == 0, ended.err
    assert outputs(tmp_path / "out") == outputs(tmp_path / "calm")


def test_read_only_inputs_are_enough(cli: Cli, portrait: Path, face_clip: FaceClip, tmp_path: Path, shared_cache: Cache) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for name, source in (("a.png", portrait), ("b.mp4", face_clip.path)):
        (inputs / name).write_bytes(source.read_bytes())
        (inputs / name).chmod(0o444)
    (inputs / "rows.csv").write_text("id,image,driving,size\nx,a.png,b.mp4,64x64\n", "utf-8")
    inputs.chmod(0o555)
    try:
        arguments = ("-o", tmp_path / "out", "--cache-dir", shared_cache.root, "--executor", "inprocess")
        assert cli("render", inputs / "rows.csv", *arguments).code == 0
        assert {path.name for path in inputs.iterdir()} == {"a.png", "b.mp4", "rows.csv"}
    finally:
        inputs.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk(cli: Cli, manifest: Callable[..., Path], shared_cache: Cache, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(small)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        rows = manifest(*long_rows())
        arguments = ("--cache-dir", shared_cache.root, "--executor", "inprocess", "--crf", "0", "--size", "128x128")
        ended = cli("render", rows, "-o", small / "out", *arguments)
        assert ended.code == 5, ended.err
        assert ended.last_line.startswith("dreamactor: error[disk]")
        assert not [path.name for path in (small / "out").iterdir() if path.suffix in (".tmp", ".part")]
        subprocess.run(["mount", "-o", "remount,size=50M", str(small)], check=True)
        assert cli("render", rows, "-o", small / "out", *arguments).code == 0
        assert len(outputs(small / "out")) == 6
    finally:
        subprocess.run(["umount", str(small)], check=False)


def _wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)
