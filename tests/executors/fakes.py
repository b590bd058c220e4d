"""Renderers that do what real ones do on their worst days; named as ``fakes:Class``, so that a worker's process finds them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

import numpy as np

from dreamactor_cli.contracts import U8, ControlStream, Reference, RendererSpec, RenderSettings

SPEC = RendererSpec(name="fake", version="1", needs=("face", "head"), reference_needs=("face", "head"))
made = 0  # renderers in this process


class Plain:
    """Grey frames; the grey tells how many renderers this process has made."""

    spec = SPEC

    def __init__(self) -> None:
        global made
        made += 1
        self.grey = 40 * made

    def prepare(self, reference: Reference, settings: RenderSettings) -> None:
        """Nothing is to be made ready."""

    def render(self, reference: Reference, controls: ControlStream, settings: RenderSettings) -> Iterator[U8]:
        for _ in range(controls.num_frames):
            self.happens(settings)
            yield np.full((1, settings.height, settings.width, 3), self.grey, np.uint8)

    def happens(self, settings: RenderSettings) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing is held."""


class Other(Plain):
    """Another renderer, so that a worker must load anew."""


class Exits(Plain):
    def happens(self, settings: RenderSettings) -> None:
        os._exit(7)


class ExitsQuietly(Plain):
    def happens(self, settings: RenderSettings) -> None:
        os._exit(0)


class Killed(Plain):
    def happens(self, settings: RenderSettings) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Hangs(Plain):
    """Half a clip, then nothing more."""

    count = 0

    def happens(self, settings: RenderSettings) -> None:
        self.count += 1
        if self.count > 3:
            time.sleep(1000)


class HangsForGood(Hangs):
    """Does not listen to signals either."""

    def happens(self, settings: RenderSettings) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        super().happens(settings)


class Raises(Plain):
    def happens(self, settings: RenderSettings) -> None:
        raise RuntimeError("nothing goes right")


class Greedy(Plain):
    """Needs less memory to be asked for."""

    def happens(self, settings: RenderSettings) -> None:
        if settings.memory < 2:
            raise MemoryError


class DiesOnce(Plain):
    def happens(self, settings: RenderSettings) -> None:
        if settings.memory == 0:
            os._exit(1)


class Slow(Plain):
    def happens(self, settings: RenderSettings) -> None:
        time.sleep(0.2)


class TellsDevice(Plain):
    """Says which device was set before torch could be loaded, by failing."""

    def happens(self, settings: RenderSettings) -> None:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        raise RuntimeError(f"{settings.device} {seen} torch={'torch' in sys.modules} threads={os.environ['OMP_NUM_THREADS']}")
