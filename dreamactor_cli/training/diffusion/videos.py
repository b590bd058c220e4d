"""Clips of one's own videos: found by `extract`, cut where scenes end and where nobody is seen, in buckets of aspect.

Pixels of a clip are read when its shard is made; what was measured comes from the cache, so a second run measures nothing.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import U8, Controls, ControlStream
from dreamactor_cli.controls.extract import extract_controls
from dreamactor_cli.errors import DreamActorError, NoPersonFound, Stopped, UnreadableInput
from dreamactor_cli.media import is_video, read_frames
from dreamactor_cli.models.draw import View
from dreamactor_cli.training.diffusion.clips import TrainingClip, make_clip, yaw_of

SIGNALS = ("face", "head", "body", "hands")
MULTIPLE = 16  # px, of the sides of a clip
_ASPECTS = (9 / 16, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 16 / 9)
_SEEN = 0.5  # least mean score of the head in a clip
_APART = 2  # clips of one video overlap by one in so many

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A clip before it is read.

    Attributes:
        first: frame of the video.
        references: frames of the video: largest, least and median yaw of the whole scene.
        size: height and width it is brought to, px.
    """

    path: Path
    sha256: str
    first: int
    references: tuple[int, ...]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnVideos:
    """Clips of a folder of videos, in the order of `survey`.

    Attributes:
        stretches: where the clips are, those of one size after each other.
        frames: of a clip.
        cache: folder of the signals.
    """

    stretches: tuple[Stretch, ...]
    frames: int
    cache: Path

    @property
    def key(self) -> str:
        """What the clips depend on."""
        facts = [(s.sha256, s.first, s.references, s.size) for s in self.stretches]
        return f"videos/{self.frames}/{hashlib.sha256(repr(facts).encode()).hexdigest()}"

    def shards(self, clips_a_shard: int) -> list[range]:
        """Numbers of clips of one size that go into one file each."""
        found, start = [], 0
        for number in range(1, len(self.stretches) + 1):
            ends = number == len(self.stretches) or self.stretches[number].size != self.stretches[start].size
            if ends or number - start == clips_a_shard:
                found.append(range(start, number))
                start = number
        return found

    def clip(self, number: int) -> TrainingClip:
        """A clip."""
        stretch = self.stretches[number]
        stream = extract_controls(stretch.path, signals=SIGNALS, cache=Cache(self.cache), workers=1).stream
        stop = stretch.first + self.frames
        frames = np.stack(list(read_frames(stretch.path, stretch.first, stop)))
        pictures = np.concatenate([np.stack(list(read_frames(stretch.path, k, k + 1))) for k in stretch.references])
        controls, reference_controls = stream.window(stretch.first, stop), _of_frames(stream, stretch.references)
        view = _view(frames, stretch.size)
        return make_clip(frames, controls, pictures, reference_controls, stretch.size, view)


def survey(folder: Path, frames: int, area: int, cache: Cache, say: Say, workers: int | None = None) -> OwnVideos:
    """Measure a folder of videos and find the clips in them.

    A video that cannot be used is said and left out.

    Args:
        frames: of a clip, 4F - 3.
        area: of a clip, px; its aspect is that of the video, as near as sides that 16 divides come.

    Raises:
        UnreadableInput: there is no such folder, or no video in it.
        NoPersonFound: no video shows one person long enough.
    """
    if not folder.is_dir():
        raise UnreadableInput(f"{folder} is not a folder", "name a folder of videos with --videos")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".") and _is_meant(path))
    if not paths:
        raise UnreadableInput(f"{folder} holds no videos", "name a folder of videos with --videos")
    found: list[Stretch] = []
    for done, path in enumerate(paths, 1):
        try:
            stretches = _stretches(path, frames, area, cache, workers)
        except Stopped:
            raise
        except DreamActorError as error:
            say(f"{path.name} is left out: {error}")
            continue
        found += stretches
        say(f"{path.name}: {len(stretches)} clips ({done} of {len(paths)} videos)")
    if not found:
        raise NoPersonFound(
            f"no video in {folder} shows one person for {frames} frames without a cut", "ask for fewer --frames, or add videos"
        )
    found.sort(key=lambda stretch: (stretch.size, stretch.sha256, stretch.first))
    return OwnVideos(stretches=tuple(found), frames=frames, cache=cache.root)


def _is_meant(path: Path) -> bool:
    """Whether a file is a video, or calls itself one; the latter is refused by name where it is damaged."""
    return (mimetypes.guess_type(path.name)[0] or "").startswith("video/") or is_video(path)


def _stretches(path: Path, frames: int, area: int, cache: Cache, workers: int | None) -> list[Stretch]:
    found = extract_controls(path, signals=SIGNALS, cache=cache, workers=workers)
    total, size = found.stream.num_frames, bucket(found.info.width, found.info.height, area)
    bounds = [0, *found.scene_cuts, total]
    stretches = []
    for start, stop in zip(bounds, bounds[1:], strict=False):
        if stop - start < frames:
            continue
        head = found.stream.window(start, stop).head
        if head is None:
            continue
        chosen = tuple(start + k for k in by_yaw(yaw_of(head, stop - start), head.score))
        for first in range(start, stop - frames + 1, max(1, frames // _APART)):
            seen = head.score[first - start : first - start + frames].mean()
            if seen >= _SEEN and chosen:
                stretches.append(Stretch(path=path, sha256=found.source_sha256, first=first, references=chosen, size=size))
    return stretches


def by_yaw(yaw: np.ndarray, score: np.ndarray) -> tuple[int, ...]:
    """Frames of median, largest and least yaw among those in which a head is seen; the paper's references."""
    seen = np.flatnonzero(score > 0)
    if not len(seen):
        return ()
    order = seen[np.argsort(yaw[seen], kind="stable")]
    return int(order[len(order) // 2]), int(order[-1]), int(order[0])


def bucket(width: int, height: int, area: int) -> tuple[int, int]:
    """Height and width of clips of a video: the nearest of a few aspects, at about an area."""
    aspect = min(_ASPECTS, key=lambda known: abs(np.log(known * height / width)))
    sides = (area / aspect) ** 0.5, (area * aspect) ** 0.5
    high, wide = (max(MULTIPLE, MULTIPLE * round(side / MULTIPLE)) for side in sides)
    return high, wide


def _view(frames: U8, size: tuple[int, int]) -> View:
    """The middle of the frames that has a clip's aspect."""
    height, width = frames.shape[1:3]
    high, wide = min(height, round(width * size[0] / size[1])), min(width, round(height * size[1] / size[0]))
    return View((width - wide) // 2, (height - high) // 2, wide, high)


def _of_frames(stream: ControlStream, numbers: Sequence[int]) -> Controls:
    """Controls of single frames, one after the other."""
    parts = [stream.window(k, k + 1) for k in numbers]
    merged: dict[str, Any] = {}
    for kind, signal in parts[0].signals().items():
        others = [part.signals()[kind] for part in parts]
        rows = {
            name: np.concatenate([getattr(other, name) for other in others])
            for name, shape in signal.SHAPES.items()
            if shape[0] == "T"
        }
        merged[kind] = replace(signal, **rows)  # type: ignore[type-var]
    return replace(parts[0], num_frames=len(parts), **merged)
