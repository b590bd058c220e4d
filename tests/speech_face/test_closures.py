"""Lips meet where p, b and m are most likely, about as often as people's lips do."""

import numpy as np
import pytest

from dreamactor_cli.speech_face.closures import PER_SECOND, pick, pressed


def bumps(frames: int, heights: dict[int, float]) -> np.ndarray:
    """Peaks of some frames' width."""
    out = np.zeros(frames)
    for frame, height in heights.items():
        near = np.arange(frames) - frame
        out = np.maximum(out, height * np.exp(-((near / 1.5) ** 2)))
    return out


def test_the_highest_peaks_are_closed_and_no_more_than_speech_has() -> None:
    heights = {10 + 20 * k: 0.15 + 0.02 * k for k in range(12)}
    closure = bumps(250, heights)
    found = pick(closure, np.full(250, 0.3), np.ones(250), 25)
    assert len(found) == round(PER_SECOND * 10) == 12
    assert set(found) == set(heights)
    half = pick(closure, np.full(250, 0.3), np.where(np.arange(250) < 125, 1.0, 0.0), 25)
    assert set(half) == {frame for frame in heights if frame < 125}  # silence has no closures


def test_clear_closures_all_count_and_doubtful_ones_do_not() -> None:
    clear = bumps(50, dict.fromkeys(range(5, 50, 5), 0.9))
    assert len(pick(clear, np.zeros(50), np.ones(50), 25)) == 9
    assert len(pick(bumps(50, {20: 0.08}), np.zeros(50), np.ones(50), 25)) == 0


def test_an_open_mouth_speaks_against_a_closure() -> None:
    closure = bumps(100, {30: 0.3, 70: 0.3})
    aperture = np.where(np.arange(100) < 50, 0.9, 0.1)
    few = np.zeros(100)
    few[:42] = 0.5  # as much speech as one closure needs
    few[60:80] = 0.5
    assert 70 in pick(closure, aperture, few, 25)


@pytest.mark.parametrize("fps", [25.0, 30.0, 59.94])
def test_lips_touch_fully_at_the_frame_and_part_within_a_tenth_of_a_second(fps: float) -> None:
    closure = bumps(200, {100: 0.6})
    out = pressed(np.array([100]), closure, fps)
    assert out[100] == 1
    far = np.abs(np.arange(200) - 100) / fps > 0.2
    assert not out[far].any()
    assert ((out >= 0) & (out <= 1)).all()


def test_a_long_closure_is_held() -> None:
    closure = np.zeros(100)
    closure[40:50] = 0.8
    assert (pressed(np.array([44]), closure, 25.0)[40:50] == 1).all()
