"""Memory does not grow with the clip: peaks of ``dreamactor animate`` for 10 s and for 10 min of video, cold cache.

    python bench/memory.py [--seconds 600] [--duration 10]

The long clip is the short one looped by stream copy. Two peaks: of the largest single process (the kernel's own count, `wait4`),
and of the whole tree, sampled (resident sets added up, so that pages which processes share count several times). Each has to
stay within 10 % of the short clip's. Clip: `expr_woman_strong.mp4` of the shared media, 512x512, else the astronaut under a
built-in motion.

Not measured: speed. The disk that cache and output take is told, without a bar: it does grow.
Exit codes: 0 bars met, 1 missed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from common import (
    CLIP_SECONDS,
    end_group,
    environment,
    must,
    options,
    print_table,
    ten_seconds,
    tool,
    verdict,
    video_facts,
    write_results,
)

BAR = 1.10  # long / short
INTERVAL = 0.05  # seconds between samples
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What one run took.

    Attributes:
        largest: peak of the largest process, MiB.
        tree: peak of the sum over all processes, MiB, sampled.
        processes: the most that there were at a time.
        cache, output: on disk, MiB.
    """

    clip_seconds: float
    frames: int
    wall_seconds: float
    largest: float
    tree: float
    processes: int
    cache: float
    output: float


def watch(command: list[str]) -> tuple[float, float, int, float]:
    """Run a command to its end: largest process and tree in MiB, number of processes, wall seconds.

    Raises:
        RuntimeError: the command failed.
    """
    began = time.perf_counter()
    tree, most = 0, 0
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=environment(), start_new_session=True)
        try:
            usage = None
            while usage is None:
                sizes = resident(process.pid)
                tree, most = max(tree, sum(sizes)), max(most, len(sizes))
                usage = finished(process)
                time.sleep(INTERVAL)
        except BaseException:
            end_group(process.pid)
            raise
        said.seek(0)
        lines = said.read().strip().splitlines()
    if process.returncode:
        raise RuntimeError(f"animate ended with {process.returncode}: {lines[-1] if lines else ''}")
    return usage.ru_maxrss / 1024, tree / MIB, most, time.perf_counter() - began


def finished(process: subprocess.Popen[bytes]) -> resource.struct_rusage | None:
    """What a process and its children used, once it has ended; None while it runs."""
    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    if pid == 0:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def resident(leader: int) -> list[int]:
    """Bytes of the resident set of a process and of each of its descendants."""
    sizes = []
    try:
        parent = psutil.Process(leader)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    for member in family:
        try:
            sizes.append(member.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return sizes


def looped(clip: Path, seconds: float, made: Path) -> Path:
    """A clip repeated until it lasts so long; cut, not encoded."""
    import imageio_ffmpeg

    must([
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-protocol_whitelist", "file", "-stream_loop", "-1",
        "-i", f"file:{clip}", "-t", f"{seconds:g}", "-map", "0:v:0", "-c", "copy", f"file:{made}",
    ])  # fmt: skip
    return made


def measure(clip: Path, picture: Path, folder: Path) -> Peak:
    """Animate by a clip, with an empty cache."""
    cache, made = folder / "cache", folder / "result.mp4"
    folder.mkdir()
    largest, tree, processes, wall = watch(tool("animate", "-s", picture, "-d", clip, "-o", made, "--quiet", cache=cache))
    facts = video_facts(made)
    stored = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    return Peak(
        clip_seconds=facts.seconds, frames=facts.frames, wall_seconds=wall, largest=largest, tree=tree, processes=processes,
        cache=stored / MIB, output=made.stat().st_size / MIB,
    )  # fmt: skip


def main() -> int:
    """Run the measurement."""
    parser = options(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the long clip")
    parser.add_argument("--duration", type=float, default=CLIP_SECONDS, help="length of the short clip")
    chosen = parser.parse_args()
    peaks: list[Peak] = []
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
        work = Path(folder)
        clip, picture, _ = ten_seconds(work, work / "first")
        must(tool("animate", "-s", picture, "-d", clip, "-o", work / "first.mp4", "--duration", "0.5", cache=work / "first"))
        short = looped(clip, chosen.duration, work / "short.mp4")
        for name, seconds in (("short", chosen.duration), ("long", chosen.seconds)):
            driver = looped(short, seconds, work / f"{name}_driver.mp4")
            peaks.append(measure(driver, picture, work / name))
            print(f"{name}: {peaks[-1]}", file=sys.stderr, flush=True)
    ratios = {"largest": peaks[1].largest / peaks[0].largest, "tree": peaks[1].tree / peaks[0].tree}
    columns = ("clip, s", "frames", "wall, s", "largest process, MiB", "tree, MiB", "processes", "cache, MiB", "output, MiB")
    print_table("peak memory", columns, [tuple(asdict(peak).values()) for peak in peaks])
    print_table(
        "bars",
        ("figure", "long / short", "bar", ""),
        [(name, ratio, f"<= {BAR:g}", verdict(ratio <= BAR)) for name, ratio in ratios.items()],
    )
    write_results("memory", {"short": asdict(peaks[0]), "long": asdict(peaks[1]), "ratios": ratios, "bar": BAR})
    return 0 if max(ratios.values()) <= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
