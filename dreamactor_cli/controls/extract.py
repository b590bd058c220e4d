"""Control signals of a clip, from the cache or measured: the only file here that knows media, cache and files of controls."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Signal
from dreamactor_cli.controls import load_extractor
from dreamactor_cli.controls.assemble import ChunkThumbs, Joiner
from dreamactor_cli.controls.chunk import chunks_of
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.measurer import Measurer, Window, info_from, info_to
from dreamactor_cli.controls.pool import SameProcess, WorkerPool
from dreamactor_cli.controls.scenes import find_cuts
from dreamactor_cli.controls.stills import image_controls
from dreamactor_cli.controls_file import SIGNALS, StoredControls, stream_metadata, write_signal
from dreamactor_cli.media import VideoInfo, probe, sha256_file

__all__ = ["Extraction", "Window", "extract_controls", "image_controls"]

FACTS = "facts"
FACTS_VERSION = "1"
# What a frame costs one core, ms: decides whether starting workers (about 1.5 s) pays; results do not depend on it.
_COST = {"face": 12, "head": 16, "body": 25, "hands": 50, "matte": 9, "appearance": 14}
_WORTH_A_POOL = 2500  # ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What was found in a clip.

    Attributes:
        stream: the signals.
        info: the video.
        cache_hits: signals that were read and not made.
        seconds: that it took.
        scene_cuts: first frame after each cut, counted from the start of the window.
    """

    stream: StoredControls
    info: VideoInfo
    source_sha256: str
    cache_hits: int
    warnings: tuple[str, ...]
    seconds: float
    scene_cuts: tuple[int, ...]


def extract_controls(
    path: Path,
    *,
    signals: Sequence[str],
    cache: Cache,
    start: Fraction = Fraction(0),
    duration: Fraction | None = None,
    fps: Fraction | None = None,
    subject: int | None = None,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    more_signals: Callable[[], Sequence[str]] | None = None,
) -> Extraction:
    """Control signals of a video.

    Signals that are in the cache are read from there; then nothing of the video is read but its hash.

    Args:
        path: a video.
        signals: names of `EXTRACTORS`.
        cache: where signals are kept.
        start, duration: of the window, seconds.
        fps: frames a second to sample; None is every frame.
        subject: whom to follow, from the left, counted from 1; None is the largest and steadiest.
        workers: processes; None is one a core. The result does not depend on it.
        on_progress: is given the frames that are done, and all frames.
        more_signals: names signals beyond ``signals``. It is asked as late as can be, when processes are there and know whom to
            follow: what it depends on may be found out meanwhile.

    Raises:
        UnreadableInput, NoStream, UnsafeInput: the video cannot be used.
        NoPersonFound: nobody is in it.
        UsageError: no such signal, subject or window.
        WorkerLost, JobTimeout, OutOfMemory, DiskFull: the work went wrong.
    """
    began = time.monotonic()
    path = Path(path)
    damaged = len(cache.damaged)
    sha256 = sha256_file_of(path)
    wanted = _Wanted(cache, partial(signal_keys, sha256, start=start, duration=duration, fps=fps, subject=subject))
    facts = _read_facts(cache.get(wanted.add(signals)), path)
    if facts is not None and not wanted.missing and more_signals is not None:
        wanted.add(more_signals())
        more_signals = None
    if facts is None or wanted.missing:
        info = facts.info if facts is not None else probe(path)
        run = _Run(path, info, Window.of(info, start, duration, fps), wanted, subject, workers, on_progress)
        facts = run.measure(cache, sha256, more_signals)
    names = list(wanted.keys)
    again = len(cache.damaged) - damaged
    told = (f"{again} damaged cache entries were made again",) if again else ()
    return Extraction(
        stream=StoredControls.open({name: wanted.files[name] for name in names}), info=facts.info, source_sha256=sha256,
        cache_hits=wanted.hits, warnings=(*facts.info.warnings, *facts.warnings, *told),
        seconds=time.monotonic() - began, scene_cuts=facts.cuts,
    )  # fmt: skip


def signal_keys(
    sha256: str,
    signals: Sequence[str],
    *,
    start: Fraction = Fraction(0),
    duration: Fraction | None = None,
    fps: Fraction | None = None,
    subject: int | None = None,
) -> dict[str, str]:
    """Keys in the cache of a clip's signals, and under `FACTS` that of what else is known of it; see `extract_controls`.

    Args:
        sha256: of the clip's bytes.

    Raises:
        UsageError: no such signal.
    """
    # A rate of 0 stands for the video's own, which is not known without a look into it.
    key = partial(
        Cache.signal_key, input_sha256=sha256, window=f"{start}+{'end' if duration is None else duration}", fps=fps or Fraction(0)
    )
    asked = {"subject": subject}
    found = {name: load_extractor(name) for name in signals}
    keys = {name: key(extractor=name, version=e.version, parameters={**e.parameters, **asked}) for name, e in found.items()}
    return {**keys, FACTS: key(extractor=FACTS, version=FACTS_VERSION, parameters=asked)}


def remembered_info(path: Path, cache: Cache, facts_key: str) -> VideoInfo | None:
    """What an extraction put into the cache about a clip; None if there was none."""
    facts = _read_facts(cache.get(facts_key), path)
    return facts.info if facts is not None else None


def sha256_file_of(path: Path) -> str:
    """Hash of a video; a file that cannot be read is reported as by `probe`."""
    try:
        return sha256_file(path)
    except OSError:
        probe(path)
        raise


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a clip beside its signals."""

    info: VideoInfo
    warnings: tuple[str, ...]
    cuts: tuple[int, ...]


class _Wanted:
    """Signals that are asked for, and those of them that are in the cache.

    Attributes:
        keys: of the signals, by name.
        facts_key: of what else is known of the clip.
        files: of the signals that are there.
        hits: how many of them were there from the start.
    """

    def __init__(self, cache: Cache, keys_of: Callable[[Sequence[str]], dict[str, str]]) -> None:
        self._cache, self._keys_of = cache, keys_of
        self.keys: dict[str, str] = {}
        self.files: dict[str, Path] = {}
        self.facts_key, self.hits = "", 0

    def add(self, signals: Sequence[str]) -> str:
        """Ask for signals too; the key of what else is known."""
        new = [name for name in dict.fromkeys(signals) if name not in self.keys]
        keys = self._keys_of(new)
        self.facts_key = keys.pop(FACTS)
        self.keys |= keys
        found = {name: file for name, key in keys.items() if (file := self._cache.get(key)) is not None}
        self.files |= found
        self.hits += len(found)
        return self.facts_key

    @property
    def missing(self) -> list[str]:
        """Signals that are to be measured."""
        return [name for name in self.keys if name not in self.files]


class _Run:
    """Measures the signals that are missing."""

    def __init__(
        self, path: Path, info: VideoInfo, window: Window, wanted: _Wanted, subject: int | None, workers: int | None,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:  # fmt: skip
        self._path, self._info, self._window, self._wanted, self._subject = path, info, window, wanted, subject
        self._chunks = chunks_of(window.num_frames)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._workers = max(1, min(workers or cores, len(self._chunks)))
        self._on_progress = on_progress or (lambda done, total: None)
        self._done = 0

    def measure(self, cache: Cache, sha256: str, more_signals: Callable[[], Sequence[str]] | None) -> _Facts:
        """Make the signals, put them into the cache, and say what else is known."""
        with cache.scratch() as scratch:
            warnings, parts = self._in_processes(scratch, more_signals)
            clip = Clip.load(scratch / "clip.safetensors")
            cuts = find_cuts(ChunkThumbs(parts, self._chunks))
            facts = _Facts(self._info, (*warnings, *self._told_of(cuts), *_told_of_face(clip, self._path.name)), tuple(cuts))
            for name in self._wanted.missing:
                joined = self._join(name, clip, parts, cuts, scratch)
                metadata, key = self._metadata(name, sha256), self._wanted.keys[name]
                put = cache.put(key, lambda path, n=name, j=joined, m=metadata: write_signal(path, n, j, m))  # type: ignore[misc]
                self._wanted.files[name] = put
            cache.put(self._wanted.facts_key, lambda path: _write_facts(path, facts))
        return facts

    def _in_processes(self, scratch: Path, more_signals: Callable[[], Sequence[str]] | None) -> tuple[list[str], list[Path]]:
        """Survey, then all chunks, here or in a pool."""
        window = [self._window.start, self._window.num_frames, str(self._window.fps), str(self._window.source_fps)]
        payload = {
            "path": str(self._path.absolute()), "info": info_to(self._info), "window": window, "signals": self._wanted.missing,
            "scratch": str(scratch), "subject": self._subject,
        }  # fmt: skip
        parts = [scratch / f"chunk-{k:05d}.safetensors" for k in range(len(self._chunks))]
        with ExitStack() as pools:
            alone = self._is_small()
            pool = self._pool(alone, payload, scratch)
            pools.push(pool)
            survey = pool.run([{"do": "survey"}], self._tell)[0]
            if more_signals is not None:
                self._wanted.add(more_signals())
            if alone and not self._is_small():  # it has become more than one process should do
                pool = self._pool(False, payload, scratch)
                pools.push(pool)
            tasks = [
                {"do": "chunk", "chunk": chunk, "file": str(part), "signals": self._wanted.missing}
                for chunk, part in zip(self._chunks, parts, strict=True)
            ]
            damaged = sum(result["damaged"] for result in pool.run(tasks, self._tell))
        told = [f"{damaged} frames of {self._path.name} are damaged and repeat the last good one"] if damaged else []
        return [*survey["warnings"], *told], parts

    def _is_small(self) -> bool:
        """Whether starting processes would take longer than it saves."""
        cost = self._window.num_frames * sum(_COST.get(name, 20) for name in self._wanted.missing)
        return self._workers == 1 or cost < _WORTH_A_POOL

    def _pool(self, alone: bool, payload: Mapping[str, Any], scratch: Path) -> SameProcess | WorkerPool:
        target = f"{Measurer.__module__}:{Measurer.__name__}"
        return SameProcess(Measurer, payload) if alone else WorkerPool(self._workers, target, payload, scratch)

    def _tell(self, message: Mapping[str, Any]) -> None:
        self._done += message["frames"]
        self._on_progress(self._done, self._window.num_frames)

    def _join(self, name: str, clip: Clip, parts: Sequence[Path], cuts: list[int], scratch: Path) -> list[Path]:
        """The signal as one file a chunk, as `write_signal` joins them."""
        joiner = Joiner(name, load_extractor(name), clip, parts, cuts[0] if cuts else None)
        files = []
        for number, arrays in enumerate(joiner):
            file = scratch / f"{name}-{number:05d}.safetensors"
            write_signal(file, name, arrays["matte"] if name == "matte" else _signal(name, arrays))
            files.append(file)
        return files

    def _metadata(self, name: str, sha256: str) -> dict[str, str]:
        return stream_metadata(
            fps=self._window.fps, width=self._info.width, height=self._info.height, source_sha256=sha256,
            extractor_versions={name: load_extractor(name).version},
        )  # fmt: skip

    def _told_of(self, cuts: Sequence[int]) -> list[str]:
        if not cuts:
            return []
        window = self._window
        times = ", ".join(f"{float(window.start / window.source_fps + cut / window.fps):.2f} s" for cut in cuts[:8])
        more = f" and {len(cuts) - 8} more" if len(cuts) > 8 else ""
        return [f"{self._path.name} has scene cuts at {times}{more}; use --start and --duration to keep to one scene"]


def _told_of_face(clip: Clip, name: str) -> list[str]:
    return [] if clip.landmarks is not None else [f"no face was seen in {name}, only a body is followed"]


def _signal(name: str, arrays: Mapping[str, np.ndarray]) -> Signal:
    kind = SIGNALS[name]
    return kind(**{field: np.ascontiguousarray(arrays[field], kind.DTYPES.get(field, np.float32)) for field in kind.SHAPES})


def _write_facts(path: Path, facts: _Facts) -> None:
    from safetensors.numpy import save_file

    text = json.dumps({"info": info_to(facts.info), "warnings": facts.warnings, "cuts": facts.cuts}, sort_keys=True)
    save_file({"cuts": np.array(facts.cuts, np.int64)}, str(path), {"facts": text})


def _read_facts(file: Path | None, path: Path) -> _Facts | None:
    if file is None:
        return None
    from safetensors import safe_open

    with safe_open(str(file), "numpy") as opened:
        values = json.loads(opened.metadata()["facts"])
    return _Facts(info_from(values["info"], path), tuple(values["warnings"]), tuple(values["cuts"]))
