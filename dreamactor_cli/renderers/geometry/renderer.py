"""The geometry renderer: a picture moved on the CPU, without weights, faster than real time.

A portrait is drawn by `portrait.Actor`; a picture of a body whose controls say how it moves by `body.BodyActor`.
Frames do not depend on each other, so that they are drawn by several threads; the kernels and OpenCV release the GIL.
The kernels and what compiles them are loaded with the first actor: who plans a run asks what is needed, and draws nothing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dreamactor_cli.body_space import shows_body
from dreamactor_cli.contracts import ControlStream, Reference, RendererSpec, RenderSettings
from dreamactor_cli.renderers.geometry.bars import Bars

if TYPE_CHECKING:
    from dreamactor_cli.renderers.geometry.body import BodyActor
    from dreamactor_cli.renderers.geometry.portrait import Actor

U8 = NDArray[np.uint8]

MOVING = frozenset({"all", "body", "hands"})  # regions that move a body
WINDOW = 32  # frames of controls read at a time


class GeometryRenderer:
    """See the module's docstring. Needs no device and no weights."""

    spec = RendererSpec(
        name="geometry", version="22", needs=("face", "head"), reference_needs=("face", "head", "matte"), size_multiple=1,
        body_needs=("body", "hands"),
    )  # fmt: skip

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or min(8, os.cpu_count() or 1)
        self._ready: tuple[Reference, bool, bool, bool, Actor | BodyActor] | None = None
        self._cut: tuple[Reference, Bars, Reference] | None = None

    def prepare(self, reference: Reference, settings: RenderSettings) -> None:
        """Make the actor of a reference; it is kept until another one is asked for."""
        _, reference = self._without_bars(reference)
        height, width = reference.images.shape[1:3]
        moves = reference.controls.face is None or not MOVING.isdisjoint(settings.preset.region)
        self._actor(reference, settings, body=moves and shows_body(reference.controls.body, width, height))

    def _without_bars(self, reference: Reference) -> tuple[Bars, Reference]:
        """The bars of a reference's first picture, and the reference without them."""
        if self._cut is None or self._cut[0] is not reference:
            bars = Bars(reference.images[0])
            self._cut = reference, bars, bars.cut(reference)
        return self._cut[1:]

    def _actor(self, reference: Reference, settings: RenderSettings, *, body: bool) -> Actor | BodyActor:
        """The actor of a reference, with a body that moves or without."""
        from dreamactor_cli.renderers.geometry.body import BodyActor
        from dreamactor_cli.renderers.geometry.portrait import Actor

        driver_mouth, relight = settings.preset.mouth == "driver", settings.preset.relight
        if self._ready is None or self._ready[0] is not reference or self._ready[1:4] != (driver_mouth, relight, body):
            make = BodyActor if body else Actor
            with threadpool_limits(1):  # how a library spreads a sum over threads must not show in the output
                made = make(reference, driver_mouth=driver_mouth, relight=relight)
            self._ready = reference, driver_mouth, relight, body, made
        return self._ready[-1]

    def render(self, reference: Reference, controls: ControlStream, settings: RenderSettings) -> Iterator[U8]:
        """Yield single frames (1, H, W, 3) or (1, H, W, 4), in order."""
        from dreamactor_cli.renderers.geometry.body import BodyActor

        cv2.setNumThreads(1)  # the frames are what is parallel
        bars, reference = self._without_bars(reference)
        known = reference.controls
        shown = shows_body(known.body, known.width, known.height)
        body = known.face is None or (shown and controls.window(0, 1).body is not None)
        actor = self._actor(reference, settings, body=body)
        threads = max((settings.threads or self.threads) >> settings.memory, 1)
        told = False
        waiting: deque[Future[U8]] = deque()
        with threadpool_limits(1), ThreadPoolExecutor(threads, thread_name_prefix="geometry") as pool:
            try:
                for start in range(0, controls.num_frames, WINDOW):
                    window = bars.moved(controls.window(start, start + WINDOW))
                    if not told and isinstance(actor, BodyActor) and actor.turns_too_far(window):
                        told = True
                        settings.warn("the driver turns further than one picture can follow: the torso is held at 35 degrees")
                    for index in range(window.num_frames):
                        waiting.append(pool.submit(actor.draw, window, index, settings.alpha))
                        if len(waiting) > 2 * threads:
                            yield bars.around(waiting.popleft().result())[None]
                while waiting:
                    yield bars.around(waiting.popleft().result())[None]
            finally:
                for task in waiting:
                    task.cancel()

    def close(self) -> None:
        """Forget the actor."""
        self._ready = self._cut = None
