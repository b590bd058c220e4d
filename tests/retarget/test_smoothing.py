"""Smoothing without delay."""

from __future__ import annotations

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.retarget.smoothing import ease_from_anchor, keep_quick, nearest_rotations, savgol_kernel, smooth


@pytest.mark.parametrize("window", [3, 5, 7, 9, 15])
def test_the_kernel_is_symmetric_and_sums_to_one(window: int) -> None:
    kernel = savgol_kernel(window)
    assert kernel.shape == (window,)
    np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-12)
    assert kernel.sum() == pytest.approx(1)


def test_the_kernels_of_the_paper() -> None:
    np.testing.assert_allclose(savgol_kernel(5), np.array([-3, 12, 17, 12, -3]) / 35, atol=1e-12)
    np.testing.assert_allclose(savgol_kernel(7), np.array([-2, 3, 6, 7, 6, 3, -2]) / 21, atol=1e-12)


@pytest.mark.parametrize("window", [5, 7, 9])
def test_an_impulse_is_spread_to_both_sides_alike(window: int) -> None:
    impulse = np.zeros((41, 2))
    impulse[20] = 1, -3
    response = smooth(impulse, window)
    np.testing.assert_allclose(response, response[::-1], atol=1e-12)
    assert abs(response[20, 0]) == response[:, 0].max()
    assert (response[: 20 - window // 2] == 0).all()


def test_a_parabola_stays_as_it_is() -> None:
    t = np.arange(60.0)
    curve = 0.3 * t**2 - 4 * t + 7
    np.testing.assert_allclose(smooth(curve, 9)[4:-4], curve[4:-4], rtol=1e-10)


def test_noise_becomes_less_and_a_slow_wave_stays() -> None:
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(200) / 15)
    noise = rng.normal(0, 0.1, 200)
    assert (smooth(wave + noise, 9) - wave).std() < 0.62 * noise.std()
    assert np.abs(smooth(wave, 9) - wave)[8:-8].max() < 0.001


def test_the_length_and_the_constant_ends_stay() -> None:
    values = np.concatenate([np.full(10, 2.0), np.linspace(2, 5, 9), np.full(10, 5.0)])
    out = smooth(values, 5)
    assert out.shape == values.shape
    assert out[[0, -1]] == pytest.approx([2, 5])


@pytest.mark.parametrize("window", [0, 1])
def test_no_smoothing(window: int) -> None:
    values = np.random.default_rng(0).normal(size=(9, 3))
    np.testing.assert_array_equal(smooth(values, window), values)
    np.testing.assert_array_equal(smooth(values[:1], 5), values[:1])


def test_an_eased_curve_passes_through_the_raw_anchor_and_returns() -> None:
    smoothed = np.linspace(0, 1, 41)[:, None] * [1.0, 2.0]
    distance = np.arange(41.0) - 12
    eased = ease_from_anchor(smoothed, np.array([0.5, -0.5]), distance)
    np.testing.assert_allclose(eased[12], smoothed[12] + [0.5, -0.5])
    gone = np.abs(eased - smoothed).max(1)
    assert (np.diff(gone[12:]) < 0).all()
    assert (np.diff(gone[:13]) > 0).all()
    assert gone[-1] < 1e-4


def test_matrices_become_the_rotations_they_are_near() -> None:
    rotations = head_space.rotation_from_euler(np.array([[10.0, 20, 30], [-50, 5, 170], [0, 0, 0]]))
    found = nearest_rotations(rotations * 1.07 + np.random.default_rng(0).normal(0, 1e-9, rotations.shape))
    np.testing.assert_allclose(found, rotations, atol=1e-7)
    reflected = nearest_rotations(np.diag([1.0, 1.0, -1.0])[None])
    assert np.linalg.det(reflected[0]) == pytest.approx(1)


def test_quick_motion_passes_and_noise_does_not() -> None:
    still = np.random.default_rng(0).normal(0, 0.0015, (200, 8, 3))
    lips = np.zeros((200, 8, 3))
    lips[50:53, 3, 1] = 0.1  # a plosive: open for three frames
    quick, calm = keep_quick(still + lips, smooth(still + lips, 5)), keep_quick(still, smooth(still, 5))
    assert np.abs(smooth(lips, 5) - lips).max() > 0.02
    assert np.abs(quick - lips)[48:55, 3, 1].max() < 0.01
    assert np.diff(calm, 2, axis=0).std() < 0.8 * np.diff(still, 2, axis=0).std()
