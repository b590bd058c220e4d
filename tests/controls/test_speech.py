"""A sound becomes articulation at the pictures' rate, once, in blocks, in memory that does not grow."""

import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli.contracts import SPEECH_CHANNELS
from dreamactor_cli.controls import speech
from dreamactor_cli.controls.speech import hear
from dreamactor_cli.errors import MissingRequirement, NoStream, UnreadableInput
from dreamactor_cli.media import SAMPLE_RATE, read_sound
from dreamactor_cli.models import speech_motion, speech_weights
from dreamactor_cli.models.speech_features import Statistics, log_mel, normalise

SECONDS = 11


def babble(seconds: int = SECONDS) -> np.ndarray:
    """Vowels, hisses and pauses of about a tenth of a second: speech to whoever does not listen."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(0)
    pieces: list[np.ndarray] = []
    while sum(map(len, pieces)) < seconds * SAMPLE_RATE:
        count = int(rng.uniform(0.05, 0.13) * SAMPLE_RATE)
        kind = rng.choice(["vowel", "vowel", "hiss", "pause"])
        piece = rng.normal(0, 1e-4, count)
        if kind == "hiss":
            piece += 0.08 * np.diff(rng.normal(0, 1, count + 1))
        elif kind == "vowel":
            source = (np.arange(count) % rng.integers(90, 140) == 0) + rng.normal(0, 0.02, count)
            for formant in (rng.uniform(300, 800), rng.uniform(900, 2400), rng.uniform(2500, 3500)):
                radius, angle = 0.96, 2 * np.pi * formant / SAMPLE_RATE
                source = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], source)
            piece += 0.6 * source / np.abs(source).max()
        pieces.append(piece * np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / 160))
    return np.concatenate(pieces)[: seconds * SAMPLE_RATE].clip(-1, 1).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_wav(tmp_path_factory.mktemp("speech") / "babble.wav", babble())


def test_the_signal_has_a_frame_a_picture_and_its_ranges(sound, cache) -> None:
    for fps, frames in ((Fraction(25), 275), (Fraction(30000, 1001), 330)):
        heard = hear(sound, fps=fps, cache=cache)
        signal = heard.stream.window(0, 9999).speech
        assert heard.stream.num_frames == frames
        assert signal.articulation.shape == (frames, 9)
        width = SPEECH_CHANNELS.index("width")
        others = np.delete(signal.articulation, width, 1)
        assert signal.articulation[:, width].min() >= -1
        assert others.min() >= 0
        assert signal.articulation.max() <= 1
        assert 0 <= signal.activity.min() <= signal.activity.max() <= 1
        assert heard.seconds == SECONDS
        assert heard.warnings == ()


def test_blocks_give_what_the_whole_sound_gives(sound, cache) -> None:
    """The sound is longer than two blocks; at once it goes through the network in one piece."""
    samples = np.concatenate(list(read_sound(sound)))
    assert len(samples) > 2 * 4 * SAMPLE_RATE
    mel = log_mel(samples)
    stream = speech_motion.MotionStream(speech_weights.load())
    first, rest = stream.push(normalise(mel, Statistics().add(mel))), stream.finish()
    articulation, visemes = (np.concatenate([a, b]) for a, b in zip(first, rest, strict=True))
    places = np.minimum(np.arange(275) * 2, len(articulation) - 1)
    found = hear(sound, fps=Fraction(25), cache=cache).stream.window(0, 275).speech
    closure = SPEECH_CHANNELS.index("closure")
    others = [k for k in range(9) if k != closure]
    np.testing.assert_allclose(found.articulation[:, others], articulation[places][:, others], atol=1e-4)
    lips = 0.2 * articulation[places, closure] + 0.8 * visemes[places, speech_motion.VISEMES.index("p")]
    np.testing.assert_allclose(found.articulation[:, closure], lips, atol=1e-4)
    np.testing.assert_allclose(found.activity, 1 - visemes[places, 0], atol=1e-4)


def test_a_sound_is_heard_once(sound, cache) -> None:
    first, second = (hear(sound, fps=Fraction(25), cache=cache) for _ in range(2))
    assert (first.cache_hits, second.cache_hits) == (0, 1)
    np.testing.assert_array_equal(
        first.stream.window(0, 275).speech.articulation, second.stream.window(0, 275).speech.articulation
    )
    assert (first.seconds, first.hearing, first.warnings) == (second.seconds, second.hearing, second.warnings)


def test_a_window_is_heard_alone(sound, cache) -> None:
    heard = hear(sound, fps=Fraction(25), cache=cache, start=Fraction(2), duration=Fraction(3))
    assert heard.stream.num_frames == 75
    assert heard.seconds == 3


def test_silence_and_noise_rest(tmp_path, cache) -> None:
    silent = hear(write_wav(tmp_path / "silent.wav", np.zeros(32000)), fps=Fraction(25), cache=cache)
    assert not silent.stream.window(0, 50).speech.activity.any()
    assert "silent" in silent.warnings[0]
    noise = np.random.default_rng(0).normal(0, 0.1, 64000).clip(-1, 1)
    noisy = hear(write_wav(tmp_path / "noise.wav", noise), fps=Fraction(25), cache=cache)
    assert not noisy.stream.window(0, 100).speech.activity.any()
    assert "noise" in noisy.warnings[0]


def test_40_ms_are_one_frame(tmp_path, cache) -> None:
    assert hear(write_wav(tmp_path / "short.wav", babble(1)[:640]), fps=Fraction(25), cache=cache).stream.num_frames == 1


def test_a_process_of_its_own_hears_the_same_and_refuses_the_same(sound, tmp_path, cache) -> None:
    """In a process without torch, which is where it is worth it."""
    code = (
        "import sys; from fractions import Fraction; from pathlib import Path;"
        "from dreamactor_cli.cache import Cache; from dreamactor_cli.controls.speech import hear;"
        "cache = Cache(Path(sys.argv[2]));"
        "heard = hear(Path(sys.argv[1]), fps=Fraction(25), cache=cache, apart=True);"
        "hear(Path(sys.argv[1]), fps=Fraction(25), cache=cache, apart=True);"
        "print('torch' in sys.modules, heard.cache_hits, heard.stream.num_frames, file=sys.stderr);"
        "sys.stdout.buffer.write(heard.stream.window(0, 275).speech.articulation.tobytes())"
    )
    command = [sys.executable, "-c", code]
    root = Path(speech.__file__).parents[2]
    done = subprocess.run([*command, str(sound), str(tmp_path / "apart")], capture_output=True, check=True, cwd=root)
    assert done.stderr.decode().split()[-3:] == ["False", "0", "275"]
    here = hear(sound, fps=Fraction(25), cache=cache)
    assert done.stdout == here.stream.window(0, 275).speech.articulation.tobytes()
    refused = subprocess.run(
        [*command, str(tmp_path / "none.wav"), str(tmp_path / "apart")], capture_output=True, text=True, cwd=root
    )
    assert "UnreadableInput" in refused.stderr
    assert "none.wav" in refused.stderr


def test_what_cannot_be_heard_is_refused(tmp_path, cache, face_clip, encode_clip) -> None:
    with pytest.raises(UnreadableInput, match=r"none\.wav"):
        hear(tmp_path / "none.wav", fps=Fraction(25), cache=cache)
    mute = tmp_path / "mute.mp4"
    encode_clip(mute, face_clip.frames[:3], Fraction(25))
    with pytest.raises(NoStream, match="no sound"):
        hear(mute, fps=Fraction(25), cache=cache)
    with pytest.raises(MissingRequirement, match="Whisper"):
        hear(mute, fps=Fraction(25), cache=cache, encoder="whisper:none-of-this-name")


def test_without_torch_it_is_said_what_to_install(sound, cache, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("speech_motion", "speech_weights"):
        monkeypatch.delitem(sys.modules, f"dreamactor_cli.models.{name}")
        monkeypatch.delattr(f"dreamactor_cli.models.{name}")
    with pytest.raises(MissingRequirement, match="torch") as missing:
        hear(sound, fps=Fraction(25), cache=cache)
    assert missing.value.exit_code == 3


def test_a_video_is_heard_by_its_sound(face_clip, cache) -> None:
    assert hear(face_clip.path, fps=face_clip.fps, cache=cache).stream.num_frames == pytest.approx(face_clip.num_frames, abs=1)


def test_memory_does_not_grow_with_the_sound(tmp_path) -> None:
    """Eight minutes take no more than two, within 15 MB."""
    code = (
        "import sys; from fractions import Fraction; from pathlib import Path;"
        "from dreamactor_cli.cache import Cache; from dreamactor_cli.controls.speech import hear;"
        "hear(Path(sys.argv[1]), fps=Fraction(25), cache=Cache(Path(sys.argv[2])));"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    peaks = []
    for minutes in (2, 8):
        path = write_wav(tmp_path / f"{minutes}.wav", np.tile(babble(10), 6 * minutes))
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), str(tmp_path / "cache")], capture_output=True, text=True, check=True,
            cwd=Path(speech.__file__).parents[2],
        )  # fmt: skip
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 15


def test_whisper_listens_where_a_head_was_trained_for_it(sound, cache, tmp_path, monkeypatch) -> None:
    """A tiny random checkpoint in Whisper's own format, and a random head: the same signal, kept apart from the other."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    from dreamactor_cli.models.whisper_encoder import WhisperEncoder
    from dreamactor_cli.models.whisper_motion import WhisperMotion

    torch.manual_seed(0)
    dims = ModelDimensions(80, 100, 16, 2, 2, 32, 8, 16, 2, 1)
    checkpoint, folder = tmp_path / "small.pt", tmp_path / "head"
    torch.save({"dims": vars(dims), "model_state_dict": Whisper(dims).state_dict()}, checkpoint)
    about = {"encoder": f"whisper:{checkpoint}", "checkpoint_sha256": WhisperEncoder(checkpoint).sha256}
    speech_weights.store(WhisperMotion(2, 16, channels=8), folder, about)
    heard = hear(sound, fps=Fraction(25), cache=cache, encoder=f"whisper:{folder}")
    plain = hear(sound, fps=Fraction(25), cache=cache)
    assert heard.stream.num_frames == plain.stream.num_frames == 275
    assert (heard.cache_hits, plain.cache_hits) == (0, 0)
    assert not np.allclose(heard.stream.window(0, 275).speech.articulation, plain.stream.window(0, 275).speech.articulation)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(MissingRequirement, match="dreamactor train speech --encoder whisper"):
        hear(sound, fps=Fraction(25), cache=cache, encoder=f"whisper:{checkpoint}")
