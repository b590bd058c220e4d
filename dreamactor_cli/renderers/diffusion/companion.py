"""A companion: a process that computes its share of the tokens of a clip that another process draws, and keeps no frame.

It reads messages from its input, each a line of JSON and arrays in the form of safetensors: what to load; then for each clip the
references and how to draw it, and what moves each segment when it is its turn. It ends with its input, whatever it is doing.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from dreamactor_cli.contracts import Preset
from dreamactor_cli.models.conditions import Conditions, References

START = "from dreamactor_cli.renderers.diffusion.companion import serve; serve()"
MEETING = "meeting"  # file of a folder that all ranks know; beside it each companion leaves what follows

Arrays = dict[str, NDArray[Any]]
Message = tuple[dict[str, Any], Arrays]


def ready_file(folder: Path, rank: int) -> Path:
    """Is there when a companion has loaded its weights."""
    return folder / f"ready-{rank}"


def failure_file(folder: Path, rank: int) -> Path:
    """What made a companion end: JSON with ``message`` and ``memory``, whether that ran out."""
    return folder / f"failure-{rank}.json"


def send(pipe: IO[bytes], about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any] | None]) -> None:
    """Write a message; arrays that are None are left out."""
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None})
    pipe.write(json.dumps({**about, "bytes": len(data)}).encode() + b"\n" + data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Message | None:
    """Read a message; None at the end."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        return None
    about = json.loads(line)
    data = pipe.read(about.pop("bytes"))
    return about, load(data)


def serve() -> None:
    """Body of the process."""
    messages: SimpleQueue[Message] = SimpleQueue()
    threading.Thread(target=_listen, args=(messages,), name="input", daemon=True).start()
    first, _ = messages.get()
    try:
        _accompany(first, messages)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the process that draws must hear of it
        from dreamactor_cli.errors import OutOfMemory
        from dreamactor_cli.models.memory import is_out_of_memory

        memory = isinstance(error, OutOfMemory) or is_out_of_memory(error)
        failure = {"message": f"{type(error).__name__}: {error}"[:400], "memory": memory}
        failure_file(Path(first["folder"]), first["rank"]).write_text(json.dumps(failure), "utf-8")
    os._exit(1)  # at once, or the others would wait for threads of libraries


def _listen(messages: SimpleQueue[Message]) -> None:
    while (message := receive(sys.stdin.buffer)) is not None:
        messages.put(message)
    os._exit(0)  # who draws has ended, or wants no more


def _accompany(first: dict[str, Any], messages: SimpleQueue[Message]) -> None:
    """Load, join, and go along with one clip after the other."""
    import torch

    from dreamactor_cli.models.memory import Ladder
    from dreamactor_cli.models.parallel import join, share_tokens
    from dreamactor_cli.models.sampling import Sampling
    from dreamactor_cli.renderers.diffusion.loading import drawn, load_pipeline

    preset, device, rank, folder = Preset(**first["preset"]), first["device"], first["rank"], Path(first["folder"])
    if device == "cuda":
        torch.cuda.set_device(rank)
    pipeline = load_pipeline(Path(first["weights"]), preset, device)
    ready_file(folder, rank).touch()
    join(rank, preset.context_parallel, folder / MEETING, device)
    share_tokens(pipeline.models.transformer, preset.context_parallel)

    def conditions(start: int, stop: int) -> Conditions:  # noqa: ARG001 - they are sent in the order in which they are asked for
        return Conditions(**messages.get()[1])

    while True:
        clip, arrays = messages.get()
        sampling = Sampling(**clip["sampling"])
        ladder = Ladder(
            _ignore, frames=sampling.segment_frames, can_offload=device != "cpu", taken=clip["taken"], shared=True
        )  # fmt: skip
        for _ in drawn(pipeline.render(References(**arrays), conditions, clip["num_frames"], sampling, ladder), device):
            pass


def _ignore(text: str) -> None:
    """Who draws says the same."""
