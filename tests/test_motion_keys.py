"""The curve between keys, against scipy's."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from dreamactor_cli.motion_keys import through


@pytest.mark.parametrize("seed", range(20))
def test_the_same_bits_as_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 12))
    keys = np.cumsum(rng.uniform(0.01, 2, count))
    values = rng.normal(0, 10, count)
    if seed % 2:  # plateaus
        values = np.round(values / 10)
    keys, values = np.r_[keys[0] - 1, keys, keys[-1] + 1], np.r_[values[0], values, values[-1]]
    times = np.r_[keys, rng.uniform(keys[0], keys[-1], 200)]
    np.testing.assert_array_equal(through(keys, values, times), PchipInterpolator(keys, values)(times))


def test_a_curve_meets_its_keys_and_never_overshoots() -> None:
    keys, values = [0.0, 1.0, 2.0, 2.5, 3.5], [1.0, 1.0, 5.0, 2.0, 2.0]
    np.testing.assert_allclose(through(keys, values, np.array(keys)), values, atol=1e-12)
    between = through(keys, values, np.linspace(0, 3.5, 200))
    assert between.min() == 1.0
    assert between.max() <= 5.0
