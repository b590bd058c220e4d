"""Curves read at another rate do not depend on how they come."""

from fractions import Fraction

import numpy as np
import pytest

from dreamactor_cli.controls.speech_timing import Resampler


def resampled(rows: np.ndarray, sizes: list[int], fps: Fraction, frames: int) -> np.ndarray:
    resampler, out, start = Resampler(Fraction(50), fps, frames), [], 0
    for size in sizes:
        out += list(resampler.push(rows[start : start + size]))
        start += size
    out += list(resampler.push(rows[start:])) + list(resampler.finish())
    return np.concatenate(out)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(24), Fraction(60), Fraction(50)])
@pytest.mark.parametrize("sizes", [[], [1] * 40, [7, 0, 31, 2], [99]])
def test_rows_are_interpolated_whatever_the_blocks(fps, sizes) -> None:
    rows = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)
    frames = round(2 * fps)
    found = resampled(rows, sizes, fps, frames)
    times = np.minimum(np.arange(frames) * float(50 / fps), 100)
    expected = np.stack([np.interp(times, np.arange(101), rows[:, k]) for k in range(3)], 1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(found, resampled(rows, [], fps, frames))


def test_the_last_row_stands_for_what_follows() -> None:
    rows = np.array([[0.0], [1.0]], np.float32)
    np.testing.assert_allclose(resampled(rows, [], Fraction(25), 4)[:, 0], [0, 1, 1, 1])
