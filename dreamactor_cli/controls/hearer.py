"""Hears a sound: the network, and what turns a clip into motion block by block. Runs here or in a process of its own.

The sound is gone through twice: once for its level and colour, then block by block through the network, so that memory does
not grow with its length, and no answer depends on the blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dreamactor_cli.atomic import write_errors
from dreamactor_cli.contracts import F32, SPEECH_CHANNELS, Speech
from dreamactor_cli.controls.speech_check import Hearing, Listener
from dreamactor_cli.controls.speech_timing import Resampler
from dreamactor_cli.controls_file import write_signal
from dreamactor_cli.errors import MissingRequirement
from dreamactor_cli.media import SAMPLE_RATE, read_sound, sha256_file
from dreamactor_cli.resources import PACKAGE

if TYPE_CHECKING:
    from dreamactor_cli.models.speech_features import Statistics
    from dreamactor_cli.models.speech_motion import MotionStream
    from dreamactor_cli.models.whisper_motion import WhisperHearing

MEL = "mel"  # the encoder that needs no weights from elsewhere
WHISPER = "whisper:"
NUM_MELS = 64
_SHIPPED = PACKAGE / "weights" / "speech" / "model.safetensors"
_BLOCK = 8 * SAMPLE_RATE  # numbers that are heard at a time: 8 s of samples, 20 s of log-mel
_ELSEWHERE = "name another place for the cache with --cache-dir"
_KEPT = 4096  # frames that are gathered before they are written
_CLOSURE = SPEECH_CHANNELS.index("closure")
_SILENCE, _LIPS = 0, 1  # visemes: nothing is said; p, b or m
_WITNESS = 0.8  # share of the viseme in a closure; found on synthetic voices that were not learned from


class Encoder(Protocol):
    """Turns one clip's sound, which comes in blocks, into motion; made for this clip."""

    rate: Fraction  # of the motion frames, Hz

    def push(self, sound: F32) -> tuple[F32, F32]:
        """Articulation (n, 9) and probabilities of visemes (n, 17) that are certain with the sound so far.

        Args:
            sound: the next samples (N,), or the next log-mel frames (N, 64), as the `Ear` has it.
        """

    def finish(self) -> tuple[F32, F32]:
        """The rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """An encoder that is ready to be opened.

    Attributes:
        opened: makes it, from the statistics of the clip.
        weights: their hash.
        mel: it listens to log-mel frames, else to samples.
    """

    opened: Callable[[Statistics], Encoder]
    weights: str
    mel: bool


class Hearer:
    """Hears sounds with one encoder; a handler of `pool.WorkerPool`.

    Args:
        payload: ``encoder``.
    """

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._ear = _ear(payload["encoder"])

    def __call__(self, task: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
        """Hear one window of one sound.

        Args:
            task: ``path``; ``fps``, ``start`` and ``duration``, rationals as text or None; ``scratch``, a folder.
            tell: is given ``done`` and ``total``, in frames.

        Returns:
            ``parts``, files with parts of the signal, and ``found``, what is known beside.
        """
        duration = task["duration"]
        run = _Run(
            Path(task["path"]), Fraction(task["fps"]), Fraction(task["start"]), None if duration is None else Fraction(duration),
            lambda done, total: tell({"done": done, "total": total}),
        )  # fmt: skip
        parts, found = run.hear(self._ear, Path(task["scratch"]))
        return {"parts": [str(part) for part in parts], "found": found}


def weights_of(encoder: str) -> str:
    """Hash of what an encoder knows.

    Raises:
        MissingRequirement: its weights are not there.
    """
    return sha256_file(_SHIPPED) if encoder == MEL else _ear(encoder).weights


@dataclass(frozen=True, slots=True)
class _Run:
    """Hears one window of one sound."""

    path: Path
    fps: Fraction
    start: Fraction
    duration: Fraction | None
    on_progress: Callable[[int, int], None]

    def hear(self, ear: Ear, scratch: Path) -> tuple[list[Path], dict[str, Any]]:
        """Files with parts of the signal, and what is known beside."""
        sound = scratch / "sound.f32"
        with write_errors(sound, _ELSEWHERE):
            statistics, hearing, seconds, damaged = self._survey(sound, ear.mel)
        total = max(1, round(seconds * self.fps))
        self.on_progress(0, total)
        rows = _rows(ear.opened(statistics), sound, ear.mel, self.fps, total)
        parts = list(self._parts(rows, scratch, hearing.audible, total))
        return parts, {"seconds": str(seconds), "hearing": asdict(hearing), "damaged": damaged}

    def _survey(self, sound: Path, keep_mel: bool) -> tuple[Statistics, Hearing, Fraction, int]:
        """The first pass: level and colour, what kind of sound it is, its length, and how many packets are damaged.

        What the encoder listens to waits in a file (92 MB an hour of log-mel, 230 MB of samples) for the second.
        """
        from dreamactor_cli.models.speech_features import MelStream, Statistics

        statistics, listener, mel = Statistics(), Listener(), MelStream()
        reader = read_sound(self.path, self.start, self.duration)
        with sound.open("wb") as file:
            for block in chain(reader, (None,)):
                frames = mel.finish() if block is None else mel.push(block)
                listener.add_mel(frames)
                statistics.add(frames)
                if block is not None:
                    listener.add_samples(block)
                if keep_mel or block is not None:
                    file.write(np.ascontiguousarray(frames if keep_mel else block).data)
        return statistics, listener.hearing(), Fraction(reader.samples, SAMPLE_RATE), reader.damaged

    def _parts(self, blocks: Iterator[F32], scratch: Path, audible: bool, total: int) -> Iterator[Path]:
        """The signal at the pictures' rate, in files of at least `_KEPT` frames."""
        held: list[F32] = []
        done = 0
        for rows in blocks:
            held.append(rows)
            done += len(rows)
            self.on_progress(done, total)
            if sum(map(len, held)) >= _KEPT or done == total:
                values = np.concatenate(held)
                activity = values[:, -1] * np.float32(audible)
                speech = Speech(articulation=np.ascontiguousarray(values[:, :-1]), activity=np.ascontiguousarray(activity))
                part = scratch / f"speech-{done:09d}.safetensors"
                write_signal(part, "speech", speech)
                held = []
                yield part


def _rows(encoder: Encoder, sound: Path, mel: bool, fps: Fraction, total: int) -> Iterator[F32]:
    """Articulation and activity, (n, 10), at the pictures' rate."""
    resampler = Resampler(encoder.rate, fps, total)
    with sound.open("rb") as file:
        while len(block := np.fromfile(file, np.float32, _BLOCK)):
            yield from resampler.push(_columns(*encoder.push(block.reshape(-1, NUM_MELS) if mel else block)))
    yield from resampler.push(_columns(*encoder.finish()))
    yield from resampler.finish()


def _columns(articulation: F32, visemes: F32) -> F32:
    """Articulation with its activity as the last column, (n, 10)."""
    out = np.concatenate([articulation, 1 - visemes[:, _SILENCE : _SILENCE + 1]], 1).astype(np.float32)
    # Two witnesses of p, b and m: how closed the lips are, and how sure it is that it is one of these sounds.
    out[:, _CLOSURE] = (1 - _WITNESS) * articulation[:, _CLOSURE] + _WITNESS * visemes[:, _LIPS]
    return out


class MelEncoder:
    """The network on log-mel; no weights from elsewhere."""

    rate = Fraction(50)

    def __init__(self, statistics: Statistics, motion: MotionStream) -> None:
        from dreamactor_cli.models.speech_features import normalise

        self._normalise, self._statistics, self._motion = normalise, statistics, motion
        self.finish = motion.finish

    def push(self, sound: F32) -> tuple[F32, F32]:
        """See `Encoder`; log-mel frames (N, 64)."""
        return self._motion.push(self._normalise(sound, self._statistics))


def _ear(name: str) -> Ear:
    """What hears.

    Raises:
        MissingRequirement: weights, or a package that is needed here alone, are not there.
    """
    try:
        from dreamactor_cli.models import speech_motion, speech_weights
    except ModuleNotFoundError as error:
        hint = "install it: pip install torch==2.13.0 (dreamactor doctor tells more)"
        raise MissingRequirement(f"to hear speech the package {error.name} is needed, which is not there", hint) from error
    if name == MEL:
        model = speech_weights.load()
        return Ear(opened=lambda found: MelEncoder(found, speech_motion.MotionStream(model)), weights=weights_of(name), mel=True)
    given = name.removeprefix(WHISPER)
    folder = Path(given) if Path(given).is_dir() else speech_weights.whisper_folder(given)
    from dreamactor_cli.models.whisper_encoder import find_checkpoint
    from dreamactor_cli.models.whisper_motion import WhisperHearing

    if not Path(given).is_dir():
        find_checkpoint(given)  # what lacks first is said first
    if not folder.is_dir():
        what = f"there is no head for the speech encoder {name}: Whisper hears, but knows no lips"
        raise MissingRequirement(what, f"train one with: dreamactor train speech --encoder {name}, or leave --speech-encoder out")
    whisper, head = speech_weights.load_whisper(folder)
    weights = sha256_file(folder / "model.safetensors") + whisper.sha256
    return Ear(opened=lambda _: _WhisperEncoder(WhisperHearing(whisper, head)), weights=weights, mel=False)


class _WhisperEncoder:
    """A head on Whisper's encoder, which has its own way with levels."""

    rate = Fraction(50)

    def __init__(self, hearing: WhisperHearing) -> None:
        self.push, self.finish = hearing.push, hearing.finish
