"""The speech signal: what the mouth does, heard in the sound of a file, from the cache or by a `hearer.Hearer`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dreamactor_cli.cache import Cache
from dreamactor_cli.controls.hearer import MEL, WHISPER, Hearer, weights_of
from dreamactor_cli.controls.pool import SameProcess, WorkerPool
from dreamactor_cli.controls.speech_check import Hearing
from dreamactor_cli.controls_file import StoredControls, stream_metadata, write_signal
from dreamactor_cli.media import sha256_file

__all__ = ["MEL", "WHISPER", "Heard", "hear"]

VERSION = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A sound, heard.

    Attributes:
        stream: the speech signal, one frame a picture; its size is 1x1 px, as sound has none.
        seconds: length of the sound, exact to the sample.
        hearing: what kind of sound it is.
        cache_hits: 1 if it was heard before.
    """

    stream: StoredControls
    seconds: Fraction
    hearing: Hearing
    warnings: tuple[str, ...]
    cache_hits: int


def hear(
    path: Path,
    *,
    fps: Fraction,
    cache: Cache,
    start: Fraction = Fraction(0),
    duration: Fraction | None = None,
    encoder: str = MEL,
    apart: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Heard:
    """Articulation of the speech in a file, one frame a picture.

    Args:
        path: a sound or a video.
        fps: of the pictures.
        start, duration: of the window, seconds, see `media.read_sound`.
        encoder: ``"mel"``, or ``"whisper:NAME"``, or ``"whisper:FOLDER"`` with a head that was trained.
        apart: hear in a process of its own, unless torch, which takes seconds to load, is here already.
        on_progress: is given the frames that are done, and all frames.

    Raises:
        UnreadableInput, NoStream: there is no sound to be heard.
        MissingRequirement: the encoder's weights are not there.
        UsageError: the window is empty.
    """
    weights = weights_of(encoder)
    sha256 = sha256_file(path)
    key, facts_key = (
        cache.signal_key(
            input_sha256=sha256, window=f"{start}+{'end' if duration is None else duration}", fps=fps, extractor=name,
            version=VERSION, parameters={"encoder": encoder.partition(":")[0]}, weights_sha256=weights,
        )
        for name in ("speech", "heard")
    )  # fmt: skip
    signal, facts = cache.get(key), cache.get(facts_key)
    hits = 1
    if signal is None or facts is None:
        with cache.scratch() as scratch:
            task = {
                "path": str(path.absolute()), "fps": str(fps), "start": str(start), "scratch": str(scratch),
                "duration": None if duration is None else str(duration),
            }  # fmt: skip
            with _process(encoder, scratch, apart=apart and "torch" not in sys.modules) as pool:
                (result,) = pool.run([task], partial(_tell, on_progress))
            parts, found = [Path(part) for part in result["parts"]], result["found"]
            metadata = stream_metadata(fps=fps, width=1, height=1, source_sha256=sha256, extractor_versions={"speech": VERSION})
            signal = cache.put(key, lambda to: write_signal(to, "speech", parts, metadata))
            facts = cache.put(facts_key, lambda to: _write_facts(to, found))
        hits = 0
    known = _read_facts(facts)
    hearing = Hearing(**known["hearing"])
    told = known["damaged"]
    damaged = (f"{told} packets of the sound of {path.name} are damaged and count as silence",) if told else ()
    return Heard(
        stream=StoredControls.open({"speech": signal}), seconds=Fraction(known["seconds"]), hearing=hearing,
        warnings=(*hearing.warnings(path.name), *damaged), cache_hits=hits,
    )  # fmt: skip


def _process(encoder: str, logs: Path, *, apart: bool) -> SameProcess | WorkerPool:
    """What hears; on one thread, because how a library spreads a sum over threads must not show in the result."""
    payload = {"encoder": encoder}
    return WorkerPool(1, f"{Hearer.__module__}:{Hearer.__name__}", payload, logs) if apart else SameProcess(Hearer, payload)


def _tell(on_progress: Callable[[int, int], None] | None, message: Mapping[str, Any]) -> None:
    if on_progress is not None:
        on_progress(message["done"], message["total"])


def _write_facts(path: Path, facts: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    save_file({"none": np.zeros(1, np.uint8)}, str(path), {"facts": json.dumps(facts, sort_keys=True)})


def _read_facts(path: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(str(path), "numpy") as opened:
        facts: dict[str, Any] = json.loads(opened.metadata()["facts"])
        return facts
