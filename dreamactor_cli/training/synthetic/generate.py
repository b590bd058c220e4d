"""Clips of synthetic people, one by one or from all cores."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dreamactor_cli.contracts import U8, Controls
from dreamactor_cli.errors import UsageError
from dreamactor_cli.training.synthetic import scene, truth
from dreamactor_cli.training.synthetic.clip import FPS, FRAMINGS, SyntheticClip
from dreamactor_cli.training.synthetic.makehuman import load
from dreamactor_cli.training.synthetic.motion import perform
from dreamactor_cli.training.synthetic.person import F32, People, Person
from dreamactor_cli.training.synthetic.procedural import Procedural
from dreamactor_cli.training.synthetic.render import Renderer, Shot
from dreamactor_cli.training.synthetic.rig import Performance, pose

_SHARES = (0.4, 0.3, 0.15, 0.15)  # of `FRAMINGS` where none is asked for
_APART = 3.0  # seconds between two references
# Streams of random numbers of one seed.
_PERSON, _PLACE, _ACT, _VIEW, _REFERENCES = range(5)


class _Look(NamedTuple):
    """A person in clothes, in a light, before a background."""

    person: Person
    light: scene.Light
    back: F32


@lru_cache(1)
def _people(assets: Path | None) -> People:
    return Procedural() if assets is None else load(assets)


@lru_cache(2)
def _renderer(size: int) -> Renderer:
    return Renderer(size)


@lru_cache(2)
def _look(seed: int, size: int, assets: Path | None) -> _Look:
    texels = 384 if size <= 160 else 768
    person = _people(assets).person(np.random.default_rng([seed, _PERSON]), texels)
    rng = np.random.default_rng([seed, _PLACE])
    return _Look(person, scene.draw_light(rng), scene.draw_background(rng, size))


def _moments(seed: int, count: int, framing: str) -> Performance:
    """Single moments for references: the first looks to the camera more or less, others are turned to both sides in turn."""
    rng = np.random.default_rng([seed, _REFERENCES])
    act = perform(rng, np.arange(count) * _APART, framing)
    head, turn = act.head.copy(), act.turn.copy()
    head[0] *= 0.4
    turn[0] *= 0.3
    weights = act.weights.copy()
    weights[0] *= rng.choice([0.0, 0.3, 1.0])
    side = rng.choice([-1, 1])
    for k in range(1, count):
        turn[k] = side * (-1) ** k * rng.uniform(0.2, 0.9)
        head[k, 0] = abs(head[k, 0]) * np.sign(turn[k])
    return act._replace(head=head, turn=turn, weights=weights)


def _film(look: _Look, act: Performance, camera: scene.Camera, size: int) -> tuple[Shot, Controls, U8]:
    bones, places = pose(look.person, act)
    shot = _renderer(size).shoot(look.person, act, bones, camera, look.light, look.back)
    controls = truth.controls_of(look.person, act, bones, places, camera, shot)
    return shot, controls, truth.masks_of(controls, shot)


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

    Raises:
        UsageError: a size or number that cannot be, or an unknown framing.
        UnreadableInput: the assets cannot be read.
    """
    motion = seed if motion_seed is None else motion_seed
    identity = seed if identity_seed is None else identity_seed
    if size < 16 or frames < 1 or references < 1:
        raise UsageError(f"no clip of {frames} frames and {references} references at {size} px", "ask for more")
    if framing is not None and framing not in FRAMINGS:
        raise UsageError(f"no framing {framing!r}", f"choose one of {', '.join(FRAMINGS)}")
    views = np.random.default_rng([motion, _VIEW])
    drawn = str(views.choice(FRAMINGS, p=_SHARES))
    framing = framing or drawn
    look = _look(identity, size, assets)
    camera = scene.camera_of(scene.draw_view(views, framing), look.person, framing)
    act = perform(np.random.default_rng([motion, _ACT]), np.arange(frames) / FPS, framing)
    shot, controls, masks = _film(look, act, camera, size)
    others, reference_controls, reference_masks = _film(look, _moments(motion, references, framing), camera, size)
    return SyntheticClip(
        frames=shot.frames, references=others.frames, controls=controls, reference_controls=reference_controls, masks=masks,
        matte=shot.matte, reference_masks=reference_masks, depth=shot.depth, framing=framing, identity=identity, motion=motion,
    )  # fmt: skip
