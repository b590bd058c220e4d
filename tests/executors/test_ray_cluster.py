"""A Ray cluster of three nodes on one machine; one of them is killed while it works."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dreamactor_cli.contracts import RenderResult
from dreamactor_cli.errors import MissingRequirement, UsageError
from dreamactor_cli.executors.base import Progress, Started, Task
from dreamactor_cli.executors.inprocess import InProcess
from dreamactor_cli.executors.settings import Settings
from dreamactor_cli.strays import sweep

ray = pytest.importorskip("ray")

from dreamactor_cli.executors.ray_cluster import RayCluster  # noqa: E402

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
MEMORY = 100_000_000  # bytes of a node's object store

Make = Callable[..., Task]
Do = Callable[..., dict[str, RenderResult]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))
    nodes = {"num_cpus": 1, "object_store_memory": MEMORY}
    started = Cluster(initialize_head=True, head_node_args={**nodes, "include_dashboard": False})
    started.add_node(**nodes)
    yield started
    started.shutdown()
    patch.undo()


def test_a_cluster_survives_its_jobs(
    cluster: Any, make_task: Make, do: Do, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    good = [make_task(f"good{k}", driving=f"motion:{motion}") for k, motion in enumerate(("nod", "wave", "turn"))]
    bad = [
        make_task(name, renderer=f"fakes:{kind}") for name, kind in (("exits", "Exits"), ("raises", "Raises"), ("hangs", "Hangs"))
    ]
    events: list[Any] = []
    executor = RayCluster(Settings(address=cluster.address, timeout=60))
    assert signal.getsignal(signal.SIGTERM) is before
    assert executor.workers == 2
    results = do(executor, [*bad, *good], events)
    assert {name for name, result in results.items() if result.status == "ok"} == {"good0", "good1", "good2"}
    codes = {name: result.error.code for name, result in results.items() if result.error}
    assert codes == {"exits": "worker-lost", "raises": "internal", "hangs": "timeout"}
    assert {event.task.id for event in events if isinstance(event, Started)} == set(results)
    assert {event.stage for event in events if isinstance(event, Progress)} <= {"render", "extract"}
    sweep([tmp_path / "out"])
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    assert capsys.readouterr().out == ""  # stdout is for results


def test_pixels_are_the_same_on_a_cluster(cluster: Any, make_task: Make, do: Do, tmp_path: Path) -> None:
    def tasks(folder: str, motions: tuple[str, ...]) -> list[Task]:
        options = {"renderer": "geometry", "size": "source", "crf": 16}
        return [
            make_task(name, driving=f"motion:{name}", output=tmp_path / folder / f"{name}.mp4", **options) for name in motions
        ]

    on_ray = do(RayCluster(Settings(address=cluster.address)), tasks("ray", ("nod", "talk")))
    here = do(InProcess(Settings()), tasks("here", ("nod", "talk")))
    assert {name: result.sha256 for name, result in on_ray.items()} == {name: result.sha256 for name, result in here.items()}


def test_a_killed_node_takes_only_its_job(cluster: Any, make_task: Make) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    executor = RayCluster(Settings(address=cluster.address))
    tasks = [make_task(f"job{k}", renderer="fakes:Slow") for k in range(9)]
    busy = threading.Event()
    started: list[Started] = []

    def on_event(event: Any) -> None:
        if isinstance(event, Started):
            started.append(event)
        if len({event.worker for event in started}) == 3:
            busy.set()

    def kill() -> None:
        busy.wait(90)
        time.sleep(0.5)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        results = {result.id: result for result in executor.run(tasks, on_event)}
    finally:
        killer.join()
        executor.close()
    assert busy.is_set()
    assert set(results) == {task.id for task in tasks}
    lost = [result for result in results.values() if result.error is not None]
    assert len(lost) == 1
    assert lost[0].error is not None
    assert lost[0].error.code == "worker-lost"


def test_what_a_cluster_cannot_do_is_said() -> None:
    with pytest.raises(UsageError, match="names devices of this machine"):
        RayCluster(Settings(devices=("0",)))
    began = time.monotonic()
    with pytest.raises(MissingRequirement, match=r"no Ray cluster at 127\.0\.0\.1:1: .*refused"):
        RayCluster(Settings(address="127.0.0.1:1"))
    assert time.monotonic() - began < 30
