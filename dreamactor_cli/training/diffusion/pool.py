"""Makes shards of clips ahead of the training, in processes of their own, and opens those that are there.

A run plans beforehand which shards it has at which step (`Pool.open_at`), so that what a step learns from does not depend on how
fast clips are made: training waits for a shard that is late. Several ranks that share a folder share the work: each makes every
n-th shard first, and of the others what is not there by then.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self

from dreamactor_cli.errors import WorkerLost
from dreamactor_cli.training.diffusion.sources import Source, numbered
from dreamactor_cli.training.diffusion.store import Shard, write_shard

CLIPS_A_SHARD = 32
_LOOK = 0.2  # seconds between looks for a shard that another rank may make
_JOINING = 0.25  # share of the steps over which shards join


class Pool:
    """Shards of a source.

    Args:
        source: of the clips.
        folder: of the shards; those that are there and fit are kept.
        workers: processes that make shards; 0 makes them when they are needed.
        clips_a_shard: as it says.
    """

    def __init__(self, source: Source, folder: Path, *, workers: int = 1, clips_a_shard: int = CLIPS_A_SHARD) -> None:
        self._source, self._folder = source, folder
        self._plan = source.shards(clips_a_shard)
        self._key = hashlib.sha256(f"{source.key}/{clips_a_shard}".encode()).hexdigest()[:12]
        self._open: dict[int, Shard] = {}
        self._pending: dict[int, Future[None]] = {}
        self._workers = None
        if workers and any(not self.path(k).exists() for k in range(len(self._plan))):
            self._workers = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._workers is not None:
            self._workers.shutdown(wait=error is None, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._plan)

    @property
    def key(self) -> str:
        """What the shards depend on."""
        return self._key

    def path(self, index: int) -> Path:
        """File of a shard."""
        return self._folder / f"{self._key}-{index:05d}.safetensors"

    def start(self) -> None:
        """Have all shards made that are not there, in their order, this rank's own first."""
        if self._workers is None:
            return
        rank, ranks = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
        for index in sorted(range(len(self._plan)), key=lambda index: (index % ranks != rank, index)):
            if index not in self._pending and not self.path(index).exists():
                self._pending[index] = self._workers.submit(make_shard, self._source, self._plan[index], self.path(index))

    def open_at(self, step: int, steps: int) -> int:
        """How many shards, the first ones, a step draws from."""
        joining = max(1, round(_JOINING * steps))
        return min(len(self._plan), 1 + step * len(self._plan) // joining)

    def shard(self, index: int) -> Shard:
        """A shard, when it is there.

        Raises:
            WorkerLost: the process that makes it died.
            DreamActorError: what went wrong when it was made.
        """
        if index not in self._open:
            pending = self._pending.pop(index, None)
            if pending is not None:
                self._wait(pending, self.path(index))
            elif not self.path(index).exists():
                make_shard(self._source, self._plan[index], self.path(index))
            self._open[index] = Shard(self.path(index))
        return self._open[index]

    @staticmethod
    def _wait(pending: Future[None], path: Path) -> None:
        """Wait until a shard is there, whoever made it."""
        while not path.exists():
            try:
                pending.result(timeout=_LOOK)
                return
            except BrokenProcessPool as error:
                raise WorkerLost("a process that makes clips died", "run again; with less memory, say --workers 1") from error
            except TimeoutError:
                if pending.done():
                    raise

    def prepare(self, say: Callable[[str], None]) -> None:
        """Wait until all shards are there."""
        self.start()
        for index in range(len(self._plan)):
            self.shard(index)
            if index + 1 == len(self._plan) or (index + 1) % 10 == 0:
                say(f"clips: {index + 1} of {len(self._plan)} shards")


def make_shard(source: Source, numbers: Sequence[int], path: Path) -> None:
    """Make the clips of a shard and write them, unless somebody did; a worker's task."""
    if path.exists():
        return
    write_shard(path, list(numbered(source, numbers)), {"source": source.key})
