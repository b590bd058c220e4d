"""How fast controls are extracted, against raw mediapipe Holistic on the same cores.

    python bench/extract.py [CLIP] [--workers 2] [--frames 1000] [--sets face face,head ...]

Each set of signals is measured with an empty cache, start of the worker processes and decoding included. Raw Holistic
(``refine_face_landmarks``, results thrown away) runs in as many processes over the same frames, each decoding its own part,
start included too: as it is, which the bar is about, and with its person mask, which all signals hold too. Sets and Holistic
take turns, and the best of ``--runs`` counts: a busy machine slows single runs. The processor time of all processes stands
beside, which a busy machine changes less.

Everything is also measured over ``--short`` frames: what a frame costs beyond them, and what is left for the start, are told
apart. A clip with fewer frames than asked for is repeated without encoding it anew.

Exit codes: 0 all signals together reach 0.85 of Holistic over all frames, start included; 1 they do not; 3 no clip.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from common import CLIP, ROOT, need, options, print_table, verdict, write_results

sys.path.insert(0, str(ROOT))

ALL = "face,head,body,hands,matte"
SETS = ("face", "face,head", "body", ALL)
RAW, RAW_MASK = "raw Holistic", "raw Holistic with mask"
BAR = 0.85  # of raw Holistic, which gives no mask


def holistic(path: Path, start: int, stop: int, mask: bool) -> None:
    """Raw Holistic over frames start..stop-1, with its person mask or without; the body of a process."""
    import cv2
    import mediapipe

    from dreamactor_cli.media import read_frames

    cv2.setNumThreads(1)
    graph = mediapipe.solutions.holistic.Holistic(refine_face_landmarks=True, enable_segmentation=mask)
    for frame in read_frames(path, start, stop, accurate=False):
        graph.process(frame)


def time_holistic(path: Path, frames: int, workers: int, mask: bool) -> float:
    """Wall seconds of raw Holistic in processes."""
    edges = [round(k * frames / workers) for k in range(workers + 1)]
    began = time.monotonic()
    running = [
        subprocess.Popen(
            [sys.executable, __file__, str(path), "--part", str(a), str(b), str(int(mask))],
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parent,
        )
        for a, b in zip(edges[:-1], edges[1:])
    ]
    if any(process.wait() for process in running):
        raise SystemExit("raw Holistic failed")
    return time.monotonic() - began


def time_extract(path: Path, signals: str, duration: Fraction, workers: int) -> float:
    """Wall seconds of an extraction with an empty cache."""
    from dreamactor_cli.cache import Cache
    from dreamactor_cli.controls.extract import extract_controls

    with tempfile.TemporaryDirectory(prefix="bench-extract-") as folder:
        began = time.monotonic()
        extract_controls(path, signals=signals.split(","), cache=Cache(Path(folder)), duration=duration, workers=workers)
        return time.monotonic() - began


def repeated(path: Path, frames: int, folder: Path) -> Path:
    """The clip, repeated if it has fewer frames."""
    import imageio_ffmpeg

    from dreamactor_cli.media import probe

    if probe(path).num_frames >= frames:
        return path
    made = folder / f"{path.stem}-repeated.mkv"
    subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-stream_loop", "-1", "-i", str(path), "-map", "0:v:0",
            "-c", "copy", "-frames:v", str(frames), str(made),
        ],
        check=True,
    )  # fmt: skip
    return made


def cpu_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


class Spent(NamedTuple):
    """Best wall and processor seconds over the short and the whole clip."""

    short: float
    whole: float
    short_cpu: float
    whole_cpu: float


def measure(path: Path, sizes: tuple[int, int], names: Sequence[str], workers: int, runs: int) -> dict[str, Spent]:
    """Let everything take turns."""
    from dreamactor_cli.media import probe

    fps = probe(path).fps
    times: dict[tuple[str, int], list[tuple[float, float]]] = {(name, frames): [] for name in names for frames in sizes}
    for number in range(runs):
        for (name, frames), found in times.items():
            before = cpu_seconds()
            if name in (RAW, RAW_MASK):
                wall = time_holistic(path, frames, workers, name == RAW_MASK)
            else:
                wall = time_extract(path, name, frames / fps, workers)
            found.append((wall, cpu_seconds() - before))
            print(f"run {number + 1}, {name}, {frames} frames: {wall:.1f} s, {found[-1][1]:.1f} s of processors", file=sys.stderr)
    best = {key: [min(column) for column in zip(*found)] for key, found in times.items()}
    short, whole = sizes
    return {n: Spent(best[n, short][0], best[n, whole][0], best[n, short][1], best[n, whole][1]) for n in names}


def main() -> int:
    """Measure, print the tables, write the JSON."""
    parser = options(__doc__ or "")
    parser.add_argument("clip", nargs="?", type=Path, default=CLIP)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--short", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--part", nargs=3, type=int, help="only raw Holistic over these frames, untimed")
    given = parser.parse_args()
    need(given.clip)
    if given.part:
        holistic(given.clip, given.part[0], given.part[1], bool(given.part[2]))
        return 0
    names, frames, beyond = (RAW, RAW_MASK, *given.sets), given.frames, given.frames - given.short
    with tempfile.TemporaryDirectory(prefix="bench-extract-") as folder:
        clip = repeated(given.clip, frames, Path(folder))
        spent = measure(clip, (given.short, frames), names, given.workers, given.runs)
    raw = spent[RAW]
    rows, apart = [], []
    for name, s in spent.items():
        cpu = 1000 * s.whole_cpu / frames
        rows.append([name, s.whole, frames / s.whole, raw.whole / s.whole, cpu, raw.whole_cpu / s.whole_cpu])
        frame, frame_cpu = (s.whole - s.short) / beyond, (s.whole_cpu - s.short_cpu) / beyond
        start, start_cpu = s.short - given.short * frame, s.short_cpu - given.short * frame_cpu
        apart.append([name, start, start_cpu, 1 / frame, 1000 * frame_cpu, (raw.whole_cpu - raw.short_cpu) / beyond / frame_cpu])
    how = f"{given.clip.name}: {frames} frames, {given.workers} processes, best of {given.runs}"
    print_table(how, ("signals", "seconds", "frames/s", "of Holistic", "CPU ms/frame", "of Holistic"), rows)
    columns = ("signals", "start, s", "start, CPU s", "then frames/s", "CPU ms/frame", "of Holistic")
    print_table(f"start and rate apart, from {given.short} and {frames} frames", columns, apart)
    met = raw.whole / spent[ALL].whole >= BAR if ALL in spent else None
    print(f"all signals at {BAR} of Holistic: {verdict(met)}")
    record = {"clip": given.clip.name, "frames": frames, "short": given.short, "workers": given.workers}
    write_results("extract", {**record, "spent": {name: s._asdict() for name, s in spent.items()}})
    return 0 if met in (None, True) else 1


if __name__ == "__main__":
    sys.exit(main())
