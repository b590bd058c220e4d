"""A first look at a clip: who is in it, whom to follow, and from which frame on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from dreamactor_cli.contracts import F32, U8
from dreamactor_cli.controls.clip import Clip
from dreamactor_cli.controls.finder import FaceFinder, Person
from dreamactor_cli.controls.graphs import FaceMesh, PersonMask
from dreamactor_cli.controls.tracking import FaceTracker
from dreamactor_cli.controls.view import View
from dreamactor_cli.errors import NoPersonFound, UsageError

SAMPLES = 12
SETTLE = 4  # times that the tracker is shown the reference frame
SCAN_SECONDS = 1.0  # step of the search for somebody who comes late
DARK = 30.0  # mean grey level below which a clip is called very dark

FrameAt = Callable[[int], U8]


@dataclass
class _Track:
    """One person over the sampled frames."""

    seen: list[tuple[int, Person]] = field(default_factory=list)

    @property
    def weight(self) -> float:
        """Larger for a larger and steadier person."""
        return float(np.mean([p.half for _, p in self.seen])) * len(self.seen) ** 2

    @property
    def x(self) -> float:
        return float(np.mean([p.x for _, p in self.seen]))


def _tracks(samples: list[tuple[int, list[Person]]]) -> list[_Track]:
    """People of consecutive samples, joined by nearness."""
    tracks: list[_Track] = []
    for index, people in samples:
        free = list(tracks)
        for person in sorted(people, key=lambda p: -p.half):
            near = [(np.hypot(t.seen[-1][1].x - person.x, t.seen[-1][1].y - person.y), t) for t in free]
            near = [(d, t) for d, t in near if d < 4 * max(person.half, t.seen[-1][1].half)]
            if near:
                track = min(near, key=lambda pair: pair[0])[1]
                free.remove(track)
            else:
                track = _Track()
                tracks.append(track)
            track.seen.append((index, person))
    return tracks


def _choose(tracks: list[_Track], samples: int, subject: int | None, width: int, name: str) -> tuple[_Track, list[str]]:
    """The track to follow, and what to tell the user."""
    steady = [t for t in tracks if len(t.seen) >= max(1, samples // 4)] or [max(tracks, key=lambda t: t.weight)]
    steady.sort(key=lambda t: t.x)
    if subject is not None:
        if not 1 <= subject <= len(steady):
            what = f"--subject {subject}: {len(steady)} people were found in {name}"
            raise UsageError(what, f"choose 1 to {len(steady)}, from the left")
        return steady[subject - 1], []
    chosen = max(steady, key=lambda t: t.weight)
    if len(steady) == 1:
        return chosen, []
    third = ("left", "middle", "right")[min(int(3 * chosen.x / width), 2)]
    number = steady.index(chosen) + 1
    where = f"the one at the {third} third (number {number} from the left)"
    return chosen, [f"{len(steady)} people found in {name}; following {where}, use --subject N for another"]


class Survey:
    """Looks at a few frames of a clip.

    Args:
        frame_at: frame of the window by number, RGB.
        num_frames: of the window.
        fps: frames a second, for the search for late comers.
        name: of the file, for messages.
        mesh, finder: graphs to use; they stay open.
    """

    def __init__(self, frame_at: FrameAt, num_frames: int, fps: float, name: str, *, mesh: FaceMesh, finder: FaceFinder) -> None:
        self._frame_at = frame_at
        self._num_frames = num_frames
        self._fps = fps
        self._name = name
        self._mesh, self._finder = mesh, finder
        self._first: View | None = None
        self.warnings: list[str] = []

    def run(self, subject: int | None = None) -> Clip:
        """Find whom to follow. Raises NoPersonFound and UsageError (no such subject)."""
        first = self._view(0)
        people = self._finder.people(first, tiny=True)
        samples = [(0, people)]
        if subject is not None or len(people) != 1 or people[0].landmarks is None:
            samples += [(i, self._finder.people(self._view(i))) for i in self._sample_indices()]
        if not any(found for _, found in samples):
            samples += self._late_comer()
        tracks = _tracks([s for s in samples if s[1]])
        if not tracks:
            raise NoPersonFound(f"nobody was found in {self._name}", "use a clip in which a person's face or body can be seen")
        chosen, told = _choose(tracks, len(samples), subject, first.width, self._name)
        self.warnings += told
        self._note_darkness(first)
        return self._clip(chosen, tracks)

    def _view(self, index: int) -> View:
        if index == 0:
            self._first = self._first or View(self._frame_at(0), 0)
            return self._first
        return View(self._frame_at(index), index)

    def _sample_indices(self) -> list[int]:
        return sorted({round(k * (self._num_frames - 1) / (SAMPLES - 1)) for k in range(1, SAMPLES)} - {0})

    def _late_comer(self) -> Iterator[tuple[int, list[Person]]]:
        """The first sight of anybody, looked for through the whole clip, and what follows at once."""
        step = max(round(SCAN_SECONDS * self._fps), 1)
        for index in range(step, self._num_frames, step):
            people = self._finder.people(self._view(index))
            if people:
                yield index, people
                return

    def _note_darkness(self, view: View) -> None:
        level = float(view.thumb.mean())
        if level < DARK:
            told = f"{self._name} is very dark (mean brightness {level:.0f} of 255); the motion may be unreliable"
            self.warnings.append(told)

    def _first_face(self, chosen: _Track) -> tuple[int, Person]:
        """First frame with the subject's face, by halving the time between a sample without it and one with it."""
        seen = [(i, p) for i, p in chosen.seen if p.landmarks is not None]
        if not seen:
            return chosen.seen[0]
        good = seen[0]
        bad = max((i for i in (0, *self._sample_indices()) if i < good[0]), default=-1)
        while good[0] - bad > 1:
            middle = (good[0] + bad) // 2
            people = [p for p in self._finder.people(self._view(middle)) if p.landmarks is not None]
            last = good[1]
            people = [p for p in people if np.hypot(p.x - last.x, p.y - last.y) < 4 * last.half]
            if people:
                good = (middle, min(people, key=lambda p: float(np.hypot(p.x - last.x, p.y - last.y))))
            else:
                bad = middle
        return good

    def _clip(self, chosen: _Track, tracks: list[_Track]) -> Clip:
        reference, person = self._first_face(chosen)
        view = self._view(reference)
        seen = dict(chosen.seen) | {reference: person}
        others = [t for t in tracks if t is not chosen and len(t.seen) * 4 >= len(chosen.seen)]
        places = [np.mean([[p.x, p.y, p.half] for _, p in t.seen], axis=0) for t in others]
        anchors = np.array([[i, p.x, p.y, p.half] for i, p in sorted(seen.items())], np.float32)
        mask = PersonMask()
        matte = np.clip(mask(view.work) * 255, 0, 255).astype(np.uint8)
        mask.close()
        clip = Clip(
            num_frames=self._num_frames,
            fps=self._fps,
            width=view.width,
            height=view.height,
            reference=reference,
            picture=view.rgb,
            matte=matte,
            landmarks=person.landmarks,
            anchors=anchors,
            others=np.array(places, np.float32).reshape(-1, 3),
        )
        if person.landmarks is not None:
            clip = replace(clip, landmarks=self._settled(clip, view))
        return clip

    def _settled(self, clip: Clip, view: View) -> F32 | None:
        """The reference mesh as the tracker of the chunks sees it, so that its frame differs from others by motion alone."""
        tracker = FaceTracker(clip, self._mesh, self._finder)
        landmarks = clip.landmarks
        for _ in range(SETTLE):
            landmarks = tracker.track(view)
            if landmarks is None:
                break
        return clip.landmarks if landmarks is None else landmarks
