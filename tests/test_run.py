"""Runs: what is written when things go right, go wrong, or end in the midst."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli import results, sidecar
from dreamactor_cli.atomic import unique_suffix
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Job, Preset, RenderResult
from dreamactor_cli.errors import Stopped, UsageError
from dreamactor_cli.executors.base import Task
from dreamactor_cli.executors.inprocess import InProcess
from dreamactor_cli.executors.pool import Pool
from dreamactor_cli.executors.settings import Settings
from dreamactor_cli.executors.shard import Shard
from dreamactor_cli.folder_lock import claim
from dreamactor_cli.run import Finished, Planned, Rules, RunEvent, RunSummary, in_order, run_manifest
from dreamactor_cli.strays import sweep
from tests.conftest import FaceClip

ROOT = Path(__file__).resolve().parents[1]
FAKES = ROOT / "tests" / "executors"


@pytest.fixture(autouse=True)
def _fakes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAKES))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def job(astronaut: Path, folder: Path) -> Callable[..., Job]:
    """``job("a", renderer="fakes:Plain", driving=...)``: 0.4 s at 64 px."""

    def make(name: str, *, renderer: str = "fakes:Plain", **options: Any) -> Job:
        preset = Preset(renderer=renderer, size="64x64", crf=0)
        basics = {"references": (astronaut,), "driving": "motion:nod", "output": folder / f"{name}.mp4"}
        return Job(id=name, preset=preset, duration=Fraction(2, 5), **{**basics, **options})

    return make


@pytest.fixture
def go(folder: Path, shared_cache: Cache) -> Callable[..., RunSummary]:
    """``go(jobs, retries=0, pool=True)``: run them here, or in a pool of one worker."""

    def run(
        jobs: Sequence[Job], *, pool: bool = False, shard: Shard | None = None, events: list[RunEvent] | None = None,
        cache: Cache | None = None, **rules: Any,
    ) -> RunSummary:  # fmt: skip
        told: list[RunEvent] = [] if events is None else events
        executor = Pool(Settings(workers=1, timeout=60)) if pool else InProcess(Settings())
        return run_manifest(
            jobs, folder=folder, cache=cache or shared_cache, executor=executor, rules=Rules(**rules), shard=shard,
            on_event=told.append,
        )  # fmt: skip

    return run


def last_lines(folder: Path, name: str = results.NAME) -> dict[str, dict[str, Any]]:
    return {line["id"]: line for line in results.read(folder / name)}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


OWN = {"results.jsonl", "run.json", "report.html", "junit.xml", "results.csv"}


def test_a_run_writes_results_and_goes_on(job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path) -> None:
    jobs = [job("a"), job("b", renderer="fakes:Raises"), job("c")]
    summary = go(jobs)
    assert (summary.rendered, summary.skipped, summary.failed, summary.left) == (2, 0, 1, 0)
    assert names(folder) == OWN | {"a.mp4", "a.mp4.json", "c.mp4", "c.mp4.json"}
    lines = last_lines(folder)
    assert {name: line["status"] for name, line in lines.items()} == {"a": "ok", "b": "failed", "c": "ok"}
    assert lines["a"]["sha256"] == sidecar.output_sha256(folder / "a.mp4")
    assert (lines["a"]["kind"], lines["a"]["driving"], lines["a"]["frames"]) == ("animate", "motion:nod", 10)
    assert lines["b"]["error"]["code"] == "internal"
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert (run["ending"], run["rendered"], run["failed"], run["plan"]["jobs"]) == ("failed", 2, 1, 3)

    written = {path: path.stat().st_mtime_ns for path in folder.glob("*.mp4")}
    again = go([jobs[0], jobs[2]])
    assert (again.rendered, again.skipped, again.failed) == (0, 2, 0)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.mp4")} == written
    assert last_lines(folder)["a"]["status"] == "ok"  # the line that tells of the work stays
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert run["ending"] == "ok"
    assert [earlier["ending"] for earlier in run["earlier"]] == ["failed"]


def test_what_may_go_away_is_tried_again(job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path) -> None:
    jobs = [job("greedy", renderer="fakes:Greedy"), job("raises", renderer="fakes:Raises")]
    assert go(jobs, retries=1).failed == 2
    lines = last_lines(folder)
    assert (lines["greedy"]["error"]["code"], lines["greedy"]["attempts"]) == ("memory", 2)
    assert (lines["raises"]["error"]["code"], lines["raises"]["attempts"]) == ("internal", 1)
    events: list[RunEvent] = []
    assert go(jobs, retries=2, events=events).rendered == 1
    assert last_lines(folder)["greedy"]["attempts"] == 3
    told = [event for event in events if isinstance(event, Finished) and event.result.id == "greedy"]
    assert [event.again for event in told] == [True, True, False]


def test_a_lost_worker_is_replaced_and_its_job_done(job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path) -> None:
    assert go([job("once", renderer="fakes:DiesOnce"), job("other")], pool=True, retries=1).rendered == 2
    assert last_lines(folder)["once"]["attempts"] == 2
    assert names(folder) == OWN | {"once.mp4", "once.mp4.json", "other.mp4", "other.mp4.json"}


def test_refused_inputs_are_not_tried(
    job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path, tmp_path: Path
) -> None:
    empty, text = tmp_path / "empty.png", tmp_path / "text.mp4"
    empty.write_bytes(b"")
    text.write_text("no video")
    jobs = [job("a", references=(empty,)), job("b", driving=str(text)), job("c", driving=str(tmp_path / "none.mp4")), job("good")]
    summary = go(jobs, retries=3)
    assert (summary.rendered, summary.failed) == (1, 3)
    lines = last_lines(folder)
    assert {lines[name]["attempts"] for name in "abc"} == {1}
    assert {lines[name]["error"]["exit_code"] for name in "abc"} == {4}


def test_an_input_that_many_share_is_looked_at_once(
    job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path, face_clip: FaceClip, encode_clip: Callable[..., None],
    tmp_path: Path, cache: Cache,
) -> None:  # fmt: skip
    import numpy as np

    nobody = tmp_path / "nobody.mp4"
    encode_clip(nobody, np.full((12, 128, 128, 3), 90, np.uint8), Fraction(25))
    jobs = [job(f"{kind}{k}", driving=str(path)) for k in range(3) for kind, path in (("face", face_clip.path), ("none", nobody))]
    events: list[RunEvent] = []
    summary = go(jobs, cache=cache, events=events)
    assert (summary.rendered, summary.failed) == (3, 3)
    extracted = [event.result for event in events if isinstance(event, Finished) and event.phase == "extract"]
    assert sorted((result.output.name, result.status) for result in extracted) == [
        ("astronaut.png", "ok"), ("face.mp4", "ok"), ("nobody.mp4", "failed"),
    ]  # fmt: skip
    assert {line["error"]["code"] for line in last_lines(folder).values() if line["error"]} == {"no-person"}
    inputs = json.loads((folder / "run.json").read_text("utf-8"))["inputs"]
    assert sorted((Path(one["path"]).name, one["status"]) for one in inputs) == sorted(
        (result.output.name, result.status) for result in extracted
    )
    [plan] = [event.plan for event in events if isinstance(event, Planned)]
    assert len(plan.extractions) == 3


def test_max_failures_ends_a_run(job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path) -> None:
    jobs = [job(f"bad{k}", renderer="fakes:Raises") for k in range(5)]
    summary = go(jobs, max_failures=2)
    assert (summary.failed, summary.left) == (2, 3)
    assert len(last_lines(folder)) == 2
    assert go(jobs, max_failures=1).left == 4


def test_jobs_of_a_renderer_and_of_a_picture_stand_together_longest_first(job: Callable[..., Job]) -> None:
    from dreamactor_cli.plan import PlannedJob

    rows = [("a", "x", 1, 10), ("b", "y", 1, 500), ("c", "x", 2, 300), ("d", "y", 1, 20), ("e", "x", 1, 290), ("f", "x", 2, 5)]
    planned = [
        PlannedJob(job=job(name, renderer=renderer, references=(Path(f"{picture}.png"),)), frames=frames, width=64, height=64)
        for name, renderer, picture, frames in rows
    ]
    assert [one.job.id for one in in_order(planned)] == ["c", "f", "e", "a", "b", "d"]


def test_half_a_line_is_not_read_and_not_kept(job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path) -> None:
    jobs = [job("a"), job("b")]
    go(jobs[:1])
    path = folder / results.NAME
    path.write_bytes(path.read_bytes() + b'{"id": "b", "status": "o')
    assert set(last_lines(folder)) == {"a"}
    assert go(jobs).rendered == 1
    lines = path.read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b"]


def test_parts_write_files_of_their_own_that_are_joined(
    job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path
) -> None:
    jobs = [job(f"j{k}", driving=f"motion:{motion}") for k, motion in enumerate(("nod", "wave", "turn", "talk"))]
    for index in (1, 0):
        go(jobs, shard=Shard(index=index, count=2))
    assert set(last_lines(folder)) == {"j0", "j1", "j2", "j3"}
    parts = [set(last_lines(folder, f"results-{k}-of-2.jsonl")) for k in (1, 2)]
    assert not parts[0] & parts[1]
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert (run["plan"]["jobs"], run["rendered"], run["ending"]) == (4, 4, "ok")
    assert not [name for name in names(folder) if name.startswith(".")]


def test_a_run_that_is_divided_otherwise_knows_what_was_done(
    job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path
) -> None:
    jobs = [job(f"j{k}", driving=f"motion:{motion}") for k, motion in enumerate(("nod", "wave", "turn", "talk"))]
    bad = job("bad", renderer="fakes:DiesOnce")

    def parts(jobs: list[Job], count: int) -> None:
        for index in range(count):
            go(jobs, shard=Shard(index=index, count=count))

    go(jobs[:1])
    parts(jobs[:2], 2)
    assert set(last_lines(folder)) == {"j0", "j1"}
    parts(jobs[:3], 3)
    assert set(last_lines(folder)) == {"j0", "j1", "j2"}
    go([*jobs, replace(bad, preset=replace(bad.preset, renderer="fakes:Raises"))])
    assert {name: line["status"] for name, line in last_lines(folder).items()} == {
        **dict.fromkeys(("j0", "j1", "j2", "j3"), "ok"), "bad": "failed",
    }  # fmt: skip
    parts([*jobs, replace(bad, preset=replace(bad.preset, renderer="fakes:Plain"))], 2)
    assert {line["status"] for line in last_lines(folder).values()} == {"ok"}
    assert sum(1 for _ in results.read(folder / results.NAME)) == 6  # the failure, and then the success
    go(jobs)
    assert names(folder) == OWN | {f"{name}.mp4{end}" for name in ("bad", "j0", "j1", "j2", "j3") for end in ("", ".json")}


class _Stops:
    """Does one task, then a signal comes."""

    workers = 1

    def __init__(self, output: Path) -> None:
        self._worker, self._output = InProcess(Settings()), output

    def run(self, tasks: Sequence[Task], on_event: Any) -> Iterator[RenderResult]:
        yield from self._worker.run(tasks[:1], on_event)
        self._output.write_bytes(b"moved into place, but not described yet")
        raise Stopped(143)

    def close(self) -> None:
        self._worker.close()


def test_a_signal_keeps_what_is_done(
    job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path, shared_cache: Cache
) -> None:
    jobs = [job("a"), job("b")]
    with pytest.raises(Stopped):
        run_manifest(jobs, folder=folder, cache=shared_cache, executor=_Stops(folder / "b.mp4"))
    assert names(folder) == OWN | {"a.mp4", "a.mp4.json"}
    assert json.loads((folder / "run.json").read_text("utf-8"))["ending"] == "stopped"
    assert go(jobs).rendered == 1


def test_a_run_that_lost_its_folder_stops_and_writes_nothing_more(
    job: Callable[..., Job], folder: Path, shared_cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dreamactor_cli.folder_lock.LEASE", 6.0)
    marker = folder / ".dreamactor-run.lock"

    class Sleeps(_Stops):
        """While this run sleeps, another one takes the folder and puts its own marker there."""

        def run(self, tasks: Sequence[Task], on_event: Any) -> Iterator[RenderResult]:
            marker.unlink()
            marker.write_text("filelock/2\npid=1\nhost=elsewhere\nmode=lease\ntoken=0\nduration=30.0\n")
            time.sleep(10)  # its own marker is looked after every two seconds, and on a busy machine later
            yield from self._worker.run(tasks, on_event)

    with pytest.raises(UsageError, match="another run took over"):
        run_manifest([job("a")], folder=folder, cache=shared_cache, executor=Sleeps(folder / "b.mp4"))
    assert json.loads((folder / "run.json").read_text("utf-8"))["ending"] == "running"
    assert "elsewhere" in marker.read_text("utf-8")
    assert not (folder / "report.html").exists()


def test_an_output_without_its_sidecar_is_made_again_after_a_kill(
    job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path
) -> None:
    jobs = [job("a"), job("b")]
    go(jobs[:1])
    stranger = folder / "b.mp4"
    stranger.write_bytes(b"somebody's own file")
    assert go(jobs).failed == 1  # it is not ours to overwrite
    assert stranger.read_bytes() == b"somebody's own file"
    # A run was killed after it had moved b into place; it had noted before that b was not there.
    (folder / ".dreamactor-open.json").write_text(json.dumps({"format": 1, "outputs": [str(folder / "b.mp4")]}))
    assert go(jobs).rendered == 1
    assert names(folder) == OWN | {"a.mp4", "a.mp4.json", "b.mp4", "b.mp4.json"}


def test_the_results_do_not_fit_on_the_disk(folder: Path) -> None:
    folder.mkdir()
    with results.ResultsFile(folder / results.NAME) as file:
        file.append({"id": "a"})
        with pytest.raises(ValueError):
            file.append({"id": "b", "seconds": float("nan")})
        file.append({"id": "c"}, {"id": "d"})
    assert [line["id"] for line in results.read(folder / results.NAME)] == ["a", "c", "d"]


def test_strays_of_the_dead_are_swept_and_of_nobody_else(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "from dreamactor_cli.atomic import unique_suffix; print(unique_suffix())"],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout.strip()  # fmt: skip
    living = unique_suffix()
    elsewhere = "another_machine.1.0123456789ab"
    stay = [f".dreamactor.{living}.mp4", f".a.json.{elsewhere}.tmp", ".hidden", "out.mp4", ".dreamactor.mp4", ".x.1.2.tmp"]
    go = [f".dreamactor.{dead}.mp4", f".a.mp4.json.{dead}.tmp", f".dreamactor.{dead}.png", f".old.{elsewhere}.tmp"]
    for name in (*stay, *go):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / f".dreamactor.{dead}").mkdir()  # of a sequence
    (tmp_path / f".dreamactor.{dead}" / "00001.png").write_bytes(b"x")
    hours_ago = time.time() - 3 * 3600
    os.utime(tmp_path / go[-1], (hours_ago, hours_ago))
    assert sweep([tmp_path]) == len(go) + 1
    assert names(tmp_path) == set(stay)


def test_a_stray_that_is_still_written_to_is_ended_first(tmp_path: Path, ffmpeg_exe: str) -> None:
    dead = f"{unique_suffix().partition('.')[0]}.{_dead_pid()}.0123456789ab"
    path = tmp_path / f".dreamactor.{dead}.mp4"
    source = ["-re", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=25"]
    with subprocess.Popen([ffmpeg_exe, "-loglevel", "error", *source, "-y", f"file:{path}"], stdin=subprocess.DEVNULL) as orphan:
        while not path.exists():
            time.sleep(0.05)
        assert sweep([tmp_path]) == 1
        orphan.wait(10)  # it would go on for ever
    assert names(tmp_path) == set()


def _dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def test_one_run_a_folder_or_the_parts_of_one(tmp_path: Path) -> None:
    def refused(part: str) -> str:
        with pytest.raises(UsageError) as error, claim(tmp_path, part, wait=False, on_wait=print):
            pass
        return error.value.message

    with claim(tmp_path, "", wait=False, on_wait=print):
        assert f"process {os.getpid()}" in refused("")
        refused("1-of-2")
    with claim(tmp_path, "1-of-2", wait=False, on_wait=print), claim(tmp_path, "2-of-2", wait=False, on_wait=print):
        assert "part 1 of 2" in refused("")
        refused("1-of-2")
        refused("1-of-3")
    assert names(tmp_path) == set()


def test_a_claim_of_the_dead_is_taken_over_at_once(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from dreamactor_cli.folder_lock import claim\n"
        "with claim(Path(sys.argv[1]), '', wait=False, on_wait=print): os._exit(9)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=env, check=False).returncode == 9
    assert names(tmp_path) == {".dreamactor-run.lock"}
    began = time.monotonic()
    with claim(tmp_path, "2-of-3", wait=False, on_wait=print):
        assert time.monotonic() - began < 10
    assert names(tmp_path) == set()


def test_a_run_waits_for_another(tmp_path: Path) -> None:
    held, told = threading.Event(), []

    def hold() -> None:
        with claim(tmp_path, "", wait=False, on_wait=print):
            held.set()
            time.sleep(1)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    with claim(tmp_path, "", wait=True, on_wait=told.append):
        assert not thread.is_alive() or thread.join(1) is None
    assert len(told) == 1
    thread.join()


def test_quality_is_measured_where_it_is_asked_for(job: Callable[..., Job], go: Callable[..., RunSummary], folder: Path) -> None:
    jobs = [job("grey")]  # frozen, and no person in it
    assert go(jobs, gate="warn").rendered == 1
    line = last_lines(folder)["grey"]
    assert line["status"] == "ok"
    assert [finding for finding in line["quality"] if not finding["passed"]]
    assert line["warnings"]
    assert go([replace(jobs[0], overwrite=True)], gate="fail").failed == 1
    assert last_lines(folder)["grey"]["error"]["code"] == "quality"
    assert (folder / "grey.mp4").exists()
    assert go(jobs, gate="fail").failed == 1  # it was not made anew, and is no better
    assert go(jobs).skipped == 1
