"""How long it takes to check and plan a manifest of ten thousand jobs, and to find that they are done.

``python bench/plan.py`` prints a table and writes ``bench/results/plan.json``. The inputs are a hundred pictures and a hundred
clips, made from the public-domain astronaut photograph; the outputs of the second half are files of an ordinary size that
nobody rendered.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
from common import options, print_table, verdict, write_results
from skimage import data

from dreamactor_cli import sidecar
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Job, RenderResult
from dreamactor_cli.manifest import load_manifest
from dreamactor_cli.media import VideoWriter
from dreamactor_cli.plan import PlannedJob, make_plan

SIDE = 100  # pictures, and clips
OLD = time.time() - 3600  # files that have just been written are hashed again for a while


def make_inputs(folder: Path) -> None:
    """Pictures and clips, none of which is like another."""
    photo = cv2.cvtColor(data.astronaut()[:256, 96:352], cv2.COLOR_RGB2BGR)
    with VideoWriter(folder / "clip.mp4", width=256, height=256, fps=Fraction(25)) as writer:
        for _ in range(50):
            writer.write(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB))
    clip = (folder / "clip.mp4").read_bytes()
    for k in range(SIDE):
        photo[0, 0] = (k, k, k)
        cv2.imwrite(str(folder / f"p{k}.png"), photo)
        free = b"unique " + str(k).encode()  # a box that players skip
        (folder / f"c{k}.mp4").write_bytes(clip + (len(free) + 8).to_bytes(4, "big") + b"free" + free)
    for path in folder.iterdir():
        os.utime(path, (OLD, OLD))


def fake(planned: PlannedJob, size: int) -> None:
    """An output as if the job had been done."""
    output = planned.job.output
    output.parent.mkdir(parents=True, exist_ok=True)
    content = os.urandom(size)
    output.write_bytes(content)
    os.utime(output, (OLD, OLD))
    sha256 = hashlib.sha256(content).hexdigest()  # and not the tool's own, which would remember it
    result = RenderResult(id=planned.job.id, status="ok", output=output, sha256=sha256, frames=50)
    sidecar.write_sidecar(planned.job, planned.description, result)


def measure(folder: Path, output_kb: int) -> list[tuple[str, float, float | None]]:
    """Figures with what they may be at most."""
    make_inputs(folder)
    rows = ["id,image,driving,fps"] + [f"j{p}-{c},p{p}.png,c{c}.mp4,25" for p in range(SIDE) for c in range(SIDE)]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    cache = Cache(folder / "cache")
    used, began = time.process_time(), time.perf_counter()
    jobs = load_manifest(folder / "manifest.csv", folder=folder / "out", overrides={})
    loaded = time.perf_counter()
    plan = make_plan(jobs, cache=cache, workers=2)
    planned = time.perf_counter()
    spent = time.process_time() - used
    if plan.count("todo") != len(jobs) or len(plan.extractions) != 2 * SIDE:
        raise RuntimeError("the plan is wrong")
    some = [replace(job, output=job.output.with_name(f"done-{k}.mp4")) for k, job in enumerate(jobs[::10])]
    for one in make_plan(some, cache=cache, workers=2).jobs:
        fake(one, output_kb << 10)
    each = seconds_a_row(some, cache)
    for job in some:
        os.utime(job.output, (OLD + 1, OLD + 1))
    copied = seconds_a_row(some, cache)
    return [
        ("checking 10,000 rows, s", loaded - began, None),
        ("planning them, s", planned - loaded, None),
        ("both, s", planned - began, 5.0),
        ("both, processor s", spent, None),
        (f"a row whose {output_kb} KiB are done, ms", each * 1e3, 1.0),
        ("the same after a copy, whose bytes are read, ms", copied * 1e3, None),
    ]


def seconds_a_row(jobs: list[Job], cache: Cache) -> float:
    """What it takes to find that jobs are done."""
    before = time.perf_counter()
    plan = make_plan(jobs, cache=cache, workers=2)
    took = time.perf_counter() - before
    if plan.count("done") != len(jobs):
        raise RuntimeError("what is done was not found to be")
    return took / len(jobs)


def main() -> int:
    parser = options(__doc__ or "")
    parser.add_argument("--output-kb", type=int, default=150, help="size of an output that is done (default: %(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = measure(Path(name), given.output_kb)
    met = [None if bar is None else value <= bar for _, value, bar in figures]
    table = [(what, value, bar, verdict(ok)) for (what, value, bar), ok in zip(figures, met, strict=True)]
    print_table("Planning", ("figure", "measured", "at most", ""), table)
    write_results("plan", {"figures": [{"figure": what, "measured": value, "bar": bar} for what, value, bar in figures]})
    return int(False in met)


if __name__ == "__main__":
    raise SystemExit(main())
