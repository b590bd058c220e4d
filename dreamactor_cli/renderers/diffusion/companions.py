"""One clip on several devices: the process that renders is rank 0, and starts a companion for every other rank.

All run the very same pipeline with the same seed, so that their exchanges of tokens meet; see `models.parallel`. Between
segments companions wait for a message and not for an exchange: whoever takes the frames may take their time.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray

from dreamactor_cli.contracts import U8, Preset
from dreamactor_cli.errors import DreamActorError, MissingRequirement, OutOfMemory, UsageError, WorkerLost
from dreamactor_cli.fresh_python import fresh_python
from dreamactor_cli.models.conditions import Conditions, References
from dreamactor_cli.models.memory import Ladder
from dreamactor_cli.models.parallel import join, leave, share_tokens
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.sampling import Sampling
from dreamactor_cli.renderers.diffusion.companion import MEETING, START, failure_file, ready_file, send
from dreamactor_cli.renderers.diffusion.stage import MULTIPLE

_LOOK = 0.05  # seconds between looks for companions that are ready
_GRACE = 5.0  # seconds in which a companion that broke an exchange has ended


def check_ranks(preset: Preset) -> None:
    """Refuse what cannot be shared out on this machine.

    Raises:
        UsageError: a step cache that decides by a rank's own tokens.
        MissingRequirement: there are GPUs, but fewer than ranks.
    """
    import torch

    wanted, seen = preset.context_parallel, torch.cuda.device_count()
    if preset.step_cache in ("first-block", "mag"):
        what = f"--step-cache {preset.step_cache} does not go with --context-parallel: devices could skip different steps"
        raise UsageError(what, "use --step-cache taylor")
    if 0 < seen < wanted:
        raise MissingRequirement(
            f"--context-parallel {wanted} needs {wanted} CUDA devices, and {seen} can be seen here",
            "give a smaller number; workers of `dreamactor render` see one device each, so use `dreamactor animate`",
        )


def check_tokens(references: References, degree: int) -> None:
    """Refuse a size whose tokens gloo, which needs even shares, cannot share out.

    Raises:
        UsageError: the number of ranks does not divide them.
    """
    height, width = references.images.shape[1:3]
    tokens = (height // MULTIPLE) * (width // MULTIPLE)
    if tokens % degree:
        what = f"on the CPU {tokens} tokens a frame cannot be shared among {degree}, as --context-parallel asks"
        raise UsageError(what, "give a number that divides them")


class SharedPipeline:
    """A `DreamActorPipeline` of which every rank has a copy; draws as that does.

    Args:
        weights: their folder.
        device: ``"cpu"`` or ``"cuda"``.
        load: this process's own copy; companions load theirs meanwhile.

    Raises:
        WorkerLost, OutOfMemory: a companion ended before it was ready.
    """

    def __init__(self, weights: Path, preset: Preset, device: str, load: Callable[[], DreamActorPipeline]) -> None:
        self._device, self._degree = device, preset.context_parallel
        self._scratch = TemporaryDirectory(prefix="dreamactor-ranks-", ignore_cleanup_errors=True)
        self._folder = Path(self._scratch.name)
        self._companions: dict[int, subprocess.Popen[bytes]] = {}
        self._lost, self._closed = threading.Event(), threading.Event()
        try:
            for rank in range(1, self._degree):
                self._start(rank)
            about = {"weights": str(weights), "folder": str(self._folder), "device": device, "preset": asdict(preset)}
            for rank in self._companions:
                self._send({**about, "rank": rank}, {}, rank)
            self._pipeline = load()
            self._wait_until_ready()
            join(0, self._degree, self._folder / MEETING, device)
            share_tokens(self._pipeline.models.transformer, self._degree)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether another clip can be drawn."""
        return not (self._closed.is_set() or self._lost.is_set())

    def render(
        self, references: References, conditions: Callable[[int, int], Conditions], num_frames: int, sampling: Sampling,
        ladder: Ladder, on_step: Callable[[int, int], None] | None = None,
    ) -> Iterator[U8]:  # fmt: skip
        """As `DreamActorPipeline.render`. A clip that is not drawn to its end takes the companions with it.

        Raises:
            WorkerLost: a companion ended.
            OutOfMemory: memory ran out on any rank.
            UsageError: this number of tokens cannot be shared out.
        """
        if self._device == "cpu":
            check_tokens(references, self._degree)

        def told(start: int, stop: int) -> Conditions:
            found = conditions(start, stop)
            self._send({}, {"poses": found.poses, "face": found.face, "speech": found.speech})
            return found

        drawn = False
        try:
            about = {"num_frames": num_frames, "sampling": asdict(sampling), "taken": ladder.taken}
            self._send(about, {"images": references.images, "poses": references.poses})
            for frames in self._pipeline.render(references, told, num_frames, sampling, ladder, on_step):
                if self._lost.is_set():  # an exchange on a GPU that was broken off may have given anything
                    raise self._loss()
                yield frames
            drawn = True
        except RuntimeError as error:
            if self._lost.wait(_GRACE):
                raise self._loss() from error
            raise
        finally:
            if not drawn:
                self.close()

    def close(self) -> None:
        """End the companions, which hold nothing that would have to be saved."""
        if self._closed.is_set():
            return
        self._closed.set()
        for process in self._companions.values():
            process.kill()
            process.wait()
            assert process.stdin is not None
            with suppress(OSError):  # unsent bytes
                process.stdin.close()
        leave(self._device)
        self._scratch.cleanup()

    def _start(self, rank: int) -> None:
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if self._device == "cpu" else {}
        command, environment = fresh_python(START, **hidden)
        with open(self._folder / f"log-{rank}.txt", "wb") as log:
            # In a session of its own: Ctrl-C is for who draws, and its companions end with it.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._companions[rank] = process
        threading.Thread(target=self._watch, args=(process,), name=f"rank-{rank}", daemon=True).start()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Notice the end of a companion, and let nobody wait for it: gloo notices by itself, NCCL does not."""
        process.wait()
        if self._closed.is_set():
            return
        self._lost.set()
        if self._device == "cuda":
            leave(self._device)

    def _send(self, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any] | None], only: int | None = None) -> None:
        for rank, process in self._companions.items():
            if only in (None, rank):
                assert process.stdin is not None
                with suppress(OSError):  # one that has ended is noticed by its watcher
                    send(process.stdin, about, arrays)

    def _wait_until_ready(self) -> None:
        while not all(ready_file(self._folder, rank).exists() for rank in self._companions):
            if self._lost.wait(_LOOK):
                raise self._loss()

    def _loss(self) -> DreamActorError:
        """Why a companion ended: the one that fell first, and not those that it took along."""
        ended = [(rank, process.returncode) for rank, process in self._companions.items() if process.poll() is not None]
        told: list[tuple[int, Mapping[str, Any]]] = []
        for rank, code in ended:
            with suppress(OSError, ValueError):
                told.append((rank, json.loads(failure_file(self._folder, rank).read_text("utf-8"))))
                continue
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            return WorkerLost(f"the process of rank {rank} of {self._degree} {how}{self._last_line(rank)}", "run it again")
        for rank, failure in told:
            if failure["memory"]:
                return OutOfMemory(f"rank {rank}: {failure['message']}", "ask for a smaller --size or --segment-frames")
        rank, failure = told[0]
        return WorkerLost(f"the process of rank {rank} of {self._degree} failed: {failure['message']}", "run it again")

    def _last_line(self, rank: int) -> str:
        with suppress(OSError):
            lines = (self._folder / f"log-{rank}.txt").read_text("utf-8", "replace").strip().splitlines()
            return f": {lines[-1][:200]}" if lines else ""
        return ""
