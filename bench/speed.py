"""How fast it is: end to end with a cold and a warm cache, rendering alone on one core, and ``dreamactor --help``.

    python bench/speed.py [--runs 3] [--duration SECONDS]

End to end is the wall time of a whole fresh process, start-up and encoding included, on two cores, at 512x512, over the frames
of the clip: `expr_woman_strong.mp4` of the shared media (354 frames), or the astronaut under a built-in motion where that is
absent. Cold: an empty cache of signals in each run. Warm: the cache of the run before, another output. A run before all, not
counted, compiles the numba kernels as a user's first run does. Rendering alone is retargeting and drawing in one process pinned
to one core, with one thread, from cached controls; its set-up (loading, matting, inpainting) is told apart. Medians.

Not measured: quality, memory, extraction by itself (`extract.py`). Worthless on a machine that does something else: see ``load``.
Exit codes: 0 all bars met, 1 one missed.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path

from common import ROOT, median, must, options, print_table, ten_seconds, tool, verdict, video_facts, write_results

CORES = 2
BARS = {"cold": 30.0, "warm": 45.0, "render": 80.0}  # frames/s, at least
HELP_BAR = 0.3  # seconds, at most
SIGNALS = ("face", "head")


def end_to_end(clip: Path, picture: Path, work: Path, seconds: float | None, runs: int) -> dict[str, list[float]]:
    """Wall seconds of whole processes, with an empty cache and with a full one."""
    window = () if seconds is None else ("--duration", f"{seconds:g}")
    spent: dict[str, list[float]] = {"cold": [], "warm": []}
    for number in range(runs):
        cache = work / "cache"
        shutil.rmtree(cache, ignore_errors=True)
        for state, times in spent.items():
            made = work / f"{state}_{number}.mp4"
            command = tool("animate", "-s", picture, "-d", clip, "-o", made, *window, "--quiet", cache=cache)
            times.append(must(command).seconds)
            print(f"run {number + 1}, {state}: {times[-1]:.2f} s", file=sys.stderr, flush=True)
    return spent


def render_alone(clip: Path, picture: Path, cache_dir: Path, seconds: Fraction | None) -> tuple[float, float, int]:
    """Draw all frames on one core and throw them away.

    Returns:
        seconds until the first frame was there, seconds for the others, how many others.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sys.path.insert(0, str(ROOT))
    from dreamactor_cli import extract
    from dreamactor_cli.cache import Cache
    from dreamactor_cli.contracts import Preset, RenderSettings
    from dreamactor_cli.reference import load_reference
    from dreamactor_cli.renderers.geometry.renderer import GeometryRenderer
    from dreamactor_cli.retarget.transfer import RetargetedStream

    stream = extract(clip, signals=SIGNALS, duration=seconds, cache_dir=cache_dir).stream
    began = time.perf_counter()
    preset = Preset()
    reference = load_reference([picture], size=preset.size, cache=Cache(cache_dir)).reference
    controls = RetargetedStream(reference.controls, stream, preset, stream.fps)
    settings = RenderSettings(width=reference.images.shape[2], height=reference.images.shape[1], preset=preset)
    renderer = GeometryRenderer(threads=1)
    frames = renderer.render(reference, controls, settings)
    next(frames)
    started = time.perf_counter()
    others = sum(len(block) for block in frames)
    renderer.close()
    return started - began, time.perf_counter() - started, others


def renders(clip: Path, picture: Path, work: Path, seconds: float | None, runs: int) -> list[tuple[float, float, int]]:
    """`render_alone` in a fresh process each time, from the cache that the last warm run left."""
    window = None if seconds is None else Fraction(str(seconds))
    found = []
    for number in range(runs):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            found.append(pool.submit(render_alone, clip, picture, work / "cache", window).result())
        print(f"run {number + 1}, rendering alone: {found[-1][2] / found[-1][1]:.1f} frames/s", file=sys.stderr, flush=True)
    return found


def main() -> int:
    """Run the measurement."""
    parser = options(__doc__ or "")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--duration", type=float, default=None, help="seconds of the clip; for trying the script out")
    chosen = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # what is started inherits it
    with tempfile.TemporaryDirectory(prefix="bench-speed-") as folder:
        work = Path(folder)
        clip, picture, real = ten_seconds(work, work / "first")
        must(tool("animate", "-s", picture, "-d", clip, "-o", work / "first.mp4", "--duration", "0.5", cache=work / "first"))
        helps = [must(tool("--help")).seconds for _ in range(max(3, chosen.runs))]
        spent = end_to_end(clip, picture, work, chosen.duration, chosen.runs)
        facts = video_facts(work / "cold_0.mp4")
        alone = renders(clip, picture, work, chosen.duration, chosen.runs)
    speeds = {state: facts.frames / median(times) for state, times in spent.items()}
    speeds["render"] = median([count / took for _, took, count in alone])
    labels = {"cold": "end to end, cold cache", "warm": "end to end, warm cache", "render": "rendering alone, 1 core"}
    rows: list[tuple[str, float, str, str, bool]] = [
        (labels[key], speed, "frames/s", f">= {BARS[key]:g}", speed >= BARS[key]) for key, speed in speeds.items()
    ]
    rows.append(("dreamactor --help", median(helps), "s", f"<= {HELP_BAR:g}", median(helps) <= HELP_BAR))
    kind = "a real clip" if real else "a synthetic clip"
    print_table(
        f"speed, {kind} of {facts.frames} frames, {facts.width}x{facts.height}, {len(cores)} cores",
        ("what", "median", "unit", "bar", ""),
        [(*row[:4], verdict(row[4])) for row in rows],
    )
    print(f"rendering alone: {median([setup for setup, _, _ in alone]):.2f} s to the first frame, not counted")
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {len(cores)} cores")
    write_results("speed", {
        "clip": clip.name, "frames": facts.frames, "size": f"{facts.width}x{facts.height}", "cores_used": len(cores),
        "frames_per_second": speeds, "seconds": spent, "help_seconds": helps,
        "render_alone": [{"setup_seconds": a, "seconds": b, "frames": n} for a, b, n in alone],
        "bars": [{"what": row[0], "value": row[1], "unit": row[2], "bar": row[3], "met": row[4]} for row in rows],
    })  # fmt: skip
    return 0 if all(row[4] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
