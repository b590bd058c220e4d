"""Clips of synthetic people, one by one or from all cores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dreamactor_cli.training.synthetic.clip import SyntheticClip


def generate_clip(
    seed: int,
    *,
    size: int,
    frames: int,
    references: int = 1,
    framing: str | None = None,
    assets: Path | None = None,
    motion_seed: int | None = None,
    identity_seed: int | None = None,
) -> SyntheticClip:
    """One clip. The same arguments give the same bytes.

    Args:
        seed: stands for `motion_seed` and `identity_seed` where those are not given.
        size: height and width, px.
        frames: T.
        references: N, at least 1.
        framing: one of `clip.FRAMINGS`; None draws one, mostly faces and busts.
        assets: a converted MakeHuman (`convert_assets`), or the folder with it; None for people made of nothing but code.
        motion_seed: of the performance, the camera and the framing.
        identity_seed: of the person, the clothes, the light and the place.
    """
    raise NotImplementedError


def generate(
    seed: int,
    *,
    workers: int = 1,
    size: int,
    frames: int,
    references: int = 1,
    framing: str | None = None,
    assets: Path | None = None,
    clips_a_person: int = 2,
) -> Iterator[SyntheticClip]:
    """Clips without end, in an order that depends on the seed alone, made by ``workers`` processes ahead of need.

    Args:
        clips_a_person: clips in a row of one identity, each of another motion; a new person costs about ten frames.
    """
    raise NotImplementedError
