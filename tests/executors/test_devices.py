"""Which devices are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamactor_cli.errors import MissingRequirement, UsageError
from dreamactor_cli.executors.devices import find_devices
from dreamactor_cli.executors.settings import Settings, cores

SEEN = {"CUDA_VISIBLE_DEVICES": "4,5,GPU-8f1c"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, ()), ("cpu", ()), ("0", ("4",)), ("1,0", ("5", "4")), ("2", ("GPU-8f1c",)), ("GPU-8f1c", ("GPU-8f1c",)),
        ("auto", ("4", "5", "GPU-8f1c")),
    ],
)  # fmt: skip
def test_devices_are_counted_within_those_that_are_seen(text: str | None, found: tuple[str, ...]) -> None:
    assert find_devices(text, SEEN) == found


def test_a_process_of_several_takes_its_own() -> None:
    assert find_devices("auto", {**SEEN, "LOCAL_RANK": "1"}) == ("5",)
    assert find_devices("auto", {**SEEN, "SLURM_LOCALID": "3"}) == ("4",)


@pytest.mark.parametrize("text", ["x", "0;1", "0,0", "-1", "١"])
def test_what_is_no_list_of_devices(text: str) -> None:
    with pytest.raises(UsageError):
        find_devices(text, SEEN)


def test_devices_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingRequirement, match="no device 3"):
        find_devices("0,3", SEEN)
    with pytest.raises(MissingRequirement, match="no CUDA device"):
        find_devices("0", {"CUDA_VISIBLE_DEVICES": "-1"})
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    with pytest.raises(MissingRequirement, match="no CUDA device"):
        find_devices("auto", {})
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\necho 1\n")
    program.chmod(0o755)
    assert find_devices("auto", {}) == ("0", "1")


def test_workers_share_the_cores() -> None:
    assert Settings().count == cores()
    assert Settings().share == 1
    assert Settings(workers=1).share == cores()
    assert Settings(devices=("0", "1", "2"), workers=None).count == 3
    assert Settings(workers=100 * cores()).share == 1
