"""The OpenJD template, checked and run by the tools of the Open Job Description project."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openjd.model import decode_job_template

from dreamactor_cli.emit import EmitRequest, emit
from dreamactor_cli.errors import UsageError
from tests.emit.conftest import ODD

Make = Callable[..., EmitRequest]
OPENJD = (sys.executable, "-m", "openjd")


def _template(request: EmitRequest) -> dict[str, Any]:
    template: dict[str, Any] = json.loads(emit("openjd", request))
    decode_job_template(template=template)  # raises if the specification forbids it
    return template


def test_every_part_is_a_task(request_of: Make, called: Callable[[], list[dict[str, Any]]], tmp_path: Path) -> None:
    odd = tmp_path / ODD.replace("\n", "")
    request = request_of(manifest=odd / "m.csv", folder=tmp_path / "out", cache=tmp_path / "cache", parts=3)
    (tmp_path / "job.json").write_text(emit("openjd", request))
    subprocess.run([*OPENJD, "check", "job.json"], cwd=tmp_path, check=True, timeout=120)
    ran = subprocess.run(
        [*OPENJD, "run", "job.json", "--step", "Render"], cwd=tmp_path, timeout=120, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.count("openjd_progress: 100") == 3
    places = ["render", str(odd / "m.csv"), "-o", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache"), "--fps=25"]
    assert [call["arguments"] for call in called()] == [[*places, "--openjd", "--shard", f"{k}/3"] for k in (1, 2, 3)]


def test_a_task_that_fails_fails_the_job(request_of: Make, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(emit("openjd", request_of(1, parts=1)))
    ran = subprocess.run([*OPENJD, "run", "job.json", "--step", "Render"], cwd=tmp_path, timeout=120, capture_output=True)
    assert ran.returncode != 0


def test_paths_below_the_template_can_be_mapped(request_of: Make, tmp_path: Path) -> None:
    template = _template(request_of(folder=Path("/elsewhere/out")))
    manifest, folder, parts = template["parameterDefinitions"]
    assert (manifest["type"], manifest["dataFlow"], manifest["default"]) == ("PATH", "IN", "m.csv")
    assert (folder["type"], folder["default"]) == ("STRING", "/elsewhere/out")
    assert parts["default"] == 8
    assert template["steps"][0]["script"]["actions"]["onRun"]["cancelation"]["mode"] == "NOTIFY_THEN_TERMINATE"


@pytest.mark.parametrize("change", [{"options": ("--background={{Param.Manifest}}",)}, {"folder": Path("/" + "x" * 2000)}])
def test_what_openjd_cannot_spell(request_of: Make, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        emit("openjd", request_of(**change))
