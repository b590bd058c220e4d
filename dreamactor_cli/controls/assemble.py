"""Join the chunks of a signal: hold what was not seen, and forget what a scene cut made meaningless."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.controls.base import Arrays, Extractor
from dreamactor_cli.controls.clip import Clip


def load_signal(path: Path, name: str) -> Arrays:
    """Fields (T, ...) of one signal in the file of a chunk."""
    from safetensors import safe_open

    prefix = f"{name}."
    with safe_open(str(path), "numpy") as file:
        keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118
        return {key.removeprefix(prefix): file.get_tensor(key) for key in keys}


class ChunkThumbs:
    """Small pictures of all frames, read from the files of the chunks as they are asked for; see `scenes.Thumbs`.

    Args:
        chunks: file of each chunk, in order.
        spans: first frame of each chunk, and one past its last.
    """

    def __init__(self, chunks: Sequence[Path], spans: Sequence[tuple[int, int]]) -> None:
        self._chunks, self._spans = chunks, spans

    def __len__(self) -> int:
        return self._spans[-1][1]

    def __getitem__(self, frames: slice) -> U8:
        from safetensors import safe_open

        start, stop, _ = frames.indices(len(self))
        parts = []
        for path, (first, end) in zip(self._chunks, self._spans, strict=True):
            if first < stop and start < end:
                with safe_open(str(path), "numpy") as file:
                    parts.append(file.get_slice("thumbs")[max(start - first, 0) : min(stop, end) - first])
        return np.concatenate(parts)


def _seen(score: np.ndarray, field: np.ndarray) -> NDArray[np.bool_]:
    """Where a field is good: (T,), or (T, 2) for what is seen or not a side (hands)."""
    if score.ndim == 2 and score.shape[1] == 2 and field.ndim > 2 and field.shape[1] == 2:
        return score > 0
    return score > 0 if score.ndim == 1 else (score > 0).any(1)


def _hold(field: np.ndarray, seen: NDArray[np.bool_], last: np.ndarray) -> np.ndarray:
    """The field (T, ...) with the last good value where nothing was seen; ``last`` (...) before the first one."""
    if seen.ndim == 2:
        return np.stack([_hold(field[:, k], seen[:, k], last[k]) for k in range(seen.shape[1])], 1)
    if seen.all():
        return field
    source = np.maximum.accumulate(np.where(seen, np.arange(1, len(field) + 1), 0))
    return np.concatenate([last[None].astype(field.dtype), field])[source]


class Joiner:
    """Arrays of one signal, chunk by chunk, in order.

    Args:
        name: of the signal.
        extractor: its class.
        clip: that was measured.
        chunks: file of each chunk.
        cut: first frame after the first scene cut; None if there is none.
    """

    def __init__(self, name: str, extractor: type[Extractor], clip: Clip, chunks: Sequence[Path], cut: int | None) -> None:
        self._name, self._extractor, self._clip, self._chunks, self._cut = name, extractor, clip, chunks, cut

    def __iter__(self) -> Iterator[Arrays]:
        """Every field of each chunk."""
        whole = self._extractor.whole(self._clip)
        last = self._first_good()
        start = 0
        for path in self._chunks:
            arrays = load_signal(path, self._name)
            for field in self._extractor.held:
                arrays[field] = _hold(arrays[field], _seen(arrays["score"], arrays[field]), last[field])
                if len(arrays[field]):
                    last[field] = arrays[field][-1]
            frames = len(next(iter(arrays.values())))
            if self._cut is not None and start + frames > self._cut:
                for field, value in self._extractor.after_cut.items():
                    arrays[field][max(self._cut - start, 0) :] = value
            start += frames
            yield {**arrays, **whole}

    def _first_good(self) -> Arrays:
        """First good value of each held field, each side of it by itself; what the extractor says where there is none."""
        missing = dict.fromkeys(self._extractor.held)
        found: Arrays = {}
        for path in self._chunks:
            if not missing:
                break
            arrays = load_signal(path, self._name)
            for field in list(missing):
                value, seen = arrays[field], _seen(arrays["score"], arrays[field])
                self._note(found, field, value, seen)
                if field in found and (seen.ndim == 1 or all(found[f"{field}/{k}"] for k in range(seen.shape[1]))):
                    del missing[field]
        unseen = self._extractor.unseen(self._clip)
        shapes = {f: a.shape[1:] for f, a in load_signal(self._chunks[0], self._name).items()}
        return {f: np.array(found.get(f, unseen.get(f, np.zeros(shapes[f]))), copy=True) for f in self._extractor.held}

    @staticmethod
    def _note(found: Arrays, field: str, value: np.ndarray, seen: NDArray[np.bool_]) -> None:
        if seen.ndim == 1:
            if seen.any():
                found.setdefault(field, value[int(seen.argmax())])
            return
        if seen.any():
            found.setdefault(field, np.zeros(value.shape[1:], value.dtype))
        for side in range(seen.shape[1]):
            found.setdefault(f"{field}/{side}", False)
            if seen[:, side].any() and not found[f"{field}/{side}"]:
                found[field][side] = value[int(seen[:, side].argmax()), side]
                found[f"{field}/{side}"] = True
