"""Run the command line inside the test, or as a program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """What the user reads last."""
        return self.err.strip().splitlines()[-1]

    def records(self) -> list[dict[str, Any]]:
        """The JSON objects of stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory, astronaut_rgb: NDArray[np.uint8]) -> Path:
    """Head and shoulders of the astronaut, 256x256."""
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    cv2.imwrite(str(path), astronaut_rgb[:256, 96:352, ::-1])
    return path


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """``cli("animate", "-s", path)``: run in this process."""
    from dreamactor_cli.app import main

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture
def program() -> Callable[..., subprocess.Popen[str]]:
    """``program("animate", ..., cwd=folder)``: start as a process of its own, leader of its group, with pipes."""

    def start(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dreamactor_cli", *map(str, arguments)]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=cwd, env=variables, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )  # fmt: skip

    return start
