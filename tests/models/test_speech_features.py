"""Log-mels do not depend on blocks, nor what the network gets on the volume."""

import numpy as np
import pytest

from dreamactor_cli.models.speech_features import (
    FRAME_RATE,
    HOP,
    NUM_MELS,
    SAMPLE_RATE,
    MelStream,
    Statistics,
    frame_levels,
    log_mel,
    normalise,
)  # fmt: skip


def voice(seconds: float = 3.0) -> np.ndarray:
    """A buzz whose loudness and colour change, over a little noise."""
    chance = np.random.default_rng(0)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 30))
    return (0.2 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)) + 1e-3 * chance.standard_normal(len(time))).astype(np.float32)


@pytest.mark.parametrize("block", [1, 159, 4000, 10**9])
def test_frames_do_not_depend_on_blocks(block: int) -> None:
    sound = voice(0.3)
    stream = MelStream()
    parts = [stream.push(sound[at : at + block]) for at in range(0, len(sound), block)]
    mel = np.concatenate([*parts, stream.finish()])
    assert mel.shape == (1 + len(sound) // HOP, NUM_MELS)
    np.testing.assert_allclose(mel, log_mel(sound), atol=1e-4)


def test_no_sound_has_no_frames() -> None:
    assert log_mel(np.empty(0, np.float32)).shape == (0, NUM_MELS)
    assert log_mel(np.zeros(1, np.float32)).shape == (1, NUM_MELS)


def test_a_frame_is_centred_at_its_time() -> None:
    sound = np.zeros(SAMPLE_RATE, np.float32)
    sound[SAMPLE_RATE // 2] = 1
    assert frame_levels(log_mel(sound)).argmax() == FRAME_RATE // 2


def test_a_tone_is_in_its_band() -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    loudest = [log_mel(np.sin(2 * np.pi * f * time).astype(np.float32))[50].argmax() for f in (200, 1000, 4000)]
    assert loudest == sorted(loudest)
    mel = 2595 * np.log10(1 + np.array([60, 1000, 7600]) / 700)
    assert abs(loudest[1] - (mel[1] - mel[0]) / (mel[2] - mel[0]) * NUM_MELS) < 1.5


def test_broken_samples_count_as_silence() -> None:
    sound = voice(0.5)
    sound[1000:1010] = [np.nan, np.inf, -np.inf, *[np.nan] * 7]
    assert np.isfinite(log_mel(sound)).all()


def test_statistics_do_not_depend_on_blocks() -> None:
    mel = log_mel(voice())
    whole, parts = Statistics().add(mel), Statistics()
    for at in range(0, len(mel), 7):
        parts.add(mel[at : at + 7])
    assert parts.level == whole.level
    np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-6)


def test_volume_does_not_matter() -> None:
    def heard(gain: float) -> np.ndarray:
        mel = log_mel(voice() * np.float32(gain))
        return normalise(mel, Statistics().add(mel))

    np.testing.assert_allclose(heard(0.05), heard(1.0), atol=0.1)


def test_silence_is_far_below_speech() -> None:
    for sound in (
        np.zeros(SAMPLE_RATE, np.float32),
        1e-5 * np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32),
    ):
        mel = log_mel(sound)
        assert normalise(mel, Statistics().add(mel)).mean() < -1.5
    assert normalise(log_mel(voice()), Statistics().add(log_mel(voice()))).max() > 0.5


def test_features_are_librosas() -> None:
    import librosa

    sound = voice(1.0)
    emphasised = sound - np.float32(0.97) * np.concatenate([[np.float32(0)], sound[:-1]])
    spectrum = np.abs(librosa.stft(emphasised, n_fft=512, hop_length=160, win_length=400, pad_mode="constant")) ** 2
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=512, n_mels=NUM_MELS, fmin=60, fmax=7600, htk=True, norm=None)
    np.testing.assert_allclose(log_mel(sound), np.log(np.maximum(bank @ spectrum, 1e-10)).T, atol=2e-3)
