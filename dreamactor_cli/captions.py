"""What is said, written beside a video or into its picture."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np

from dreamactor_cli.atomic import replacing
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import U8, Job
from dreamactor_cli.errors import MissingRequirement
from dreamactor_cli.media import read_sound, sha256_file
from dreamactor_cli.media.lettering import lettered

VERSION = "1"
OFF, BURN = "off", "burn"
WHISPER = "whisper:"
USUAL = ("base", "tiny", "small", "medium")  # what is looked for if no Whisper is named, in this order
LINE = 42  # characters
LINES = 2
LONGEST = 6.0  # s of a caption
PAUSE = 0.8  # s between words that end one
ENDS = (".", "?", "!", "\u3002", "\uff1f", "\uff01", "\u061f")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a caption, seconds; the text may begin with a space."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Caption:
    """What is shown at once."""

    words: tuple[Word, ...]

    @property
    def start(self) -> float:
        """Seconds."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """Seconds."""
        return self.words[-1].end

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(word.text for word in self.words).strip()


@dataclass(frozen=True, slots=True)
class Captions:
    """What is said in a sound.

    Attributes:
        language: a code such as ``en``, as it was detected.
        form: ``"srt"``, ``"vtt"`` or ``"burn"``.
    """

    language: str
    captions: tuple[Caption, ...]
    form: str

    def told(self, output: Path) -> str:
        """One line for the user."""
        where = "in the picture" if self.form == BURN else f"in {caption_path(output, self.form).name}"
        return f"{sum(len(c.words) for c in self.captions)} words of language {self.language!r} are {where}"

    def write(self, output: Path) -> None:
        """The file beside an output; captions in the picture need none."""
        if self.form == BURN:
            return
        text = srt(self.captions) if self.form == "srt" else vtt(self.captions, self.language)
        with replacing(caption_path(output, self.form)) as beside:
            beside.write_text(text, "utf-8")

    def burned(self, frames: Generator[U8, None, None], fps: Fraction) -> Generator[U8, None, None]:
        """Frames with what is said at the time in them, near the lower edge."""
        try:
            for index, frame in zip(count(), frames, strict=False):
                time = float(index / fps)
                shown = [c for c in self.captions if c.start <= time < c.end]
                yield lettered(frame, lines_of(shown[0].text)) if shown else frame
        finally:
            frames.close()


def load_captions(job: Job, *, cache: Cache) -> Captions | None:
    """What is said in the sound of a job, from the cache or from Whisper; None if nobody asked.

    Raises:
        MissingRequirement: there are no weights of Whisper.
        UnreadableInput: they are damaged.
    """
    if job.preset.captions == OFF or job.audio is None:
        return None
    from dreamactor_cli.models.whisper_encoder import find_checkpoint

    name = _model(job.preset.speech_encoder)
    window = f"{job.start}+{'end' if job.duration is None else job.duration}"
    key = cache.signal_key(
        input_sha256=sha256_file(job.audio), window=window, fps=Fraction(1), extractor="words", version=VERSION, parameters={},
        weights_sha256=sha256_file(find_checkpoint(name)),
    )  # fmt: skip
    found = cache.get(key) or cache.put(key, lambda to: _write(to, *_transcribe(name, job)))
    language, words = _read(found)
    return Captions(language, tuple(captions_of(words)), job.preset.captions)


def _model(encoder: str) -> str:
    """Which Whisper writes: the one that hears, else the best of the usual ones that is there."""
    from dreamactor_cli.models.whisper_encoder import find_checkpoint

    if encoder.startswith(WHISPER):
        given = Path(encoder.removeprefix(WHISPER))
        config = given / "config.json"
        return json.loads(config.read_text("utf-8"))["encoder"].removeprefix(WHISPER) if config.is_file() else str(given)
    for name in USUAL:
        try:
            find_checkpoint(name)
        except MissingRequirement:
            continue
        return name
    find_checkpoint(USUAL[0])  # says where it is looked for, and how to get it
    raise AssertionError(USUAL)


def _transcribe(name: str, job: Job) -> tuple[str, list[Word]]:
    from dreamactor_cli.models.whisper_words import Transcriber

    assert job.audio is not None
    transcriber = Transcriber(name)
    words = [Word(*word) for word in transcriber.words(read_sound(job.audio, job.start, job.duration))]
    return transcriber.language, words


def captions_of(words: Sequence[Word]) -> Iterator[Caption]:
    """Words in groups that can be read at once."""
    held: list[Word] = []
    for word in words:
        if held and _full(held, word):
            yield Caption(tuple(held))
            held = []
        held.append(word)
    if held:
        yield Caption(tuple(held))


def _full(held: Sequence[Word], word: Word) -> bool:
    """Whether a caption is complete before a word."""
    text = "".join(w.text for w in held)
    long = len((text + word.text).strip()) > LINE * LINES or word.end - held[0].start > LONGEST
    return long or word.start - held[-1].end > PAUSE or (text.rstrip().endswith(ENDS) and len(text) > LINE // 2)


def lines_of(text: str) -> list[str]:
    """A text in as few lines of `LINE` characters as it takes, of about equal length."""
    import textwrap

    whole = textwrap.wrap(text, LINE) or [""]
    return textwrap.wrap(text, max(len(text) // len(whole) + 6, 8)) if len(whole) > 1 else whole


def srt(captions: Sequence[Caption]) -> str:
    """SubRip."""
    blocks = [
        f"{number}\n{_clock(c.start, ',')} --> {_clock(c.end, ',')}\n" + "\n".join(lines_of(c.text)) + "\n"
        for number, c in enumerate(captions, 1)
    ]
    return "\n".join(blocks)


def vtt(captions: Sequence[Caption], language: str) -> str:
    """WebVTT, with the time of every word."""
    blocks = [f"WEBVTT\nKind: captions\nLanguage: {language}\n"]
    for c in captions:
        words = [f"<{_clock(w.start, '.')}>{_plain(w.text)}" if k else _plain(w.text.lstrip()) for k, w in enumerate(c.words)]
        blocks.append(f"{_clock(c.start, '.')} --> {_clock(c.end, '.')}\n{''.join(words)}\n")
    return "\n".join(blocks)


def caption_path(output: Path, form: str) -> Path:
    """The file beside an output."""
    return output.with_name(output.name.replace("%", "_")).with_suffix(f".{form}")


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{point}{milliseconds:03d}"


def _write(path: Path, language: str, words: Sequence[Word]) -> None:
    from safetensors.numpy import save_file

    text = json.dumps({"language": language, "words": [w.text for w in words]})
    times = np.array([(w.start, w.end) for w in words], np.float64).reshape(-1, 2)
    save_file({"times": times}, str(path), {"words": text})


def _read(path: Path) -> tuple[str, list[Word]]:
    from safetensors import safe_open

    with safe_open(str(path), "numpy") as opened:
        said = json.loads(opened.metadata()["words"])
        times = opened.get_tensor("times")
    return said["language"], [Word(text, float(a), float(b)) for text, (a, b) in zip(said["words"], times, strict=True)]
