"""Parts of a manifest: every job in exactly one, whoever says which part this is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamactor_cli.contracts import Job, Preset
from dreamactor_cli.errors import UsageError
from dreamactor_cli.executors.shard import Shard, find_device, find_shard


def _jobs(drivers: list[int], folder: str = "/data") -> list[Job]:
    preset = Preset()
    return [
        Job(
            id=f"job{k}", references=(Path(folder, f"{k}.png"),), output=Path(folder, f"{k}.mp4"), preset=preset,
            driving=f"{folder}/clip{driver}.mp4",
        )
        for k, driver in enumerate(drivers)
    ]  # fmt: skip


@given(st.lists(st.integers(0, 9), max_size=80), st.integers(1, 12))
def test_every_job_is_in_exactly_one_part_and_parts_are_even(drivers: list[int], count: int) -> None:
    jobs = _jobs(drivers)
    parts = [Shard(index=index, count=count).take(jobs) for index in range(count)]
    assert sorted(job.id for part in parts for job in part) == sorted(job.id for job in jobs)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for part in parts:
        assert [job.id for job in part] == sorted((job.id for job in part), key=lambda name: int(name[3:]))


def test_few_parts_share_a_driver() -> None:
    jobs = _jobs([driver for _ in range(10) for driver in range(20)])
    count = 4
    seen = Counter(driver for index in range(count) for driver in {j.driving for j in Shard(index=index, count=count).take(jobs)})
    assert sum(seen.values()) <= 20 + count - 1


def test_parts_are_the_same_where_the_folder_lies_elsewhere() -> None:
    here, there = _jobs([0, 1, 2, 3, 4, 1, 2]), _jobs([0, 1, 2, 3, 4, 1, 2], "/mnt/farm")
    for index in range(3):
        shard = Shard(index=index, count=3)
        assert [job.id for job in shard.take(here)] == [job.id for job in shard.take(there)]


ARRAY = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_COUNT": "4"}
TORCHRUN = {"RANK": "1", "WORLD_SIZE": "8"}
SRUN = {"SLURM_PROCID": "2", "SLURM_NTASKS": "3"}


@pytest.mark.parametrize(
    ("text", "environ", "part", "source"),
    [
        (None, {}, "1/1", ""),
        ("2/5", {**ARRAY, **TORCHRUN, **SRUN}, "2/5", "--shard"),
        (" 5 / 5 ", {}, "5/5", "--shard"),
        (None, {**ARRAY, **TORCHRUN, **SRUN}, "3/4", "SLURM_ARRAY_TASK_ID"),
        (None, {**ARRAY, "SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_STEP": "2"}, "4/4", "SLURM_ARRAY_TASK_ID"),
        (None, {**TORCHRUN, **SRUN}, "2/8", "RANK"),
        (None, SRUN, "3/3", "SLURM_PROCID"),
        (None, {"RANK": "1"}, "1/1", ""),
    ],
)
def test_where_the_part_is_found(text: str | None, environ: dict[str, str], part: str, source: str) -> None:
    shard = find_shard(text, environ)
    assert (str(shard), shard.source) == (part, source)


@pytest.mark.parametrize(
    ("text", "environ", "says"),
    [
        ("0/4", {}, "--shard 0/4"),
        ("5/4", {}, "1/4"),
        ("1", {}, "--shard '1'"),
        ("1/0", {}, "--shard 1/0"),
        ("-1/4", {}, "--shard '-1/4'"),
        ("", {}, "--shard ''"),
        (None, {**ARRAY, "SLURM_ARRAY_TASK_ID": "7"}, "--array"),
        (None, {**ARRAY, "SLURM_ARRAY_TASK_ID": "2"}, "--array"),
        (None, {**ARRAY, "SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_STEP": "2"}, "--array"),
        (None, {"SLURM_ARRAY_TASK_ID": "1"}, "--array"),
        (None, {"RANK": "8", "WORLD_SIZE": "8"}, "RANK"),
        (None, {"RANK": "one", "WORLD_SIZE": "8"}, "RANK"),
        (None, {"SLURM_PROCID": "0", "SLURM_NTASKS": ""}, "SLURM_NTASKS"),
    ],
)
def test_parts_that_make_no_sense(text: str | None, environ: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find_shard(text, environ)


@pytest.mark.parametrize(
    ("environ", "device"),
    [
        ({}, None),
        ({"RANK": "3"}, None),
        ({"LOCAL_RANK": "3"}, 3),
        ({"SLURM_LOCALID": "1"}, 1),
        ({"LOCAL_RANK": "2", "SLURM_LOCALID": "1"}, 2),
        ({"LOCAL_RANK": "3", "CUDA_VISIBLE_DEVICES": "5"}, 0),
        ({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,5"}, 1),
    ],
)
def test_the_device_is_the_local_rank(environ: dict[str, str], device: int | None) -> None:
    assert find_device(environ) == device
