"""How fast controls are extracted, against raw mediapipe Holistic on the same cores.

    python bench/extract.py [CLIP] [--workers 2] [--frames 300] [--sets face face,head ...]

Each set of signals is measured with an empty cache, start of the worker processes and decoding included. Raw Holistic
(``refine_face_landmarks``, results thrown away) runs in as many processes over the same frames, each decoding its own part,
start included too: as it is, which the bar is about, and with its person mask, which all signals hold too. Sets and Holistic
take turns, and the best of ``--runs`` counts: a busy machine slows single runs. The processor time of all processes stands
beside, which a busy machine changes less. The numba kernels are compiled before.

Exit codes: 0 all signals together reach 0.85 of Holistic, 1 they do not, 3 no clip.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

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


def cpu_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> int:
    """Measure, print the table, write the JSON."""
    parser = options(__doc__ or "")
    parser.add_argument("clip", nargs="?", type=Path, default=CLIP)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--part", nargs=3, type=int, help="only raw Holistic over these frames, untimed")
    given = parser.parse_args()
    need(given.clip)
    if given.part:
        holistic(given.clip, given.part[0], given.part[1], bool(given.part[2]))
        return 0
    from dreamactor_cli.media import probe

    info = probe(given.clip)
    frames = min(given.frames, info.num_frames)
    duration = frames / info.fps
    time_extract(given.clip, "face,head", min(duration, Fraction(1)), 1)  # compiles the kernels
    spent: dict[str, list[float]] = {name: [] for name in (RAW, RAW_MASK, *given.sets)}
    used: dict[str, list[float]] = {name: [] for name in spent}
    for _ in range(given.runs):
        for name in spent:
            before = cpu_seconds()
            if name in (RAW, RAW_MASK):
                spent[name].append(time_holistic(given.clip, frames, given.workers, name == RAW_MASK))
            else:
                spent[name].append(time_extract(given.clip, name, duration, given.workers))
            used[name].append(cpu_seconds() - before)
    rates = {name: frames / min(times) for name, times in spent.items()}
    rows = [
        [name, min(spent[name]), rate, rate / rates[RAW], 1000 * min(used[name]) / frames, min(used[RAW]) / min(used[name])]
        for name, rate in rates.items()
    ]
    title = f"{given.clip.name}: {frames} frames, {info.width}x{info.height}, {given.workers} processes, best of {given.runs}"
    print_table(title, ("signals", "seconds", "frames/s", "of Holistic", "CPU ms/frame", "of Holistic"), rows)
    met = rates[ALL] / rates[RAW] >= BAR if ALL in rates else None
    print(f"all signals at {BAR} of Holistic: {verdict(met)}")
    write_results(
        "extract",
        {"clip": given.clip.name, "frames": frames, "workers": given.workers, "spent": spent, "cpu": used, "rates": rates},
    )
    return 0 if met in (None, True) else 1


if __name__ == "__main__":
    sys.exit(main())
