"""What is said is written in time: SubRip, WebVTT, and into the picture."""

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli import captions as c
from dreamactor_cli.contracts import Job, Preset
from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.media import read_sound
from dreamactor_cli.models.whisper_words import PIECE, Transcriber, _quietest

HELLO = 7751  # the token " hello" of Whisper's multilingual vocabulary


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny random checkpoint in Whisper's own format, whose decoder says the same word whatever it hears."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(0)
    dims = ModelDimensions(
        n_mels=80, n_audio_ctx=1500, n_audio_state=16, n_audio_head=2, n_audio_layer=2, n_vocab=51865, n_text_ctx=16,
        n_text_state=16, n_text_head=2, n_text_layer=2,
    )  # fmt: skip
    model = Whisper(dims)
    with torch.no_grad():
        model.decoder.positional_embedding.zero_()  # Whisper leaves it as memory was
        model.decoder.ln.weight.zero_()
        model.decoder.ln.bias.copy_(model.decoder.token_embedding.weight[HELLO])
    path = tmp_path_factory.mktemp("whisper") / "same.pt"
    torch.save({"dims": asdict(dims), "model_state_dict": model.state_dict()}, path)
    return path


def words(*spans: tuple[str, float, float]) -> list[c.Word]:
    return [c.Word(*span) for span in spans]


def job(sound: Path, tmp_path: Path, **preset: object) -> Job:
    return Job(
        id="j", kind="lipsync", references=(tmp_path / "a.png",), audio=sound, output=tmp_path / "out.mp4",
        preset=Preset(**preset),  # type: ignore[arg-type]
    )  # fmt: skip


def test_words_are_timed_within_the_sound(checkpoint, face_clip) -> None:
    found = list(Transcriber(str(checkpoint)).words(read_sound(face_clip.path)))
    assert found
    assert all(word.text.strip() for word in found)
    assert all(0 <= word.start <= word.end <= 1.6 for word in found)


def test_a_language_is_detected_and_all_is_kept(checkpoint, face_clip, tmp_path, cache, monkeypatch) -> None:
    monkeypatch.setattr(c, "_model", lambda _encoder: str(checkpoint))
    first, again = (c.load_captions(job(face_clip.path, tmp_path, captions="vtt"), cache=cache) for _ in range(2))
    assert first == again
    assert first is not None
    assert first.language
    first.write(tmp_path / "out.mp4")
    text = (tmp_path / "out.vtt").read_text("utf-8")
    assert text.startswith("WEBVTT\n")
    assert f"Language: {first.language}" in text
    assert repr(first.language) in first.told(tmp_path / "out.mp4")


def test_without_weights_it_is_said_how_to_get_them(face_clip, tmp_path, cache, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingRequirement, match="load_model") as missing:
        c.load_captions(job(face_clip.path, tmp_path, captions="srt"), cache=cache)
    assert missing.value.exit_code == 3
    assert c.load_captions(job(face_clip.path, tmp_path), cache=cache) is None


def test_what_is_no_checkpoint_is_refused(tmp_path) -> None:
    (tmp_path / "not.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(UnreadableInput, match=r"not\.pt"):
        Transcriber(str(tmp_path / "not.pt"))


def test_captions_end_at_sentences_pauses_and_when_they_are_full() -> None:
    sentence = [(f" word{k}", 0.3 * k, 0.3 * k + 0.25) for k in range(8)]
    groups = list(c.captions_of(words(*sentence[:-1], (" end.", 2.1, 2.4), (" Next", 2.5, 2.7))))
    assert [g.text[-5:] for g in groups] == [" end.", "Next"[-5:]]
    assert len(list(c.captions_of(words((" a", 0, 0.2), (" b", 2, 2.2))))) == 2
    long = list(c.captions_of(words(*((f" word{k:02d}", 0.1 * k, 0.1 * k + 0.1) for k in range(60)))))
    assert max(len(g.text) for g in long) <= c.LINE * c.LINES
    assert sum(len(g.words) for g in long) == 60
    assert list(c.captions_of([])) == []


def test_subrip_and_webvtt_have_the_times() -> None:
    said = list(c.captions_of(words((" Tom", 3661.5, 3661.9), (" & I", 3662.0, 3662.25))))
    assert c.srt(said) == "1\n01:01:01,500 --> 01:01:02,250\nTom & I\n"
    assert c.vtt(said, "en") == (
        "WEBVTT\nKind: captions\nLanguage: en\n\n01:01:01.500 --> 01:01:02.250\nTom<01:01:02.000> &amp; I\n"
    )


def test_long_texts_are_broken_into_even_lines() -> None:
    lines = c.lines_of("the quick brown fox jumps over the lazy dog again and again")
    assert len(lines) == 2
    assert max(map(len, lines)) <= c.LINE
    assert min(map(len, lines)) > 20


def test_words_are_burned_in_while_they_are_said() -> None:
    frames = [np.full((120, 200, 3), 90, np.uint8) for _ in range(10)]
    said = c.Captions("en", tuple(c.captions_of(words((" Hello", 0.2, 0.6)))), "burn")
    shown = list(said.burned((f for f in frames), Fraction(10)))
    changed = [bool((a != b).any()) for a, b in zip(shown, frames, strict=True)]
    assert changed == [2 <= k < 6 for k in range(10)]
    assert not (shown[3][:60] != 90).any()  # only near the lower edge
    assert shown[3].max() > 240
    assert shown[3].min() < 10


def test_a_long_sound_is_cut_where_it_is_quiet() -> None:
    samples = np.ones(PIECE, np.float32)
    samples[-16000 * 5 : -16000 * 5 + 8000] = 0
    assert 0 <= _quietest(samples) - (PIECE - 16000 * 5) < 8000
