"""Speech to learn from and speech to be judged by, made once and kept in one file.

Voices and languages that judge are never learned from: whole languages and voice variants of espeak-ng, and one recorded
speaker. Everything follows from the seed.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from dreamactor_cli.atomic import replacing
from dreamactor_cli.models.speech_features import log_mel
from dreamactor_cli.training.speech import espeak, festival, flite
from dreamactor_cli.training.speech.sentences import sentences
from dreamactor_cli.training.speech.targets import make_targets, open_wider_when_loud
from dreamactor_cli.training.speech.voices import Utterance

HELD_OUT_LANGUAGES = ("hu", "sw", "el", "ro", "sv")
HELD_OUT_VARIANTS = ("f4", "m6", "Alicia", "klatt3", "Mario", "steph", "boris", "linda")
HELD_OUT_SPEAKER = "ked"

_TASK_SECONDS = 240.0  # of speech that a worker makes at a time
_JUDGED_SECONDS = 240.0  # of speech in each set that judges
_TRIES = 50  # utterances in a row of which nothing is usable: the voice is broken
_VERSION = 2  # raise it when the same recipe makes other speech

# Share of the speech of each synthesiser's voices.
_SHARES = {"espeak": 0.5, "flite": 0.34, "festival:kal": 0.03, "festival:slt": 0.05, "festival:msu_ru": 0.08}


class Recipe(NamedTuple):
    """What a corpus is made by.

    Attributes:
        seconds: of speech to learn from, whole.
        seed: of everything.
        with_sound: also keep the samples, for features that are not log-mel.
    """

    seconds: int
    seed: int
    with_sound: bool = False

    @property
    def key(self) -> str:
        """Tells corpora apart."""
        told = json.dumps([_VERSION, *self, sentences()], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


class Speech(NamedTuple):
    """Utterances one after the other, N frames at `speech_features.FRAME_RATE` in all.

    Attributes:
        mel: (N, 64) f16, log-mel.
        articulation: (N, 9) f16, columns `contracts.SPEECH_CHANNELS`.
        visemes: (N,) u8, numbers of `speech_motion.VISEMES`.
        lengths: (U,) i64, frames of each utterance.
        sound: (S,) i16, ``lengths - 1`` times `speech_features.HOP` samples of each utterance; empty if it was not asked for.
    """

    mel: NDArray[np.float16]
    articulation: NDArray[np.float16]
    visemes: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    sound: NDArray[np.int16]


class _Task(NamedTuple):
    """Some minutes of speech of one kind."""

    part: str  # "train", or the name of a set that judges
    source: str
    seconds: float
    seed: int
    with_sound: bool


def check() -> None:
    """Find out whether all synthesisers are there.

    Raises:
        MissingRequirement: one is not.
    """
    for synthesiser in (espeak, flite, festival):
        synthesiser.check()


def make_corpus(path: Path, recipe: Recipe, *, workers: int = 2) -> Iterator[tuple[float, float]]:
    """Make a corpus, unless the file holds it already.

    Args:
        path: the file.
        recipe: what to make.
        workers: processes.

    Yields:
        Seconds of speech that are made, and that will be.

    Raises:
        MissingRequirement: a synthesiser is not there.
        DiskFull, UsageError: the file cannot be written.
    """
    if _key_of(path) == recipe.key:
        return
    check()
    tasks = list(_tasks(recipe))
    total = sum(task.seconds for task in tasks)
    parts: dict[str, list[Speech]] = {task.part: [] for task in tasks}
    done = 0.0
    # A fresh process for each task, since espeak-ng keeps a state from one utterance to the next; all end when this one does.
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with context.Pool(workers, maxtasksperchild=1) as pool:
        for task, speech in zip(tasks, pool.imap(_make, tasks)):
            parts[task.part].append(speech)
            done += task.seconds
            yield done, total
    arrays = {f"{part}.{name}": value for part, made in parts.items() for name, value in join(made)._asdict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        save_file(arrays, beside, {"recipe": recipe.key})


def load_corpus(path: Path) -> tuple[Speech, Mapping[str, Speech]]:
    """What `make_corpus` made: speech to learn from, and sets that judge, by name."""
    arrays = load_file(path)
    parts = dict.fromkeys(name.partition(".")[0] for name in arrays)
    found = {part: Speech(*(arrays[f"{part}.{name}"] for name in Speech._fields)) for part in sorted(parts)}
    return found.pop("train"), found


def _tasks(recipe: Recipe) -> Iterator[_Task]:
    seeds = random.Random(recipe.seed)
    for source, share in _SHARES.items():
        for _ in range(max(1, round(share * recipe.seconds / _TASK_SECONDS))):
            seconds = min(_TASK_SECONDS, share * recipe.seconds)
            yield _Task("train", source, seconds, seeds.getrandbits(31), recipe.with_sound)
    judged = min(_JUDGED_SECONDS, recipe.seconds / 10)
    for source in ("languages", "voices", "both", "recorded"):
        yield _Task(source, source, judged, seeds.getrandbits(31), recipe.with_sound)


def _make(task: _Task) -> Speech:
    """The speech of one task; runs in a worker."""
    made: list[Speech] = []
    seconds = 0.0
    for utterance in _speech(task):
        made.append(_learnable(utterance, with_sound=task.with_sound))
        seconds += len(made[-1].mel) / 100
        if seconds >= task.seconds:
            break
    return join(made)


def _speech(task: _Task) -> Iterator[Utterance]:
    """Utterances without end."""
    chance = random.Random(task.seed)
    if task.source.startswith("festival:") or task.source == "recorded":
        speaker = HELD_OUT_SPEAKER if task.source == "recorded" else task.source.partition(":")[2]
        while True:
            yield from _some(festival.speak(speaker, chance), speaker)
    elif task.source == "flite":
        while True:
            yield from _some(islice(iter(lambda: flite.speak(flite.VOICES, chance), object()), _TRIES), "flite")
    else:
        languages, variants = _espeak_voices(task.source)
        while True:
            yield from _some((espeak.speak(languages, variants, chance) for _ in range(_TRIES)), "espeak-ng")


def _espeak_voices(source: str) -> tuple[list[str], list[str]]:
    """Languages and variants: those to learn from, or those that judge."""
    new_language, new_voice = source in ("languages", "both"), source in ("voices", "both")
    every = [*sentences(), *espeak.ACCENTS]
    languages = [language for language in every if (language in HELD_OUT_LANGUAGES) == new_language]
    variants = [variant for variant in espeak.VARIANTS if (variant in HELD_OUT_VARIANTS) == new_voice]
    return languages, variants


def _some(utterances: Iterable[Utterance | None], name: str) -> Iterator[Utterance]:
    """Those that are usable.

    Raises:
        RuntimeError: none is.
    """
    usable = [utterance for utterance in utterances if utterance is not None]
    if not usable:
        raise RuntimeError(f"{name} says nothing that is usable")
    yield from usable


def _learnable(utterance: Utterance, *, with_sound: bool) -> Speech:
    """Log-mels and targets of an utterance."""
    mel = log_mel(utterance.samples)
    targets = make_targets(utterance.segments, len(mel))
    articulation = open_wider_when_loud(targets.articulation, mel)
    kept = utterance.samples[: (len(mel) - 1) * 160] if with_sound else utterance.samples[:0]
    sound = np.round(kept * 32767).astype(np.int16)
    length = np.array([len(mel)], np.int64)
    return Speech(mel.astype(np.float16), articulation.astype(np.float16), targets.visemes, length, sound)


def join(made: Sequence[Speech]) -> Speech:
    """One after the other."""
    return Speech(*(np.ascontiguousarray(np.concatenate(columns)) for columns in zip(*made)))


def _key_of(path: Path) -> str | None:
    """The recipe that a file was made by; None if there is no usable file."""
    try:
        with safe_open(path, "numpy") as file:
            return (file.metadata() or {}).get("recipe")
    except (OSError, SafetensorError):
        return None
