"""The face around the mouth lives as faces do, and the same way for the same seed."""

import numpy as np
import pytest

from dreamactor_cli import motion
from dreamactor_cli.speech_face.life import TURNS, life
from dreamactor_cli.speech_face.tracks import mouth_tracks

SECONDS = 240
FPS = 25


@pytest.fixture(scope="module")
def talk(say):
    """Four minutes of syllables."""
    frames = SECONDS * FPS
    aperture = np.clip(0.4 + 0.35 * np.sin(np.arange(frames) * 2 * np.pi * 3.7 / FPS), 0, 1)
    return mouth_tracks(say(frames, aperture=aperture))


@pytest.fixture(scope="module")
def quiet(say):
    return mouth_tracks(say(SECONDS * FPS, activity=0.0))


def blinks(curves) -> np.ndarray:
    """Frames at which a blink begins."""
    shut = curves["eyeBlink"] > 0.4
    return np.flatnonzero(shut[1:] & ~shut[:-1])


def test_curves_are_known_to_motions_and_within_their_limits(talk) -> None:
    for name, values in life(talk, fps=FPS, seed=1, head_motion=1.0).items():
        assert name in motion.CURVE_NAMES
        low, high = motion.CHANNELS.get(name, (0, 1))
        assert low <= values.min()
        assert values.max() <= high


def test_people_blink_more_when_they_talk(talk, quiet) -> None:
    counts = [[len(blinks(life(t, fps=FPS, seed=s, head_motion=1.0))) for s in range(4)] for t in (talk, quiet)]
    speech, rest = (np.mean(c) / SECONDS * 60 for c in counts)
    assert 21 < speech < 30
    assert 13 < rest < 20


def test_blinks_are_short_and_come_at_uneven_intervals(talk) -> None:
    curves = life(talk, fps=50, seed=3, head_motion=1.0)
    shut = curves["eyeBlink"] > 0.4
    edges = np.flatnonzero(np.diff(np.concatenate([[0], shut.astype(int), [0]])))
    lengths = (edges[1::2] - edges[::2]) / 50
    assert 0.08 <= np.median(lengths) <= 0.2
    gaps = np.diff(blinks(curves)) / 50
    assert gaps.std() > 0.5 * gaps.mean()


def test_the_head_turns_as_far_as_heads_do(talk) -> None:
    curves = [life(talk, fps=FPS, seed=s, head_motion=1.0) for s in range(6)]
    for name, deviation in TURNS.items():
        found = np.mean([c[name][FPS * 10 :].std() for c in curves])
        assert found == pytest.approx(deviation, rel=0.3), name
    yaw = np.concatenate([c["headYaw"] for c in curves])
    power = np.abs(np.fft.rfft(yaw - yaw.mean())) ** 2
    frequency = np.fft.rfftfreq(len(yaw), 1 / FPS)
    assert 0.5 < power[frequency < 0.5].sum() / power.sum() < 0.8


def test_the_head_is_faster_in_speech_than_in_pauses(talk, quiet) -> None:
    def speed(tracks) -> float:
        return float(
            np.mean([np.abs(np.diff(life(tracks, fps=FPS, seed=s, head_motion=1.0)["headYaw"])).mean() for s in range(6)])
        )

    assert 1.08 < speed(talk) / speed(quiet) < 1.4


def test_head_motion_is_a_factor_and_the_first_frame_is_the_pictures_pose(talk) -> None:
    full, half, none = (life(talk, fps=FPS, seed=5, head_motion=x) for x in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(half["headYaw"], 0.5 * full["headYaw"])
    assert not any(none[name].any() for name in ("headYaw", "headPitch", "headRoll", "headX", "torsoY"))
    assert none["eyeBlink"].any()
    assert all(abs(full[name][0]) < 1e-9 for name in ("headYaw", "headRoll", "headX"))


def test_the_same_seed_is_the_same_life(talk) -> None:
    one, same, other = (life(talk, fps=FPS, seed=s, head_motion=1.0) for s in (7, 7, 8))
    assert all((one[name] == same[name]).all() for name in one)
    assert not (one["headYaw"] == other["headYaw"]).all()


def test_one_frame_is_enough(say) -> None:
    curves = life(mouth_tracks(say(1, aperture=0.3)), fps=FPS, seed=0, head_motion=1.0)
    assert {values.shape for values in curves.values()} == {(1,)}
    assert all(np.isfinite(values).all() for values in curves.values())
