"""Whether a batch loses anything when things go wrong.

    python bench/chaos.py [--kills 20] [--only pool,ray,kills] [--seed N]

pool   16 jobs in the local pool, of which one has a bad input, one ends its process by `os._exit` and one hangs: 13 must be
       there, 16 accounted for, no stray file.
ray    the same on a Ray cluster of three nodes on this machine, of which one is killed meanwhile; what it takes along is tried
       again. Skipped where Ray is not installed.
kills  `kill -9` of a whole run, of its workers and of FFmpeg, at random moments, and then a run to the end: equal bytes to a run
       that nobody disturbed, no stray file.

The renderers that die are those of `tests/executors/fakes.py`; the kills are of the real one. A full disk, read-only inputs, a
damaged cache and hostile names are tests (`tests/commands/test_render.py`). Exit codes: 0 all bars met, 1 one missed.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common import ROOT, astronaut, environment, must, options, print_table, tool, verdict, write_results

FAKES = ROOT / "tests" / "executors"
JOBS, GOOD = 16, 13
TIMEOUT = 25.0  # seconds of a task
MOTIONS = ("nod", "wave", "turn", "talk", "smile", "wink", "shake", "greeting")
OWN = {"results.jsonl", "run.json", "report.html", "junit.xml", "results.csv"}
Row = list[object]


def sixteen(folder: Path, picture: Path) -> list[Any]:
    """Jobs, three of which cannot be done."""
    from dreamactor_cli.contracts import Job, Preset

    folder.parent.mkdir(parents=True)
    bad = folder.parent / "bad.mp4"
    bad.write_bytes(b"\0" * 4096)
    jobs = [
        Job(
            id=f"job{k:02d}", references=(picture,), driving="motion:nod", output=folder / f"job{k:02d}.mp4",
            duration=Fraction(4, 5), preset=Preset(renderer="fakes:Slow", size="64x64"),
        )
        for k in range(JOBS)
    ]  # fmt: skip
    jobs[2] = replace(jobs[2], driving=str(bad))
    jobs[5] = replace(jobs[5], preset=replace(jobs[5].preset, renderer="fakes:Exits"))
    jobs[9] = replace(jobs[9], preset=replace(jobs[9].preset, renderer="fakes:Hangs"))
    return jobs


def accounted(name: str, folder: Path, picture: Path, make: Callable[[], Any], disturb: Callable[[], None] | None = None) -> Row:
    """Run the sixteen and count."""
    from dreamactor_cli import results
    from dreamactor_cli.cache import Cache
    from dreamactor_cli.executors.base import Started
    from dreamactor_cli.run import Rules, run_manifest

    began = time.perf_counter()
    busy: list[threading.Timer] = []

    def on_event(event: object) -> None:
        if disturb is not None and isinstance(event, Started) and event.task.id == "job12" and not busy:
            busy.append(threading.Timer(1.0, disturb))
            busy[0].start()

    jobs = sixteen(folder, picture)
    cache = Cache(folder.parent / "cache")
    summary = run_manifest(jobs, folder=folder, cache=cache, executor=make(), rules=Rules(retries=1), on_event=on_event)
    lines = {line["id"]: line for line in results.read(folder / results.NAME)}
    codes = sorted(line["error"]["code"] for line in lines.values() if line["error"])
    strays = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    met = (summary.rendered, len(lines), strays) == (GOOD, JOBS, []) and (disturb is None or bool(busy))
    took = time.perf_counter() - began
    return [name, summary.rendered, len(lines), " ".join(codes), len(strays), round(took, 1), verdict(met)]


def on_pool(work: Path, picture: Path) -> Row:
    """Two workers."""
    from dreamactor_cli.executors import load_executor
    from dreamactor_cli.executors.settings import Settings

    return accounted("pool", work / "pool" / "out", picture, lambda: load_executor("pool", Settings(workers=2, timeout=TIMEOUT)))


def on_ray(work: Path, picture: Path) -> Row:
    """Three nodes, one of which is killed."""
    from ray.cluster_utils import Cluster

    from dreamactor_cli.executors import load_executor
    from dreamactor_cli.executors.settings import Settings

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    _, doomed = cluster.add_node(**node), cluster.add_node(**node)
    try:
        return accounted(
            "ray, one of 3 nodes killed", work / "ray" / "out", picture,
            lambda: load_executor("ray", Settings(timeout=TIMEOUT, address=cluster.address)),
            lambda: cluster.remove_node(doomed, allow_graceful=False),
        )  # fmt: skip
    finally:
        cluster.shutdown()


def hashes(folder: Path) -> dict[str, str]:
    """Of the videos."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.mp4")}


def kills(work: Path, picture: Path, count: int, seed: int) -> Row:
    """Kill a run again and again, at moments spread over its whole length, and let it end once."""
    work.mkdir(parents=True)
    manifest, cache, folder = work / "rows.csv", work / "cache", work / "out"
    rows = [f"{motion}{k},{picture},motion:{motion},1,256x256,{k}" for motion in MOTIONS for k in range(3)]
    manifest.write_text("\n".join(["id,image,driving,duration,size,seed", *rows]) + "\n", encoding="utf-8")
    calm = must(tool("render", manifest, "-o", work / "calm", "--workers", "2", cache=cache))
    chance, ends, killed = random.Random(seed), [], 0
    began = time.perf_counter()
    while killed < count:
        process = subprocess.Popen(
            tool("render", manifest, "-o", folder, "--workers", "2", cache=cache), env=environment(), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(chance.uniform(0.5, calm.seconds))
            ends.append(process.returncode)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            killed += 1
        print(f"kill {killed}: {len(hashes(folder))} of {len(rows)} videos are there", file=sys.stderr, flush=True)
        if len(hashes(folder)) == len(rows):  # all is done: begin again with nothing
            for path in folder.iterdir():
                path.unlink()
    must(tool("render", manifest, "-o", folder, "--workers", "2", cache=cache))
    equal = hashes(folder) == hashes(work / "calm")
    known = OWN | {f"{name}{end}" for name in hashes(folder) for end in ("", ".json")}
    strays = [path.name for path in folder.iterdir() if path.name not in known]
    met = equal and not strays and len(hashes(folder)) == len(rows) and not any(ends)
    took = time.perf_counter() - began
    same = "equal bytes" if equal else "OTHER BYTES"
    return [f"{killed} kills", len(hashes(folder)), len(rows), same, len(strays), round(took, 1), verdict(met)]


def main() -> int:
    """Measure what is asked for."""
    parser = options(__doc__ or "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--only", default="pool,ray,kills")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    os.environ.update(environment(RAY_USAGE_STATS_ENABLED="0"))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(FAKES), os.environ["PYTHONPATH"]])
    sys.path[:0] = [str(ROOT), str(FAKES)]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="dreamactor-bench-") as folder:
        work = Path(folder)
        picture = astronaut(work / "astronaut.png")
        if "pool" in asked.only.split(","):
            rows.append(on_pool(work, picture))
        if "ray" in asked.only.split(",") and find_spec("ray"):
            rows.append(on_ray(work, picture))
        if "kills" in asked.only.split(","):
            rows.append(kills(work / "kills", picture, asked.kills, asked.seed))
    print_table("chaos", ("case", "there", "accounted for", "what failed", "strays", "seconds", ""), rows)
    write_results("chaos", {"rows": rows})
    return 0 if all(row[-1] == "PASS" for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
