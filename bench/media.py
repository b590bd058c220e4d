"""Speed and exactness of reading and writing video, on clips made from the public-domain astronaut photograph.

``python bench/media.py`` prints a table and writes ``bench/results/media.json``. Frames/s are by processor time of one core
(reading: this process; writing: FFmpeg), so that a busy machine changes them little; wall time stands beside.
"""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import cv2
import decord
import numpy as np
from numpy.typing import NDArray
from skimage import data

from dreamactor_cli.media import VideoWriter, probe, read_frames
from dreamactor_cli.media.ffmpeg import program_for

RESULTS = Path(__file__).resolve().parents[1] / "bench" / "results"
FRAMES = 250
SIZE = 512

Row = dict[str, object]


def clip() -> list[NDArray[np.uint8]]:
    """A head that sways before a background that stands, (512, 512, 3) each."""
    photo = data.astronaut()
    grid_y, grid_x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    weight = np.exp(-((((grid_x - 225) / 110) ** 2 + ((grid_y - 130) / 150) ** 2) ** 2))
    frames = []
    for t in range(FRAMES):
        across, down = weight * 9 * np.sin(t / 9), weight * 6 * np.sin(t / 7 + 1)
        moved = cv2.remap(photo, grid_x + across, grid_y + down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        frames.append(np.asarray(moved, np.uint8))
    return frames


def rates(work: Callable[[], int], who: int) -> tuple[float, float]:
    """Frames/s by wall and by processor time."""
    used, began = resource.getrusage(who), time.perf_counter()
    count = work()
    now, wall = resource.getrusage(who), time.perf_counter() - began
    spent = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return count / wall, count / spent


def write(path: Path, frames: Iterable[NDArray[np.uint8]], crf: int) -> int:
    """Encode; the number of frames."""
    with VideoWriter(path, width=SIZE, height=SIZE, fps=Fraction(25), crf=crf, overwrite=True) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.frames


def psnr(first: list[NDArray[np.uint8]], second: list[NDArray[np.uint8]]) -> float:
    """Mean over frames, dB."""
    errors = [np.mean((a.astype(np.float64) - b) ** 2) for a, b in zip(first, second, strict=True)]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def with_decord(path: Path) -> int:
    """Read all frames with decord; their number."""
    reader = decord.VideoReader(str(path), num_threads=1)
    for _ in range(len(reader)):
        reader.next().asnumpy()
    return len(reader)


def decord_agrees(path: Path) -> Row:
    """What decord makes of a clip, of the same clip turned by its display matrix, and of the same clip damaged."""
    ours = list(read_frames(path, accurate=False))
    reader = decord.VideoReader(str(path), num_threads=1)
    order = np.random.default_rng(0).permutation(len(ours))[:20]
    same = all(np.array_equal(reader[int(k)].asnumpy(), ours[k]) for k in order)
    turned, damaged = path.with_name("turned.mp4"), path.with_name("damaged.mp4")
    command = [program_for(), "-loglevel", "error", "-y", "-display_rotation", "90", "-i", path, "-c", "copy", turned]
    subprocess.run([str(part) for part in command], check=True)
    upright = np.array_equal(decord.VideoReader(str(turned))[0].asnumpy(), next(read_frames(turned, accurate=False)))
    broken = bytearray(path.read_bytes())
    middle = len(broken) // 2
    broken[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    damaged.write_bytes(broken)
    flagged = read_frames(damaged, accurate=False)
    for _ in flagged:
        pass
    return {
        "same number of frames": len(reader) == len(ours), "same bytes at random positions": same,
        "honours rotation": upright, "frames that it delivers of a damaged clip, 12 runs": sorted(delivered(damaged)),
        "of them damaged by our count": flagged.repeated,
    }  # fmt: skip


def delivered(path: Path) -> set[int]:
    """Numbers of frames that decord delivers before it gives up or ends, in several runs."""
    counts = set()
    for _ in range(12):
        reader, count = decord.VideoReader(str(path), num_threads=2), 0
        with suppress(decord.DECORDError):
            for _ in range(len(reader)):
                reader.next()
                count += 1
        counts.add(count)
    return counts


def main() -> None:
    """Print the table and write it."""
    cv2.setNumThreads(1)
    decord.logging.set_level(decord.logging.QUIET)
    frames, rows = clip(), {}
    with tempfile.TemporaryDirectory() as folder:
        plain, exact, again = (Path(folder, name) for name in ("plain.mp4", "exact.mp4", "again.mp4"))
        rows["write crf 16"] = rates(lambda: write(plain, frames, 16), resource.RUSAGE_CHILDREN)
        rows["write crf 0"] = rates(lambda: write(exact, frames, 0), resource.RUSAGE_CHILDREN)
        info = probe(plain)
        own = resource.RUSAGE_SELF
        rows["read accurate"] = rates(lambda: sum(1 for _ in read_frames(plain, info=info)), own)
        rows["read fast"] = rates(lambda: sum(1 for _ in read_frames(plain, info=info, accurate=False)), own)
        rows["read by decord"] = rates(lambda: with_decord(plain), own)
        few = frames[:50]
        once = list(read_frames(exact, 0, 50))
        write(again, once, 0)
        trips = {
            "RGB to crf 0 and back": psnr(once, few),
            "decode, encode at crf 0, decode": psnr(list(read_frames(again)), once),
            "RGB to crf 16 and back": psnr(list(read_frames(plain, 0, 50)), few),
        }
        other = decord_agrees(plain)
        size = plain.stat().st_size
    for name, (wall, core) in rows.items():
        print(f"{name:16s} {wall:7.0f} frames/s wall {core:7.0f} frames/s a core")
    for name, value in trips.items():
        print(f"{name:34s} {value:6.1f} dB")
    for label, found in other.items():
        print(f"decord: {label}: {found}")
    RESULTS.mkdir(exist_ok=True)
    speeds = {name: {"wall": round(wall, 1), "core": round(core, 1)} for name, (wall, core) in rows.items()}
    result = {
        "frames": FRAMES,
        "size": SIZE,
        "crf_16_bytes": size,
        "frames_per_second": speeds,
        "psnr_db": trips,
        "decord": other,
    }
    (RESULTS / "media.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
