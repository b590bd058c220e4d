"""A request, and a program that only writes down how it was called."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli.emit import EmitRequest

ODD = "a b'c\"d $(touch evil) `touch evil` ;& \\ * ü {x} %A\n#SBATCH --evil"

PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path
log, code, on_usr2 = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
def stop(number, frame):
    time.sleep(0.3)  # tidying up
    with log.open("a") as file:
        file.write(json.dumps({"stopped": number}) + "\\n")
    sys.exit(on_usr2 if number == signal.SIGUSR2 else 143)
signal.signal(signal.SIGUSR2, stop)
signal.signal(signal.SIGTERM, stop)
with log.open("a") as file:
    file.write(json.dumps({"arguments": sys.argv[4:], "cache": os.environ.get("DREAMACTOR_CACHE")}) + "\\n")
if code >= 100:
    print("started", flush=True)
    time.sleep(30)
print("openjd_progress: 100")
sys.exit(code)
"""


@pytest.fixture
def called(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """How the program was called, and by which signals it was stopped."""
    return lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., EmitRequest]:
    """``request_of(code=0, on_usr2=140, parts=3)``: the program ends with a code; 100 is never, until it is stopped."""
    (tmp_path / "program.py").write_text(PROGRAM)

    def make(code: int = 0, on_usr2: int = 140, **changes: Any) -> EmitRequest:
        program = (sys.executable, str(tmp_path / "program.py"), str(tmp_path / "log"), str(code), str(on_usr2))
        whole = EmitRequest(
            program=program, manifest=tmp_path / "m.csv", folder=tmp_path / "out", here=tmp_path, parts=8, options=("--fps=25",)
        )
        return replace(whole, **changes)

    return make
