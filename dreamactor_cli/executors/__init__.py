"""Executors, found by name. A new one is one file, and one line here or an entry point ``dreamactor.executors``."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from dreamactor_cli.errors import UsageError

if TYPE_CHECKING:
    from dreamactor_cli.executors.base import Executor
    from dreamactor_cli.executors.settings import Settings

# name -> "module:Class"; the class is called with `settings.Settings`.
EXECUTORS = {
    "inprocess": "dreamactor_cli.executors.inprocess:InProcess",
    "pool": "dreamactor_cli.executors.pool:Pool",
    "ray": "dreamactor_cli.executors.ray_cluster:RayCluster",
}


def executor_names() -> list[str]:
    """Names of all executors, those of other packages too."""
    return sorted({*EXECUTORS, *(point.name for point in entry_points(group="dreamactor.executors"))})


def load_executor(name: str, settings: Settings) -> Executor:
    """Make an executor.

    Raises:
        UsageError: there is none of this name.
        MissingRequirement: it needs a package, a device or a cluster that is not there.
    """
    where = EXECUTORS.get(name) or next((p.value for p in entry_points(group="dreamactor.executors", name=name)), None)
    if where is None:
        raise UsageError(f"there is no executor {name!r}", f"choose one of {', '.join(executor_names())}")
    module, _, attribute = where.partition(":")
    executor: Executor = getattr(import_module(module), attribute)(settings)
    return executor
