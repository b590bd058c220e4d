"""Where a torso ends is told by the picture's edges, and smooth where it shows none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_borders import smoothed
from dreamactor_cli.renderers.geometry.body_skeleton import CORE, PARTS

UPPER_ARM, FOREARM = PARTS.index("left_upper_arm"), PARTS.index("left_forearm")
HEIGHT, WIDTH, BORDER = 120, 100, 50
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
EVERYBODY = np.ones((HEIGHT, WIDTH), bool)


def _ragged() -> NDArray[np.int8]:
    """A torso beside an arm, told apart by a border of teeth 6 px long."""
    teeth = 6 * ((ROWS // 5) % 2)
    return np.where(BORDER - 3 + teeth > COLUMNS, CORE, UPPER_ARM).astype(np.int8)


def _photo(colors: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey (h, w) or colours (h, w, 3) with the noise of a photo, (h, w, 3)."""
    values = np.broadcast_to(colors.reshape(*colors.shape[:2], -1), (HEIGHT, WIDTH, 3)).astype(float)
    return np.clip(values + np.random.default_rng(0).normal(0, 3, values.shape), 0, 255).astype(np.uint8)


def _ends(labels: NDArray[np.int8]) -> NDArray[np.int64]:
    """First column of each inner row that is not the torso's."""
    return (labels[10:-10] != CORE).argmax(1)


def test_in_one_cloth_a_border_is_smooth() -> None:
    """A wrinkle along it is no edge, nor are the squares of a plaid."""
    wrinkled = _photo(200 - 14 * (np.abs(COLUMNS - BORDER - 3 + (ROWS // 5) % 2 * 6) < 2))
    plaid = _photo(np.where((ROWS // 6 + COLUMNS // 6) % 2, 60, 220))
    assert np.ptp(_ends(_ragged())) == 6
    for image in (wrinkled, plaid):
        ends = _ends(smoothed(_ragged(), image, EVERYBODY))
        assert np.ptp(ends) <= 2
        assert abs(ends.mean() - BORDER) < 2


def test_between_two_colours_it_is_where_they_meet() -> None:
    shirt, skin = np.array([60, 70, 150]), np.array([220, 180, 150])
    image = _photo(np.where((COLUMNS < BORDER + 4)[..., None], shirt, skin))
    ends = _ends(smoothed(_ragged(), image, EVERYBODY))
    assert np.abs(ends - BORDER - 4).max() <= 1


def test_a_thin_limb_does_not_shrink_where_it_hangs_on_a_thicker_one() -> None:
    labels = np.full((HEIGHT, WIDTH), -1, np.int8)
    labels[:20], labels[20:60, 30:60], labels[60:, 42:50] = CORE, UPPER_ARM, FOREARM
    out = smoothed(labels, _photo(np.full((HEIGHT, WIDTH), 200)), labels >= 0)
    assert (out[64:, 42:50] == FOREARM).all()
    np.testing.assert_array_equal(out >= 0, labels >= 0)


def test_a_torso_without_limbs_is_left_alone() -> None:
    labels = np.where(ROWS < 40, -1, CORE).astype(np.int8)
    image = _photo(np.full((HEIGHT, WIDTH), 200))
    np.testing.assert_array_equal(smoothed(labels, image, labels >= 0), labels)


def test_a_strand_of_hair_away_from_the_arm_stays_the_torsos() -> None:
    """Though what lies beside the person is nearer to an arm than to it."""
    labels = np.where((COLUMNS > 60) & (ROWS > 60), CORE, UPPER_ARM).astype(np.int8)
    labels[8:20, 77:87] = CORE
    person = (labels == CORE) | (ROWS > 60)
    out = smoothed(labels, _photo(np.full((HEIGHT, WIDTH), 200)), person)
    assert (out[11:17, 80:84] == CORE).all()
