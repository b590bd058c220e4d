"""Speech is told from silence, noise and music, by what is measured."""

import json
from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli.controls.speech_check import Listener
from dreamactor_cli.media import SAMPLE_RATE, read_sound
from dreamactor_cli.models.speech_features import log_mel

SECONDS = 6


def hearing(samples: np.ndarray):
    listener = Listener()
    listener.add_samples(samples.astype(np.float32))
    listener.add_mel(log_mel(samples.astype(np.float32)))
    return listener.hearing()


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, SECONDS * SAMPLE_RATE)


def chords() -> np.ndarray:
    """Half a second each, with overtones, dying away."""
    times = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    pieces = []
    for root in np.random.default_rng(1).integers(0, 24, 2 * SECONDS):
        tones = [220 * 2 ** ((root + step) / 12) for step in (0, 4, 7)]
        wave = sum(np.sin(2 * np.pi * tone * k * times) / k for tone in tones for k in range(1, 8))
        pieces.append(wave * np.exp(-3 * times))
    whole = np.concatenate(pieces)
    return 0.5 * whole / np.abs(whole).max()


def test_silence_is_silent() -> None:
    found = hearing(np.zeros(SECONDS * SAMPLE_RATE))
    assert found.silent
    assert not found.audible
    assert "silent" in found.warnings("a.wav")[0]


@pytest.mark.parametrize("level", [1.0, 0.02])
def test_noise_rests_the_mouth_and_says_what_was_measured(level) -> None:
    found = hearing(level * noise())
    assert not found.silent
    assert not found.audible
    (said,) = found.warnings("a.wav")
    assert "noise" in said
    assert "dB" in said


def test_music_is_warned_of() -> None:
    found = hearing(chords())
    assert found.audible
    (said,) = found.warnings("a.wav")
    assert "music or singing" in said
    assert "% of it is like speech" in said


def test_a_short_sound_has_figures_too() -> None:
    assert hearing(noise()[:640]).share == 0


def test_blocks_do_not_matter() -> None:
    samples, listener = noise().astype(np.float32), Listener()
    mel = log_mel(samples)
    for start in range(0, len(samples), 16000):
        listener.add_samples(samples[start : start + 16000])
    for start in range(0, len(mel), 37):
        listener.add_mel(mel[start : start + 37])
    assert listener.hearing() == hearing(samples)


def test_real_speech_is_speech_and_real_song_is_not(shared_media) -> None:
    entries = [e["file"] for e in json.loads((shared_media / "index.json").read_text())["files"]]
    for name in (n for n in entries if n.startswith("audio/")):
        samples = np.concatenate(list(read_sound(shared_media / name, Fraction(0), Fraction(20))))
        assert bool(hearing(samples).warnings(name)) == ("song" in name), name
