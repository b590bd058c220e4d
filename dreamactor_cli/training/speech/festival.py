"""festival: recorded voices whose licence is permissive, with the end of every phoneme.

``kal`` and ``ked`` are diphones of American speakers, ``slt`` a hidden Markov model of one, ``msu_ru`` units of a Russian one.
"""

from __future__ import annotations

import random
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from scipy.io import wavfile

from dreamactor_cli.errors import MissingRequirement
from dreamactor_cli.training.speech import voices
from dreamactor_cli.training.speech.phonemes import from_arpabet, from_russian
from dreamactor_cli.training.speech.programs import run_program
from dreamactor_cli.training.speech.sentences import utterance
from dreamactor_cli.training.speech.targets import Segment


class _Voice(NamedTuple):
    """A voice: its function in festival, the languages it is given to read, and its phonemes."""

    function: str
    languages: tuple[str, ...]
    symbols: Callable[[str], str]


VOICES = {
    "kal": _Voice("voice_kal_diphone", ("en-us", "en-us", "en-us", "es", "id"), from_arpabet),
    "ked": _Voice("voice_ked_diphone", ("en-us", "en-us", "en-us", "es", "id"), from_arpabet),
    "slt": _Voice("voice_cmu_us_slt_arctic_hts", ("en-us", "en-us", "en-us", "it", "sw"), from_arpabet),
    "msu_ru": _Voice("voice_msu_ru_nsh_clunits", ("ru",), from_russian),
}
_SCRIPT = """
(define (say text stretch wave labels)
  (Parameter.set 'Duration_Stretch stretch)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt wave 'riff)
    (utt.save.segs utt labels)))
"""
_BATCH = 20  # utterances of one process: loading a voice takes longer than speaking


def check() -> None:
    """Find out whether the synthesiser and its voices are there.

    Raises:
        MissingRequirement: they are not.
    """
    told = run_program("festival", ["--batch", "(print (voice.list))"]) or ""
    for voice in VOICES.values():
        if voice.function.removeprefix("voice_") not in told:
            raise MissingRequirement(f"festival has no voice {voice.function.removeprefix('voice_')}", voices.APT)


def speak(name: str, chance: random.Random) -> Iterator[voices.Utterance]:
    """Say some things in one voice."""
    voice = VOICES[name]
    with tempfile.TemporaryDirectory(prefix="dreamactor-") as folder:
        script = [f"({voice.function})", _SCRIPT]
        for number in range(_BATCH):
            text = _plain(utterance(chance.choice(voice.languages), chance), cyrillic=voice.languages == ("ru",))
            stretch = chance.uniform(0.75, 1.2)
            script.append(f'(unwind-protect (say "{text}" {stretch:.2f} "{folder}/{number}.wav" "{folder}/{number}.lab"))')
        program = Path(folder) / "say.scm"
        program.write_text("\n".join(script), "utf-8")
        run_program("festival", ["--batch", str(program)])  # what it said before it failed, if it failed, is as good
        for number in range(_BATCH):
            sound, labels = Path(folder) / f"{number}.wav", Path(folder) / f"{number}.lab"
            if not sound.exists() or not labels.exists():
                continue
            rate, samples = wavfile.read(sound)
            seconds = len(samples) / rate
            segments = _segments(labels.read_text("utf-8", "replace"), voice)
            if segments and abs(segments[-1].end - seconds) < 0.4 and voices.is_usable(seconds, segments):
                yield voices.finish(samples, rate, segments, chance)


def _plain(text: str, *, cyrillic: bool) -> str:
    """What a voice can read: letters and stops, nothing that ends a string."""
    if not cyrillic:
        text = "".join(sign for sign in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(sign))
    text = re.sub(r"[^а-яёА-ЯЁ ,.?!]" if cyrillic else r"[^a-z ,.?!']", "", text)
    return text if len(text.strip(" ,.?!")) > 3 else ("мама" if cyrillic else "nothing at all")


def _segments(told: str, voice: _Voice) -> list[Segment]:
    """Timed sounds of an Xwaves label file: ``end colour phoneme`` behind a line ``#``."""
    found: list[Segment] = []
    start = 0.0
    for line in told.partition("#\n")[2].splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        end = float(fields[0])
        if end > start:
            found += voices.spread(voice.symbols(fields[2]), start, end)
            start = end
    return found
