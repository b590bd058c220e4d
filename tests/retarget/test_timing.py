"""Rate conversion by exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli.retarget.timing import frame_positions, interpolate

NTSC = Fraction(30000, 1001)


def test_the_same_rate_takes_frame_for_frame() -> None:
    np.testing.assert_array_equal(frame_positions(3, 8, NTSC, NTSC, 100), [3, 4, 5, 6, 7])


@pytest.mark.parametrize(("fps", "source"), [(NTSC, Fraction(25)), (Fraction(25), NTSC), (Fraction(60), Fraction(24000, 1001))])
def test_positions_do_not_drift(fps: Fraction, source: Fraction) -> None:
    """After an hour and a half a frame still lies where its time says."""
    k = 160_000
    position = frame_positions(k, k + 1, fps, source, 10**9)[0]
    assert position == pytest.approx(float(Fraction(k) / fps * source), abs=1e-9)


def test_positions_end_with_the_clip() -> None:
    positions = frame_positions(0, 30, Fraction(50), Fraction(25), 10)
    assert positions[1] == 0.5
    assert positions.max() == 9
    assert (positions[18:] == 9).all()


def test_interpolation_is_linear_and_exact_on_frames() -> None:
    values = np.random.default_rng(0).normal(size=(6, 2, 3))
    np.testing.assert_array_equal(interpolate(values, np.arange(6.0)), values)
    between = interpolate(values, np.array([0.25, 4.5]))
    np.testing.assert_allclose(between[0], 0.75 * values[0] + 0.25 * values[1])
    np.testing.assert_allclose(between[1], (values[4] + values[5]) / 2)
    np.testing.assert_array_equal(interpolate(values[:1], np.zeros(3)), np.repeat(values[:1], 3, 0))
