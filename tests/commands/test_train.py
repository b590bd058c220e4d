"""``dreamactor train speech``: options, and what is said where a synthesiser is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dreamactor_cli.app import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("option", "value"), [("--steps", "0"), ("--hours", "0"), ("--hours", "nan"), ("--seed", "-1"), ("--encoder", "hubert")]
)
def test_options_out_of_range(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "speech", f"{option}={value}"]) == 2
    assert f"{option} {value}" in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_synthesiser_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dreamactor_cli", "train", "speech", "--out", str(tmp_path / "weights"), "--hours", "0.01"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "apt-get install" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "weights").exists()


def test_missing_weights_of_whisper_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["train", "speech", "--encoder", "whisper:tiny", "--out", str(tmp_path / "weights")]) == 3
    assert "whisper.load_model" in capsys.readouterr().err
