"""Clips of synthetic people, one by one or from all cores."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dreamactor_cli.contracts import F32, U8, Controls
from dreamactor_cli.errors import UsageError, WorkerLost
from dreamactor_cli.training.synthetic import scene, truth
from dreamactor_cli.training.synthetic.clip import FPS, FRAMINGS, SyntheticClip
from dreamactor_cli.training.synthetic.makehuman import load
from dreamactor_cli.training.synthetic.motion import perform
from dreamactor_cli.training.synthetic.person import People, Person, trim
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


def _film(look: _Look, act: Performance, view: scene.View, framing: str, size: int) -> tuple[Shot, Controls, U8]:
    person = trim(look.person, framing)
    camera = scene.camera_of(view, look.person, framing)
    bones, places = pose(person, act)
    shot = _renderer(size).shoot(person, act, bones, camera, look.light, look.back)
    controls = truth.controls_of(person, act, bones, places, camera, shot)
    return shot, controls, truth.masks_of(controls, shot, camera)


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
        UsageError: a seed, size or number that cannot be, or an unknown framing.
        UnreadableInput: the assets cannot be read.
    """
    motion = seed if motion_seed is None else motion_seed
    identity = seed if identity_seed is None else identity_seed
    if min(motion, identity) < 0:
        raise UsageError(f"no seed {min(motion, identity)}", "give 0 or more")
    if size < 16 or frames < 1 or references < 1:
        raise UsageError(f"no clip of {frames} frames and {references} references at {size} px", "ask for more")
    if framing is not None and framing not in FRAMINGS:
        raise UsageError(f"no framing {framing!r}", f"choose one of {', '.join(FRAMINGS)}")
    views = np.random.default_rng([motion, _VIEW])
    drawn = str(views.choice(FRAMINGS, p=_SHARES))
    framing = framing or drawn
    look = _look(identity, size, assets)
    view = scene.draw_view(views, framing)
    act = perform(np.random.default_rng([motion, _ACT]), np.arange(frames) / FPS, framing)
    both = Performance(*(np.concatenate(parts) for parts in zip(act, _moments(motion, references, framing), strict=True)))
    shot, controls, masks = _film(look, both, view, framing, size)
    return SyntheticClip(
        frames=shot.frames[:frames], references=shot.frames[frames:], controls=controls.window(0, frames),
        reference_controls=controls.window(frames, frames + references), masks=masks[:frames], matte=shot.matte[:frames],
        reference_masks=masks[frames:], depth=shot.depth[:frames], framing=framing, identity=identity, motion=motion,
    )  # fmt: skip


class _Wish(NamedTuple):
    """Arguments of the clips of `generate`."""

    seed: int
    size: int
    frames: int
    references: int
    framing: str | None
    assets: Path | None
    clips_a_person: int


def _one_of(wish: _Wish, number: int) -> SyntheticClip:
    """Clip ``number`` of a stream: seeds that no other seed's stream has nearby."""
    base = np.random.SeedSequence([wish.seed, number // wish.clips_a_person]).generate_state(2, np.uint64)
    person, motion = (int(v >> np.uint64(12)) for v in base)
    return generate_clip(
        person, size=wish.size, frames=wish.frames, references=wish.references, framing=wish.framing, assets=wish.assets,
        identity_seed=person, motion_seed=motion + number % wish.clips_a_person,
    )  # fmt: skip


def _person_clips(task: tuple[_Wish, int]) -> list[SyntheticClip]:
    """All clips of one person of a stream, in a worker."""
    wish, person = task
    first = person * wish.clips_a_person
    return [_one_of(wish, first + k) for k in range(wish.clips_a_person)]


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
    start: int = 0,
) -> Iterator[SyntheticClip]:
    """Clips without end, in an order that depends on the seed alone, made by ``workers`` processes ahead of need.

    Args:
        seed: of the stream.
        workers: processes beside this one; 0 makes the clips in this one, when they are asked for.
        clips_a_person: clips in a row of one identity, each of another motion; a new person costs about ten frames.
        start: clips of the stream to leave out, to go on with it.

    The other arguments are those of `generate_clip`. Closing the iterator ends the processes.

    Raises:
        WorkerLost: one of them died.
    """
    wish = _Wish(seed, size, frames, references, framing, assets, clips_a_person)
    if workers == 0:
        number = start
        while True:
            yield _one_of(wish, number)
            number += 1
    person, skipped = divmod(start, clips_a_person)
    # Workers are spawned: a fork would inherit the threads of whoever trains. Ctrl-C is for who asked for the clips.
    spawn, deaf = multiprocessing.get_context("spawn"), (signal.SIGINT, signal.SIG_IGN)
    pool = ProcessPoolExecutor(workers, spawn, initializer=signal.signal, initargs=deaf)
    try:
        waiting = deque(pool.submit(_person_clips, (wish, person + k)) for k in range(2 * workers))
        person += len(waiting)
        while True:
            clips = waiting.popleft().result()
            waiting.append(pool.submit(_person_clips, (wish, person)))
            person += 1
            yield from clips[skipped:]
            skipped = 0
    except BrokenProcessPool as error:
        raise WorkerLost("a process that makes synthetic people died", "ask for fewer workers or a smaller size") from error
    finally:
        pool.shutdown(cancel_futures=True)
