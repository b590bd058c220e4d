"""How many workers there are, where they work, and how much of the machine each may take."""

from __future__ import annotations

import os
from dataclasses import dataclass

# What bounds the threads of OpenMP, of the BLAS libraries and of numba, if it is set before they are loaded.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the command line says of the workers.

    Attributes:
        devices: CUDA devices as in ``CUDA_VISIBLE_DEVICES``, one worker each; empty is the CPU.
        workers: on the CPU, or in all of a cluster; None is one a core, or one a device of the cluster.
        timeout: seconds after which a task counts as hung; None is never.
        address: of a cluster.
    """

    devices: tuple[str, ...] = ()
    workers: int | None = None
    timeout: float | None = None
    address: str = "auto"

    @property
    def count(self) -> int:
        """Workers on this machine."""
        return len(self.devices) or self.workers or cores()

    @property
    def share(self) -> int:
        """Cores for each of the workers on this machine."""
        return max(cores() // self.count, 1)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
