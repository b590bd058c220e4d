"""Pulling over HTTP, by the hub's own client, from a hub on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dreamactor_cli.model_store.folder import Checksums
from tests.model_store.conftest import COMMIT, REPO, WANTED, Hub

ROOT = Path(__file__).resolve().parents[2]
# The client reads HF_ENDPOINT when it is imported, so that each pull is a process of its own.
PROGRAM = """
import sys
from dreamactor_cli.app import main
from dreamactor_cli.model_store import known
known.KNOWN["small"] = known.KnownModel(name="small", repo=sys.argv[1], parts=("model_index.json", "transformer", "vae"))
sys.exit(main(sys.argv[2:]))
"""


def _pull(hub_url: str, models: Path, *options: str, repo: str = REPO) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub_url, "HF_HOME": str(models / "home")}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "5", "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", PROGRAM, repo, "models", "pull", "small", "--models-dir", str(models), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_pull_brings_what_is_wanted_and_goes_on_where_it_was_stopped(hub: Hub, tmp_path: Path) -> None:
    models = tmp_path / "models"
    hub.harmed.add("transformer/two.safetensors")
    stopped = _pull(hub.url, models)
    assert stopped.returncode == 1, stopped.stderr
    assert "transformer/two.safetensors" in stopped.stderr.splitlines()[-1]
    assert not (models / "small").exists()
    assert (models / ".small.partial" / "transformer" / "one.safetensors").is_file()
    hub.harmed.clear()
    hub.asked.clear()
    done = _pull(hub.url, models)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(models / "small")
    assert set(hub.asked) == {"transformer/two.safetensors", "vae/config.json", "vae/model.safetensors"}
    checksums = Checksums.read(models / "small")
    assert checksums is not None
    assert (checksums.source, checksums.revision, set(checksums.files)) == (REPO, COMMIT, WANTED)
    assert list(checksums.problems(models / "small")) == []
    there = {path.relative_to(models / "small").as_posix() for path in (models / "small").rglob("*") if path.is_file()}
    assert there == {*WANTED, "checksums.json"}


@pytest.mark.parametrize(
    ("repo", "url", "code", "said"),
    [("someone/else", "", 2, "there is no someone/else"), (REPO, "http://127.0.0.1:9", 1, "cannot be reached")],
)
def test_what_the_hub_does_not_have_or_cannot_say(hub: Hub, tmp_path: Path, repo: str, url: str, code: int, said: str) -> None:
    ended = _pull(url or hub.url, tmp_path / "models", repo=repo)
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "models" / "small").exists()
