"""The work of one process on one clip: survey and chunks, from decoding to arrays in files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dreamactor_cli.contracts import U8
from dreamactor_cli.controls import load_extractor
from dreamactor_cli.controls.chunk import WARM_UP, measure_chunk
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.finder import FaceFinder
from dreamactor_cli.controls.graphs import FaceMesh
from dreamactor_cli.errors import UsageError
from dreamactor_cli.media import VideoInfo, read_frames

_OF_THE_FACE = {"face", "head", "appearance"}


@dataclass(frozen=True, slots=True)
class Window:
    """Which frames of a video are sampled: ``num_frames`` at ``fps``, from frame ``start`` of the video."""

    start: int
    num_frames: int
    fps: Fraction
    source_fps: Fraction

    @classmethod
    def of(cls, info: VideoInfo, start: Fraction, duration: Fraction | None, fps: Fraction | None) -> Window:
        """Raises UsageError for a window without a frame."""
        first = round(start * info.fps)
        left = info.num_frames - first
        if start < 0 or left < 1 or (duration is not None and duration <= 0):
            what = f"the window of {info.path.name} is empty: it lasts {float(info.duration):.2f} s"
            raise UsageError(what, "choose another --start or --duration")
        frames = left if duration is None else min(left, max(round(duration * info.fps), 1))
        rate = fps or info.fps
        return cls(first, max(round(frames * rate / info.fps), 1), rate, info.fps)

    def source(self, frame: int) -> int:
        """Frame of the video that is shown at a frame of the window."""
        return self.start + int(frame * self.source_fps / self.fps)


class _Shown(NamedTuple):
    """A frame of the window, (H, W, 3), and whether it stands in for one that could not be decoded."""

    frame: int
    picture: U8
    damaged: bool


class Source:
    """Frames of a window. It goes on where it stopped, so that consecutive chunks are decoded once and without a seek."""

    def __init__(self, window: Window, path: Path, info: VideoInfo) -> None:
        self._window, self._path, self._info = window, path, info
        self._recent: deque[_Shown] = deque(maxlen=WARM_UP)
        self._ahead: Iterator[_Shown] = iter(())
        self._next = -1  # frame that `_ahead` gives

    def frames(self, start: int, stop: int) -> Iterator[_Shown]:
        """Frames start..stop-1 of the window."""
        known = [shown for shown in self._recent if start <= shown.frame < stop]
        if self._next != start + len(known):
            self.close()
            known, self._ahead, self._next = [], self._read(start), start
        yield from known
        while self._next < stop:
            shown = next(self._ahead)
            self._recent.append(shown)
            self._next += 1
            yield shown

    def _read(self, start: int) -> Iterator[_Shown]:
        window, last = self._window, self._info.num_frames - 1
        wanted = [min(window.source(frame), last) for frame in range(start, window.num_frames)]
        with read_frames(self._path, wanted[0], wanted[-1] + 1, info=self._info, accurate=False) as reader:
            position, picture = wanted[0] - 1, None
            for frame, index in enumerate(wanted, start):
                before = reader.repeated
                while position < index:
                    picture = next(reader)
                    position += 1
                assert picture is not None
                yield _Shown(frame, picture, reader.repeated > before)

    def close(self) -> None:
        """Close the file."""
        with suppress(AttributeError):  # nothing was read yet
            self._ahead.close()  # type: ignore[attr-defined]
        self._recent.clear()
        self._ahead, self._next = iter(()), -1


class Measurer:
    """Handles the tasks ``survey`` and ``chunk`` of `extract`."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        path = Path(payload["path"])
        self._window = Window(*payload["window"][:2], *map(Fraction, payload["window"][2:]))
        self._source = Source(self._window, path, info_from(payload["info"], path))
        self._name = path.name
        self._signals: list[str] = payload["signals"]
        self._scratch = Path(payload["scratch"])
        self._subject: int | None = payload["subject"]
        self._clip: Clip | None = None
        mesh = FaceMesh()
        self._kept: dict[str, Any] = {"face mesh": mesh, "finder": FaceFinder(mesh)}
        self._prepare()

    def _prepare(self) -> None:
        """Load what does not depend on the clip, while another process surveys it."""
        for name in self._signals:
            load_extractor(name)
        if _OF_THE_FACE & set(self._signals):
            from dreamactor_cli.controls.atlas import face_atlas

            face_atlas()
            self._kept["face mesh"].prepare()

    def __call__(self, task: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
        """Do a task; `tell` hears of frames that are done."""
        if task["do"] == "survey":
            return {"warnings": self._survey()}
        start, stop = task["chunk"]
        file, signals = Path(task["file"]), task["signals"]
        return {"damaged": self._measure(start, stop, file, signals, lambda frames: tell({"frames": frames}))}

    def close(self) -> None:
        """Give back graphs and file."""
        self._source.close()
        for kept in self._kept.values():
            if hasattr(kept, "close"):
                kept.close()
        self._kept.clear()

    def _survey(self) -> list[str]:
        from dreamactor_cli.controls.survey import Survey

        def frame_at(index: int) -> U8:
            return next(self._source.frames(index, index + 1)).picture

        survey = Survey(
            frame_at, self._window.num_frames, float(self._window.fps), self._name,
            mesh=self._kept["face mesh"], finder=self._kept["finder"],
        )  # fmt: skip
        clip = survey.run(self._subject)
        clip.save(self._scratch / "clip.safetensors")
        return survey.warnings

    def _measure(self, start: int, stop: int, file: Path, signals: list[str], on_frames: Callable[[int], None]) -> int:
        """Measure a chunk into a file; returns how many of its frames are damaged."""
        from safetensors.numpy import save_file

        self._clip = self._clip or Clip.load(self._scratch / "clip.safetensors")
        first = max(start - WARM_UP, 0)
        damaged: list[int] = []

        def pictures() -> Iterator[U8]:
            for shown in self._source.frames(first, stop):
                damaged.extend([shown.frame] if shown.damaged and shown.frame >= start else [])
                yield shown.picture

        arrays = measure_chunk(self._clip, pictures(), first, start, signals, on_frames, self._kept)
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, str(file))
        return len(damaged)


def info_to(info: VideoInfo) -> dict[str, Any]:
    """A probe as JSON can hold it, without the path."""
    return {k: str(v) if isinstance(v, Fraction) else v for k, v in asdict(info).items() if k != "path"}


def info_from(values: Mapping[str, Any], path: Path) -> VideoInfo:
    """A probe from what `info_to` made of it."""
    numbers = {name: Fraction(values[name]) for name in ("fps", "duration")}
    return VideoInfo(path=path, **{**values, **numbers, "warnings": tuple(values["warnings"])})
