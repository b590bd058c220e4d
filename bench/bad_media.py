"""Every bad file of the shared media ends as its ``expect`` field says.

    python bench/bad_media.py [--only NAME,...] [--timeout 120]

Videos and sounds are given as driver of the astronaut's picture (a sound has nothing to drive with: it has to be refused),
pictures as the reference of a built-in motion, a GIF as both. Looked at: exit code, the last line, tracebacks, what stayed
behind in the output folder and in the folder for temporary files, and whether the result can be decoded and is as long as its
driver.

Not looked at: what the result looks like (colours of the CMYK and 16-bit pictures, which of two people moves).
Exit codes: 0 all as expected, 1 not, 3 no shared media.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import (
    MEDIA,
    Run,
    VideoFacts,
    astronaut,
    environment,
    need,
    options,
    print_table,
    run,
    tool,
    video_facts,
    write_results,
)

BAD = MEDIA / "bad"
INDEX = MEDIA / "index.json"
SOUNDS = (".wav", ".mp3")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif")
REFUSED = 4
ERROR_LINE = re.compile(r"dreamactor: error\[[a-z-]+\]: \S")
WARNING = re.compile(r"^dreamactor: (warning: .*\S)", re.MULTILINE)
LENGTH_TOLERANCE = 0.1  # seconds between a driver, as the index has it, and its result


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the index expects: whether a result will do, whether a refusal will do, whether a result needs a warning."""

    accept: bool
    reject: bool
    warn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one file in one role; ``faults`` is empty when all was as expected."""

    file: str
    role: str
    expect: str
    exit_code: int
    seconds: float
    result: str
    warnings: tuple[str, ...]
    last_line: str
    traceback: bool
    left_behind: tuple[str, ...]
    faults: tuple[str, ...]


def wanted(expect: str, suffix: str) -> Wanted:
    """Read an ``expect`` field as it applies to a driver or a reference."""
    if suffix in SOUNDS:
        return Wanted(accept=False, reject=True, warn=False)
    driver = re.search(r"as driving video: ([^;]+)", expect)
    text = driver[1] if driver else expect
    refusal = any(word in text for word in ("reject", "clear message", "fail clearly"))
    only_refusal = text.startswith("reject") and "(or " not in text
    must_warn = ("warn" in text and "or warn" not in text) or "say so" in text
    return Wanted(accept=not only_refusal, reject=refusal, warn=must_warn)


def roles(name: str) -> tuple[str, ...]:
    """How a file is given to the tool."""
    suffix = Path(name).suffix
    if suffix == ".gif":
        return ("reference", "driver")
    return ("reference",) if suffix in PICTURES else ("driver",)


def try_file(entry: Mapping[str, Any], role: str, picture: Path, cache: Path, timeout: float) -> Row:
    """Give one file to ``animate`` and look at what came of it."""
    path = MEDIA / entry["file"]
    with tempfile.TemporaryDirectory(prefix="bench-bad-") as folder:
        out, temporary = Path(folder, "out"), Path(folder, "tmp")
        out.mkdir()
        temporary.mkdir()
        given = ("-s", path, "-d", "motion:nod", "--duration", "1") if role == "reference" else ("-s", picture, "-d", path)
        command = tool("animate", *given, "-o", out / "result.mp4", cache=cache)
        done = run(command, timeout=timeout, env=environment(TMPDIR=str(temporary)))
        facts, fault = decoded(out / "result.mp4")
        expected = {"result.mp4", "result.mp4.json"} if done.exit_code == 0 else set()
        left = sorted(found.name for found in out.iterdir() if found.name not in expected)
        left += sorted(f"tmp/{found.relative_to(temporary)}" for found in temporary.rglob("*") if found.is_file())
    faults = [*judged(done, wanted(entry["expect"], path.suffix)), *([fault] if fault and done.exit_code == 0 else [])]
    faults += [f"left behind: {', '.join(left)}"] if left else []
    length = entry["duration_s"]
    if done.exit_code == 0 and facts and role == "driver" and length and abs(facts.seconds - length) > LENGTH_TOLERANCE:
        faults.append(f"{facts.seconds:.2f} s long, the driver {length:.2f} s")
    return Row(
        file=path.name, role=role, expect=entry["expect"], exit_code=done.exit_code, seconds=round(done.seconds, 1),
        result=f"{facts.width}x{facts.height}, {facts.frames} frames at {float(facts.fps):g}" if facts else "",
        warnings=tuple(WARNING.findall(done.stderr)),
        last_line=done.last_line, traceback="Traceback (most recent" in done.stderr, left_behind=tuple(left),
        faults=tuple(faults),
    )  # fmt: skip


def decoded(path: Path) -> tuple[VideoFacts | None, str]:
    """Facts of a result, or why there are none."""
    if not path.exists():
        return None, "no result"
    try:
        return video_facts(path), ""
    except (OSError, ValueError, IndexError) as error:
        return None, f"the result cannot be decoded: {error}"


def judged(done: Run, want: Wanted) -> list[str]:
    """What is wrong with the way that a run ended."""
    if done.timed_out:
        return [f"hung: killed after {done.seconds:.0f} s"]
    faults = ["a traceback"] if "Traceback (most recent" in done.stderr else []
    if done.exit_code == 0:
        warned = bool(WARNING.findall(done.stderr))
        faults += [] if want.accept else ["accepted, should be refused"]
        faults += ["accepted without a warning"] if want.accept and want.warn and not warned else []
        return faults
    if done.exit_code != REFUSED:
        return [*faults, f"exit code {done.exit_code}"]
    faults += [] if want.reject else ["refused, should be accepted"]
    faults += [] if ERROR_LINE.match(done.last_line) else ["the last line does not say what was wrong"]
    faults += ["several error lines"] if done.stderr.count("dreamactor: error[") > 1 else []
    return faults


def show(rows: list[Row]) -> None:
    """Print the table, and the full last lines and warnings under it."""
    print_table(
        "bad media",
        ("file", "role", "expect", "exit", "seconds", "result", "traceback", "left", "verdict"),
        [
            (r.file, r.role, r.expect[:48], r.exit_code, r.seconds, r.result, "yes" if r.traceback else "no", len(r.left_behind),
             f"FAIL: {'; '.join(r.faults)}" if r.faults else "PASS")
            for r in rows
        ],
    )  # fmt: skip
    print("\nwhat it said")
    for r in rows:
        said = [*r.warnings, *([r.last_line] if r.exit_code else [])]
        print(f"{r.file} ({r.role}): " + ("\n    ".join(said) if said else "nothing"))


def main() -> int:
    """Run the measurement."""
    parser = options(__doc__ or "")
    parser.add_argument("--only", default="", help="names of files, by commas")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one file")
    chosen = parser.parse_args()
    need(INDEX, BAD)
    names = set(filter(None, chosen.only.split(",")))
    entries = [e for e in json.loads(INDEX.read_text(encoding="utf-8"))["files"] if e["file"].startswith("bad/")]
    entries = [e for e in entries if not names or Path(e["file"]).name in names]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-bad-") as folder:
        picture, cache = astronaut(Path(folder, "astronaut.png")), Path(folder, "cache")
        for entry in entries:
            for role in roles(entry["file"]):
                rows.append(try_file(entry, role, picture, cache, chosen.timeout))
                print(f"{rows[-1].file} as {role}: {'; '.join(rows[-1].faults) or 'as expected'}", file=sys.stderr, flush=True)
    show(rows)
    failed = sum(bool(r.faults) for r in rows)
    print(f"\n{len(rows) - failed} of {len(rows)} as expected")
    write_results("bad_media", {"rows": [asdict(r) for r in rows], "failed": failed})
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
