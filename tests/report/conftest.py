"""Folders of runs, with real outputs and made-up results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import FaceClip

BEGAN = 1_700_000_000.0

Line = dict[str, Any]


@pytest.fixture
def line(tmp_path: Path, astronaut: Path) -> Callable[..., Line]:
    """``line("id", status="ok", ...)``: a line of results.jsonl."""

    def make(id_: str, **changes: Any) -> Line:
        error = changes.pop("code", None)
        sha256 = hashlib.sha256(id_.encode("utf-8", "surrogatepass")).hexdigest()
        values = {
            "id": id_, "status": "failed" if error else "ok", "output": str(tmp_path / f"{id_}.mp4".replace("/", "_")),
            "frames": 38, "sha256": sha256, "seconds": {"reference": 0.5, "extract": 1.0, "render": 3.5},
            "cache_hits": 2, "device": "cpu", "warnings": [], "error": None, "quality": [], "started": BEGAN + 10,
            "worker": "cpu:0", "attempts": 1, "kind": "animate", "references": [str(astronaut)], "driving": "/data/clip.mp4",
            "audio": None, "fingerprint": "f" * 64, **changes,
        }  # fmt: skip
        if error:
            retryable = error in ("worker-lost", "timeout")
            values["error"] = {"type": "Error", "code": error, "retryable": retryable, "message": f"{error} of {id_}; mend it"}
        return values

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """``folder(lines, run={...})``: write results.jsonl and run.json."""

    def write(lines: list[Line], run: Line | None = None, name: str = "results.jsonl") -> Path:
        (tmp_path / name).write_text("".join(json.dumps(one) + "\n" for one in lines), "utf-8")
        if run is not None:
            (tmp_path / "run.json").write_text(json.dumps(run), "utf-8")
        return tmp_path

    return write


@pytest.fixture
def video(tmp_path: Path, face_clip: FaceClip, encode_clip: Callable[..., None]) -> Callable[[str], Path]:
    """``video("id")``: an output that is really there."""

    def make(id_: str) -> Path:
        path = tmp_path / f"{id_}.mp4"
        encode_clip(path, face_clip.frames[::4], Fraction(25))
        return path

    return make
