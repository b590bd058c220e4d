"""``dreamactor train``: options, what is said where a synthesiser or a file is missing, and a sheet of synthetic people."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dreamactor_cli.app import main
from dreamactor_cli.models import weights_folder

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


def test_people_are_shown_on_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from dreamactor_cli.training.synthetic import preview

    small = {"size": 32, "rows": 1, "pictures": 2}
    whole = preview.preview_sheet
    monkeypatch.setattr(preview, "preview_sheet", lambda file, **given: whole(file, **given, **small))
    sheet = tmp_path / "people.png"
    assert main(["train", "people", "--preview", str(sheet), "--seed", "3"]) == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.strip() == str(sheet)


def test_people_need_something_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "people"]) == 2
    assert "--preview" in capsys.readouterr().err
    assert main(["train", "people", "--convert", str(tmp_path), "--assets", str(tmp_path / "out.npz")]) == 3
    assert "no free base mesh" in capsys.readouterr().err
    assert main(["train", "people", "--preview", str(tmp_path / "a.png"), "--assets", str(tmp_path / "none.npz")]) == 4


@pytest.mark.parametrize(
    ("command", "arguments", "code", "said"),
    [
        ("diffusion", ["--steps", "0"], 2, "--steps 0"),
        ("diffusion", ["--rate", "nan"], 2, "--rate nan"),
        ("diffusion", ["--stage", "mouth"], 2, "--stage mouth"),
        ("diffusion", ["--config", "huge"], 2, "huge"),
        ("diffusion", ["--frames", "12"], 2, "--frames 12"),
        ("diffusion", ["--size", "100"], 2, "--size 100"),
        ("diffusion", ["--framings", "feet"], 2, "feet"),
        ("diffusion", ["--precision", "float8"], 2, "float8"),
        ("diffusion", ["--init", "a", "--wan", "b"], 2, "two beginnings"),
        ("diffusion", ["--config", "1.3b"], 3, "Wan 2.1"),
        ("diffusion", ["--vae", "nowhere"], 3, "nowhere"),
        ("diffusion", ["--init", "nowhere"], 3, "nowhere"),
        ("diffusion", ["--init", "a", "--vae", "b"], 2, "--vae"),
        ("diffusion", ["--videos", "nowhere"], 4, "nowhere"),
        ("diffusion", ["--videos", ".", "--clips", "3"], 2, "--clips"),
        ("vae", ["--config", "1.3b"], 2, "Wan"),
        ("vae", ["--batch", "0"], 2, "--batch 0"),
        ("refiner", ["--batch", "0", "--init", "nowhere"], 2, "--batch 0"),
        ("refiner", ["--init", "nowhere"], 3, "nowhere"),
        ("refiner", [], 2, "--init"),
    ],
)
def test_what_cannot_be_trained_is_told(
    command: str, arguments: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["--cache-dir", str(tmp_path / "cache"), "train", command, "-o", str(out), *arguments]) == code
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()


@pytest.mark.slow
def test_the_debug_config_learns_to_do_as_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a minute of one core, from nothing: people never seen come nearer to the truth than their picture, by the right pose."""
    out = tmp_path / "run"
    small = ["--steps", "120", "--clips", "32", "--workers", "0", "--seed", "1", "--device", "cpu"]
    assert main(["train", "diffusion", "--config", "debug", *small, "-o", str(out)]) == 0
    card = (out / "weights" / "README.md").read_text("utf-8")
    figures = {name: float(value) for name, value in re.findall(r"^\| ([a-z ]+) \| (-?[\d.]+) dB \|$", card, re.MULTILINE)}
    assert figures["over copy face"] > 1
    assert figures["pose gap"] > 0.2

    refined = tmp_path / "refined"
    shorter = ["--steps", "40", "--batch", "8", *small[2:]]
    assert main(["train", "refiner", "--init", str(out / "weights"), *shorter, "-o", str(refined)]) == 0
    assert weights_folder.load(refined / "weights")[0].refiner is not None
    further = ["--init", str(refined / "weights"), "--config", "debug", "--steps", "1", *small[2:]]
    assert main(["train", "diffusion", *further, "-o", str(tmp_path / "further")]) == 0
    assert "the refiner is left out" in capsys.readouterr().err
    assert weights_folder.load(tmp_path / "further" / "weights")[0].refiner is None
