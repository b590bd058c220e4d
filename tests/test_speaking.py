"""Sound and motion of different lengths, and what a speaker is made of."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dreamactor_cli.contracts import Controls, Job, Preset
from dreamactor_cli.errors import NoStream, UsageError
from dreamactor_cli.speaking import Folded, fit, folded, frame_rate, load_speaker

SIGNALS = ("face", "head")


def job(audio: Path | None, driving: str | None = None, **preset: object) -> Job:
    return Job(
        id="j", kind="lipsync", references=(Path("a.png"),), audio=audio, driving=driving, output=Path("o.mp4"),
        preset=Preset(**preset),  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("hold", [0, 1, 2, 3, 3, 3, 3, 3]), ("loop", [0, 1, 2, 3, 0, 1, 2, 3]), ("ping-pong", [0, 1, 2, 3, 2, 1, 0, 1])],
)
def test_a_motion_goes_on_by_its_rule(perform, rule: str, expected: list[int]) -> None:
    whole: Controls = perform(0.16, headYaw=[0, 20])
    assert whole.num_frames == 4
    assert folded(np.arange(8), 4, rule).tolist() == expected
    stream = Folded(whole=whole, num_frames=8, rule=rule)
    found = stream.window(0, 8)
    assert whole.head is not None
    assert found.head is not None
    np.testing.assert_array_equal(found.head.rotation, whole.head.rotation[expected])
    part = stream.window(3, 6)
    assert part.head is not None
    np.testing.assert_array_equal(part.head.rotation, whole.head.rotation[expected[3:6]])
    assert stream.window(6, 99).num_frames == 2


def test_one_frame_can_go_on_too() -> None:
    assert folded(np.arange(3), 1, "ping-pong").tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("motion_ends", "sound_ends", "sound", "frames"),
    [
        ("ping-pong", "cut", 100, 100), ("hold", "cut", 100, 100), ("cut", "cut", 100, 50), ("loop", "rest", 100, 100),
        ("ping-pong", "cut", 20, 20), ("ping-pong", "rest", 20, 50), ("cut", "cut", 50, 50),
    ],
)  # fmt: skip
def test_the_output_is_as_long_as_the_sound_unless_asked_otherwise(perform, motion_ends, sound_ends, sound, frames) -> None:
    motion = perform(2.0)
    stream, total = fit(motion, sound, Fraction(25), Preset(motion_ends=motion_ends, sound_ends=sound_ends))
    assert total == frames
    assert stream.num_frames >= min(frames, motion.num_frames)


def test_rates_that_do_not_divide_have_frames_enough(perform) -> None:
    motion = perform(1.0, fps=Fraction(24))
    stream, total = fit(motion, 100, Fraction(30000, 1001), Preset())
    assert total == 100
    assert stream.num_frames * Fraction(30000, 1001) / 24 >= 100


def test_a_speaker_lives_by_itself_as_long_as_the_sound(face_clip, cache) -> None:
    speaker = load_speaker(job(face_clip.path), signals=SIGNALS, cache=cache)
    assert speaker.fps == 25
    assert len(speaker.tracks) == speaker.controls.num_frames == pytest.approx(face_clip.num_frames, abs=1)
    assert speaker.sound.path == face_clip.path
    assert speaker.preset.smoothing == 0
    assert speaker.video is None
    again = load_speaker(job(face_clip.path), signals=SIGNALS, cache=cache)
    assert again.cache_hits == 1
    other = load_speaker(replace(job(face_clip.path), seed=5), signals=SIGNALS, cache=cache)
    assert not np.array_equal(other.controls.window(0, 9).head.center, again.controls.window(0, 9).head.center)  # type: ignore[union-attr]


def test_a_motion_moves_the_head_and_is_fitted(face_clip, cache) -> None:
    speaker = load_speaker(job(face_clip.path, "motion:nod", fps="50"), signals=SIGNALS, cache=cache)
    assert speaker.fps == 50
    assert len(speaker.tracks) == pytest.approx(2 * face_clip.num_frames, abs=2)
    assert speaker.controls.num_frames >= len(speaker.tracks) - 1


def test_the_rate_is_the_drivers(face_clip) -> None:
    assert frame_rate(job(face_clip.path)) == 25
    assert frame_rate(job(face_clip.path, "motion:nod")) == 25
    assert frame_rate(job(face_clip.path, str(face_clip.path))) == face_clip.fps
    assert frame_rate(job(face_clip.path, fps="30000/1001")) == Fraction(30000, 1001)


def test_what_cannot_speak_is_refused(face_clip, cache, tmp_path, encode_clip) -> None:
    with pytest.raises(UsageError, match="no sound"):
        load_speaker(job(None), signals=SIGNALS, cache=cache)
    mute = tmp_path / "mute.mp4"
    encode_clip(mute, face_clip.frames[:3], Fraction(25))
    with pytest.raises(NoStream, match=r"mute\.mp4"):
        load_speaker(job(mute), signals=SIGNALS, cache=cache)
