"""Small pictures for the page, as data URLs; how many and how large depends on the number of jobs, so that the page stays small.

Pictures that the last report of the same folder holds are taken from there, by the hash of what they show: making them anew
means decoding every output.
"""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

from dreamactor_cli.contracts import U8
from dreamactor_cli.errors import DreamActorError
from dreamactor_cli.media import is_video, load_image
from dreamactor_cli.media.glimpses import evenly, glimpses
from dreamactor_cli.report.run_data import JobRow
from dreamactor_cli.sidecar import sequence_files

SECONDS = 180.0  # for new pictures; jobs for which it does not suffice go without
SECONDS_STOPPED = 4.0  # a farm that stops a run does not wait long
MAX_STRIP = 1600  # px, width
_GAP = 2  # px between frames
_SIZED = re.compile(r"\.\d{1,5}\.\d{1,5}$")
_KEPT = re.compile(rb'data-key="([\w.:-]+)" src="(data:image/webp;base64,[A-Za-z0-9+/=]+)"')


@dataclass(frozen=True, slots=True)
class Level:
    """How much a job may show.

    Attributes:
        frames: of the output; height of each, px.
        thumb: height of the reference, px.
        quality: of WebP, 0..100.
    """

    frames: int
    height: int
    thumb: int
    quality: int

    @property
    def name(self) -> str:
        """Short, for keys."""
        return f"{self.frames}x{self.height}q{self.quality}"


# Jobs up to which a level holds. A thousand jobs make a page of some 10 MB, ten thousand one of 30.
LEVELS = (
    (150, Level(8, 132, 132, 74)),
    (500, Level(6, 108, 108, 66)),
    (1500, Level(5, 84, 84, 58)),
    (5000, Level(3, 60, 60, 48)),
    (20000, Level(1, 44, 44, 40)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for an ``<img>``.

    Attributes:
        key: by which the next report knows it again.
        url: with the picture in it.
        width, height: px.
    """

    key: str
    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a job shows: its reference and its output; None where that cannot be."""

    reference: Picture | None
    strip: Picture | None


def level_of(jobs: int) -> Level | None:
    """The level for a number of jobs; None if there are too many for pictures."""
    return next((level for most, level in LEVELS if jobs <= most), None)


def pictures(jobs: Iterable[JobRow], *, page: Path, seconds: float = SECONDS) -> dict[int, Shown]:
    """Pictures by the number of the job.

    Args:
        page: the last report, whose pictures are taken over.
        seconds: after which no more are made; jobs that need a look come first.
    """
    rows = sorted(jobs, key=lambda job: ("failed", "warned", "done", "skipped").index(job.mark))
    level = level_of(len(rows))
    if level is None:
        return {}
    kept, until = _kept(page), time.monotonic() + seconds
    make = partial(_unless_late, until)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        faces: dict[Path, Future[Picture | None]] = {}
        strips: dict[int, Future[Picture | None]] = {}
        for job in rows:
            if job.references and job.references[0] not in faces:
                faces[job.references[0]] = pool.submit(make, _reference, job.references[0], level, kept)
            strips[job.number] = pool.submit(make, _strip, job, level, kept)
        return {
            job.number: Shown(
                faces[job.references[0]].result() if job.references else None,
                strips[job.number].result(),
            )
            for job in rows
        }


def _unless_late(until: float, make: partial[Picture | None], *arguments: object) -> Picture | None:
    return make(*arguments) if time.monotonic() < until else None


def _kept(page: Path) -> dict[str, Picture]:
    """Pictures of an earlier page, by their keys without the size."""
    try:
        found = [(key.decode(), url.decode()) for key, url in _KEPT.findall(page.read_bytes())]
    except OSError:
        return {}
    return {
        key.rsplit(".", 2)[0]: Picture(key, url, *map(int, key.rsplit(".", 2)[1:])) for key, url in found if _SIZED.search(key)
    }


def _reference(path: Path, level: Level, kept: Mapping[str, Picture]) -> Picture | None:
    """The reference, small."""
    try:
        stat = path.stat()
        name = crc32(os.fsencode(path))
        key = f"r.{stat.st_size}.{stat.st_mtime_ns}.{name:x}.{level.thumb}q{level.quality}"
        return kept.get(key) or _encoded(key, _face(path, level.thumb), level)
    except (DreamActorError, OSError, ValueError):  # a name may hold a null byte
        return None


def _face(path: Path, height: int) -> U8:
    """A picture, or the first frame of a video that was dubbed, (h, w, 3)."""
    return glimpses(path, 1, height)[0] if is_video(path) else _fit(load_image(path).rgb, height)


def _strip(job: JobRow, level: Level, kept: Mapping[str, Picture]) -> Picture | None:
    """Frames of the output side by side."""
    key = f"s.{job.sha256[:24]}.{level.name}"
    if job.sha256 and (again := kept.get(key)):
        return again
    try:
        frames = _frames(job.output, level)
    except (DreamActorError, OSError, ValueError):  # a name may hold a null byte
        return None
    if not frames:
        return None
    height, width = frames[0].shape[:2]
    frames = [frames[k] for k in evenly(len(frames), max((MAX_STRIP + _GAP) // (width + _GAP), 1))]
    joined = np.zeros((height, (width + _GAP) * len(frames) - _GAP, 4), np.uint8)
    for k, frame in enumerate(frames):
        joined[:, k * (width + _GAP) : k * (width + _GAP) + width, :3] = frame[:, :, :3]
        joined[:, k * (width + _GAP) : k * (width + _GAP) + width, 3] = 255
    return _encoded(key, joined, level)


def _frames(output: Path, level: Level) -> list[U8]:
    """A few frames of one size, (level.height at most, w, 3)."""
    if output.is_file():
        return glimpses(output, level.frames, level.height)
    files = sequence_files(output)
    return [_fit(load_image(files[k]).rgb, level.height) for k in evenly(len(files), level.frames)]


def _fit(picture: U8, height: int) -> U8:
    """A picture of at most that height, and at most twice as wide, (h, w, 3)."""
    high, wide = picture.shape[:2]
    scale = min(height / high, 2 * height / wide, 1.0)
    size = (max(round(wide * scale), 1), max(round(high * scale), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encoded(key: str, picture: U8, level: Level) -> Picture | None:
    """As WebP, (h, w, 3) RGB or (h, w, 4) RGBA."""
    code = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    done, data = cv2.imencode(".webp", cv2.cvtColor(picture, code), [cv2.IMWRITE_WEBP_QUALITY, level.quality])
    if not done:
        return None
    height, width = picture.shape[:2]
    url = "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode("ascii")
    return Picture(f"{key}.{width}.{height}", url, width, height)
