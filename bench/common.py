"""What the measurements share: the tool run as a user runs it, the shared media, tables and results.

No measurement itself. The tool is ``python -m dreamactor_cli`` of the Python that runs the script, with a cache of its own.
A script ends with 0 when every bar was met, 1 when one was missed, and 3 when the media that it needs is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
MEDIA = SHARED / "media"
RULER = SHARED / "eval"
RESULTS = ROOT / "bench" / "results"

CLIP = MEDIA / "portrait" / "expr_woman_strong.mp4"  # 512x512, 30 frames/s, 11.8 s, with sound
CLIP_SECONDS = 10
KILL_AFTER = 5.0  # seconds between SIGTERM and SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one run of a program ended.

    Attributes:
        seconds: wall time of the whole process.
        timed_out: it had to be killed; the exit code says by which signal.
    """

    exit_code: int
    seconds: float
    stdout: str
    stderr: str
    timed_out: bool = False

    @property
    def last_line(self) -> str:
        """What stands last on stderr."""
        lines = self.stderr.strip().splitlines()
        return lines[-1] if lines else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What is in a video file, by decoding it: the number of pictures, the rate of the container, size in px, seconds."""

    frames: int
    fps: Fraction
    width: int
    height: int
    seconds: float


def tool(*arguments: str | Path, cache: Path | None = None) -> list[str]:
    """The command line of the tool."""
    own = [] if cache is None else ["--cache-dir", str(cache)]
    return [sys.executable, "-m", "dreamactor_cli", *map(str, arguments), *own]


def environment(**more: str) -> dict[str, str]:
    """The environment of a program that finds the package of this tree."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **more}


def run(command: Sequence[str], *, timeout: float | None = None, env: Mapping[str, str] | None = None) -> Run:
    """Run a program to its end, or until the timeout; whatever it started ends with it."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        env=dict(env or environment()), start_new_session=True,
    ) as process:  # fmt: skip
        timed_out = False
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
            end_group(process.pid)
            stdout, stderr = process.communicate()
        except BaseException:
            end_group(process.pid)
            raise
    took = time.perf_counter() - began
    return Run(exit_code=process.returncode, seconds=took, stdout=stdout, stderr=stderr, timed_out=timed_out)


def end_group(leader: int) -> None:
    """End a process and all that it started: SIGTERM, and after a while SIGKILL."""
    for number, patience in ((signal.SIGTERM, KILL_AFTER), (signal.SIGKILL, 0.0)):
        try:
            os.killpg(leader, number)
        except ProcessLookupError:
            return
        time.sleep(patience)


def must(command: Sequence[str], *, timeout: float | None = None, env: Mapping[str, str] | None = None) -> Run:
    """Run a program that has to succeed.

    Raises:
        RuntimeError: it did not; with its last line.
    """
    done = run(command, timeout=timeout, env=env)
    if done.exit_code:
        how = "timed out" if done.timed_out else f"ended with {done.exit_code}"
        name = next((part for part in command[1:] if not part.startswith("-")), command[0])
        raise RuntimeError(f"{Path(name).name} {how}: {done.last_line}")
    return done


def missing(path: Path) -> NoReturn:
    """End the script: what it needs is not there."""
    print(
        f"dreamactor: error[missing]: {path.relative_to(ROOT.parent)} is not there, nothing was measured; "
        "put the shared media beside the repository",
        file=sys.stderr,
    )
    raise SystemExit(3)


def need(*paths: Path) -> None:
    """End the script with 3 unless all of them are there."""
    for path in paths:
        if not path.exists():
            missing(path)


def astronaut(path: Path) -> Path:
    """Write the public-domain portrait of scikit-image, 512x512."""
    from PIL import Image
    from skimage import data

    Image.fromarray(data.astronaut()).save(path)
    return path


def first_frame(clip: Path, picture: Path) -> Path:
    """Write frame 0 of a clip as the ruler decodes it: the reference of self mode."""
    must([sys.executable, str(RULER / "tracking.py"), "--first-frame", str(clip), str(picture)])
    return picture


def ten_seconds(work: Path, cache: Path) -> tuple[Path, Path, bool]:
    """A 512x512 clip of a face, 10 s or a little more, and the picture to move by it.

    Returns:
        clip, picture, and whether the clip is a real one; else it is the astronaut under a built-in motion.
    """
    if CLIP.exists() and RULER.exists():
        return CLIP, first_frame(CLIP, work / "reference.png"), True
    picture = astronaut(work / "reference.png")
    clip = work / "synthetic.mp4"
    must(tool("animate", "-s", picture, "-d", "motion:talk", "--duration", str(CLIP_SECONDS), "-o", clip, cache=cache))
    return clip, picture, False


def video_facts(path: Path) -> VideoFacts:
    """Decode a video to its end."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps, width, height = Fraction(stream.average_rate or 0), stream.width, stream.height
        frames = sum(1 for _ in container.decode(stream))
    return VideoFacts(frames=frames, fps=fps, width=width, height=height, seconds=float(frames / fps) if fps else 0.0)


def median(values: Sequence[float]) -> float:
    """Of at least one number."""
    return float(statistics.median(values))


def verdict(met: bool | None) -> str:
    """How a bar is told; None: there is no bar."""
    return "" if met is None else "PASS" if met else "FAIL"


def cell(value: object) -> str:
    """A value as it stands in a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their heads; numbers to the right."""
    texts = [list(columns), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[i]) for line in texts) for i in range(len(columns))]
    right = [bool(rows) and all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(columns))]
    print(f"\n{title}")
    for line in texts:
        parts = [text.rjust(w) if r else text.ljust(w) for text, w, r in zip(line, widths, right)]
        print("  ".join(parts).rstrip())
    sys.stdout.flush()


def write_results(name: str, record: Mapping[str, object]) -> Path:
    """Write what was measured, and on what machine, to ``bench/results/NAME.json``."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    beside = path.with_suffix(".json.part")
    beside.write_text(json.dumps({"machine": machine(), **record}, indent=1, default=str) + "\n", encoding="utf-8")
    os.replace(beside, path)
    print(f"\nwritten: {path.relative_to(ROOT)}")
    return path


def machine() -> dict[str, Any]:
    """What the figures depend on beside the code."""
    git = run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])
    return {
        "commit": git.stdout.strip(),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(value, 2) for value in os.getloadavg()],
        "cpu": _cpu_name(),
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def options(doc: str) -> argparse.ArgumentParser:
    """A parser whose help is the script's docstring."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
