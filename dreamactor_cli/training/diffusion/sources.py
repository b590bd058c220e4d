"""Where training clips come from: synthetic people, or a folder of videos. Clip k of a source is the same whenever it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dreamactor_cli.errors import UsageError
from dreamactor_cli.models.draw import View
from dreamactor_cli.training.diffusion.clips import TrainingClip, make_clip
from dreamactor_cli.training.synthetic import FRAMINGS, SyntheticClip, generate_clip

CLIPS_A_PERSON = 3
_HEAD_RADII = {"face": 3.5, "bust": 6.2, "half": 10.4, "full": 20.0}  # side of a picture of a framing, as it is on average
_MADE = 2  # how people move and what is kept of them
_HELD_OUT = 1 << 40  # identities from here on are never learned from


class Source(Protocol):
    """Gives clips by number."""

    @property
    def key(self) -> str:
        """What the clips depend on."""

    def shards(self, clips_a_shard: int) -> Sequence[Sequence[int]]:
        """Numbers of clips that go into one file each: of one size."""

    def clip(self, number: int) -> TrainingClip:
        """A clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticPeople:
    """Clips of synthetic people.

    Attributes:
        count: of clips.
        size: height and width, px.
        frames: of a clip, 4F - 3.
        references: of a clip.
        framings: shares of `synthetic.FRAMINGS`.
        zoom: least and largest; a clip shows so much less than was rendered, around the head.
        seed: of everything.
        assets: a converted MakeHuman; None for people made of code alone.
        held_out: people and motions that are never learned from, to judge by.
    """

    count: int
    size: int
    frames: int
    references: int = 3
    framings: tuple[float, ...] = (0.4, 0.3, 0.15, 0.15)
    zoom: tuple[float, float] = (1.0, 1.0)
    seed: int = 0
    assets: Path | None = None
    held_out: bool = False

    @property
    def key(self) -> str:
        """What the clips depend on."""
        people = "code" if self.assets is None else self.assets.name
        shares = ",".join(f"{share:g}" for share in self.framings)
        shape = f"{self.size}/{self.frames}/{self.references}"
        return f"synthetic/{_MADE}/{people}/{shape}/{shares}/{self.zoom}/{self.seed}/{self.held_out}"

    def shards(self, clips_a_shard: int) -> list[range]:
        """Numbers of clips that go into one file each."""
        return [range(at, min(at + clips_a_shard, self.count)) for at in range(0, self.count, clips_a_shard)]

    def seeds(self, number: int) -> tuple[int, int]:
        """Identity and motion of a clip."""
        first = self.seed * 10_000_019 + (_HELD_OUT if self.held_out else 0)
        return first + number // CLIPS_A_PERSON, first + number

    def framing(self, number: int) -> str:
        """Framing of a clip."""
        rng = np.random.default_rng([self.seed, number, 7])
        return str(rng.choice(FRAMINGS, p=np.array(self.framings) / sum(self.framings)))

    def clip(self, number: int) -> TrainingClip:
        """A clip."""
        identity, motion = self.seeds(number)
        made = generate_clip(
            motion, size=round(self.size * self.zoom[1]), frames=self.frames, references=self.references,
            framing=self.framing(number), assets=self.assets, identity_seed=identity, motion_seed=motion,
        )  # fmt: skip
        view = _view(made, np.random.default_rng([motion, 8]).uniform(*self.zoom))
        size = (self.size, self.size)
        return make_clip(made.frames, made.controls, made.references, made.reference_controls, size, view)


def shown_of(source: Source) -> tuple[float, bool]:
    """Side of what a source mostly shows, in radii of the head sphere, and whether it also shows bodies."""
    if not isinstance(source, SyntheticPeople):
        return _HEAD_RADII["bust"], True
    shares = dict(zip(FRAMINGS, source.framings, strict=True))
    most = max(shares, key=lambda name: shares[name])
    return _HEAD_RADII[most] / source.zoom[0], shares["half"] + shares["full"] > 0.1 * sum(shares.values())


def _view(clip: SyntheticClip, zoom: float) -> View:
    """A square of whole pixels around where the head is on average, inside of the picture."""
    side = clip.frames.shape[1]
    head = clip.controls.head
    shown = max(1, round(side / zoom))
    center = np.array([side / 2, side / 2]) if head is None else head.center.mean(0)
    left, top = (int(np.clip(round(float(at) - shown / 2), 0, side - shown)) for at in center)
    return View(left, top, shown, shown)


def parse_framings(text: str) -> tuple[float, ...]:
    """Shares of the framings from ``"face:0.5,bust:0.5"``.

    Raises:
        UsageError: an unknown framing, or a share that is no number.
    """
    shares = dict.fromkeys(FRAMINGS, 0.0)
    for part in text.split(","):
        name, _, share = part.strip().partition(":")
        try:
            value = float(share or 1)
        except ValueError:
            value = -1.0
        if name not in shares or not 0 <= value < 1e6:
            raise UsageError(f"--framings {text!r} cannot be read", f"say it like face:0.5,bust:0.5, with {', '.join(FRAMINGS)}")
        shares[name] = value
    if not sum(shares.values()):
        raise UsageError(f"--framings {text!r} leaves nothing", "give one of them a share above 0")
    return tuple(shares.values())


def numbered(source: Source, numbers: Sequence[int]) -> Iterator[TrainingClip]:
    """Clips of a source, one after the other."""
    for number in numbers:
        yield source.clip(number)
