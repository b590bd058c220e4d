"""flite: four recorded American and Scottish voices, with the end of every phoneme."""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scipy.io import wavfile

from dreamactor_cli.training.speech import voices
from dreamactor_cli.training.speech.phonemes import from_arpabet
from dreamactor_cli.training.speech.programs import find_program, run_program
from dreamactor_cli.training.speech.sentences import utterance
from dreamactor_cli.training.speech.targets import Segment

VOICES = ("slt", "rms", "awb", "kal16")
_READ_AS_ENGLISH = ("de", "es", "it", "id", "nl", "sw")  # brings sequences of sounds that English lacks
_PLAIN = str.maketrans({"ä": "a", "ö": "o", "ü": "u", "é": "e", "ñ": "n", "ß": "ss"})


def check() -> None:
    """Find out whether the synthesiser is there.

    Raises:
        MissingRequirement: it is not.
    """
    find_program("flite")


def speak(names: Sequence[str], chance: random.Random) -> voices.Utterance | None:
    """Say something in one of some voices; None if nothing usable came of it."""
    language = "en-us" if chance.random() < 0.8 else chance.choice(_READ_AS_ENGLISH)
    text = re.sub(r"[^A-Za-z0-9 ,.?!']", "", utterance(language, chance).translate(_PLAIN))
    stretch = f"duration_stretch={chance.uniform(0.78, 1.3):.2f}"
    with tempfile.TemporaryDirectory(prefix="dreamactor-") as folder:
        sound = Path(folder) / "said.wav"
        voice = chance.choice(names)
        told = run_program("flite", ["-voice", voice, "-psdur", "--setf", stretch, "-t", text, "-o", str(sound)])
        if told is None or not sound.exists():
            return None
        rate, samples = wavfile.read(sound)
    segments = _segments(told)
    seconds = len(samples) / rate
    if not segments or abs(segments[-1].end - seconds) > 0.3 or not voices.is_usable(seconds, segments):
        return None
    return voices.finish(samples, rate, segments, chance)


def _segments(told: str) -> list[Segment]:
    """Timed sounds of ``pau:0.174 m:0.325 ...``, a line for each sentence, whose time begins anew."""
    found: list[Segment] = []
    for line in told.splitlines():
        offset = start = found[-1].end if found else 0.0
        for token in re.findall(r"\S+:[\d.]+", line):
            name, _, end = token.rpartition(":")
            found += voices.spread(from_arpabet(name), start, offset + float(end))
            start = offset + float(end)
    return found
