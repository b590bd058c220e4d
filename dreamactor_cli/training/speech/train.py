"""The whole training, from nothing to a folder of weights with the figures of what they can do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from dreamactor_cli.models import speech_weights
from dreamactor_cli.models.speech_motion import SpeechMotion
from dreamactor_cli.models.speech_weights import WHISPER_NAMES
from dreamactor_cli.training.speech.corpus import Recipe, Speech, load_corpus, make_corpus
from dreamactor_cli.training.speech.evaluate import Score, evaluate
from dreamactor_cli.training.speech.examples import Batch, MelExamples
from dreamactor_cli.training.speech.fit import fit

if TYPE_CHECKING:
    from dreamactor_cli.models.whisper_motion import WhisperMotion

Say = Callable[[str], None]

_SAY_EVERY = 100  # steps
_WHISPER = "whisper:"


class Plan(NamedTuple):
    """What to train.

    Attributes:
        encoder: ``mel``, or ``whisper:`` and a name or path.
        hours: of speech to learn from.
        steps: of the optimizer.
        seed: of the speech, the network and the batches.
    """

    encoder: str
    hours: float
    steps: int
    seed: int


def plan_of(encoder: str = "mel", *, seed: int = 1, steps: int | None = None, hours: float | None = None) -> Plan:
    """A plan; what is not given is as the shipped weights have it. A head on Whisper needs less of everything."""
    usual = (3.0, 14000) if encoder == "mel" else (1.0, 1500)
    return Plan(encoder, usual[0] if hours is None else hours, usual[1] if steps is None else steps, seed)


def default_folder(encoder: str) -> Path:
    """Where weights go if nobody says otherwise: a head on a Whisper that has a name goes to where it is looked for."""
    name = encoder.removeprefix(_WHISPER)
    if encoder.startswith(_WHISPER) and name in WHISPER_NAMES:
        return speech_weights.whisper_folder(name)
    return Path("speech-weights")


def train_speech(folder: Path, plan: Plan, say: Say) -> dict[str, Score]:
    """Make speech, train on it, write weights, judge them; goes on where an earlier run of the same plan stopped.

    Args:
        folder: of the weights; the speech and the checkpoint lie in ``work`` below it.
        plan: what to train.
        say: is told how it goes.

    Returns:
        Figures of each set that judges.

    Raises:
        MissingRequirement: a synthesiser, or the weights of Whisper, are not there.
        UnreadableInput: the weights of Whisper are damaged.
        DiskFull, UsageError: the folder cannot be written.
    """
    training = _whisper(plan) if plan.encoder.startswith(_WHISPER) else _mel(plan)
    work = folder / "work"
    recipe = Recipe(round(plan.hours * 3600), plan.seed, with_sound=training.with_sound)
    began = time.monotonic()
    for done, total in make_corpus(work / "corpus.safetensors", recipe):
        say(f"speech: {done / 60:.0f} of {total / 60:.0f} minutes, {time.monotonic() - began:.0f} s")
    learned, judges = load_corpus(work / "corpus.safetensors")
    draw = training.examples(learned)
    began = time.monotonic()
    checkpoint = work / "checkpoint.safetensors"
    key = f"{recipe.key}/{plan.encoder}"
    for at in fit(training.model, draw, steps=plan.steps, seed=plan.seed, checkpoint=checkpoint, key=key):
        if at.step % _SAY_EVERY == 0 or at.step == plan.steps:
            say(f"step {at.step} of {plan.steps}: loss {at.loss:.4f}, {time.monotonic() - began:.0f} s")
    scores = {name: training.judge(speech) for name, speech in judges.items()}
    speech_weights.store(training.model, folder, {**plan._asdict(), **training.about, "figures": figures(scores)})
    return scores


def figures(scores: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    """Scores as they stand in the config of the weights, rounded."""
    return {
        name: {
            **{channel: round(value, 3) for channel, value in score.correlation.items()},
            "visemes": round(score.visemes, 3), "aperture_from_loudness": round(score.loudness, 3),
            "seconds": round(score.seconds, 1),
        }
        for name, score in scores.items()
    }  # fmt: skip


class _Training(NamedTuple):
    """What depends on the encoder: the network, its batches of a corpus, and how it is judged."""

    model: SpeechMotion | WhisperMotion
    with_sound: bool
    examples: Callable[[Speech], Callable[[int], Batch]]
    judge: Callable[[Speech], Score]
    about: dict[str, object]


def _mel(plan: Plan) -> _Training:
    torch.manual_seed(plan.seed)
    model = SpeechMotion()
    return _Training(model, False, lambda speech: MelExamples(speech).draw, lambda speech: evaluate(model, speech), {})


def _whisper(plan: Plan) -> _Training:
    from dreamactor_cli.models.whisper_encoder import WhisperEncoder, find_checkpoint
    from dreamactor_cli.models.whisper_motion import WhisperMotion
    from dreamactor_cli.training.speech.whisper_examples import WhisperExamples, evaluate_whisper

    encoder = WhisperEncoder(find_checkpoint(plan.encoder.removeprefix(_WHISPER)))
    torch.manual_seed(plan.seed)
    model = WhisperMotion(encoder.layers, encoder.size)
    return _Training(
        model, True, lambda speech: WhisperExamples(speech, encoder).draw,
        lambda speech: evaluate_whisper(model, encoder, speech), {"checkpoint_sha256": encoder.sha256},
    )  # fmt: skip
