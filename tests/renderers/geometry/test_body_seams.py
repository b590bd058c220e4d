"""What a limb has taken of the body beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_seams import given_back, off_hand
from dreamactor_cli.renderers.geometry.body_skeleton import CORE, HAND_PARTS, PARTS

ARM, HAND = PARTS.index("left_forearm"), HAND_PARTS[0]
HEIGHT, WIDTH = 120, 100
SKIN, SHORTS = (215, 170, 140), (30, 30, 35)
ALONG = np.repeat(np.linspace(0, 0.999, HEIGHT)[:, None], WIDTH, 1)


def _picture(sleeve: tuple[int, int, int]) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """Shorts up to column 60, an arm from there to 75, which is told to begin at 52."""
    image = np.full((HEIGHT, WIDTH, 3), 240, np.uint8)
    image[:, :60], image[:, 60:75] = SHORTS, sleeve
    labels = np.full((HEIGHT, WIDTH), -1, np.int8)
    labels[:, 20:52], labels[:, 52:75] = CORE, ARM
    noise = np.random.default_rng(0).integers(-6, 7, image.shape)
    return labels, np.clip(image + noise, 0, 255).astype(np.uint8)


def test_a_strip_of_shorts_beside_a_bare_arm_is_given_back() -> None:
    labels, image = _picture(SKIN)
    out = given_back(labels, image, ARM, (CORE,), ALONG)
    assert (out[:, 52:60] == CORE).mean() > 0.98
    assert (out[:, 60:75] == ARM).all()
    np.testing.assert_array_equal(out[:, :52], labels[:, :52])


def test_a_dark_sleeve_beside_dark_cloth_stays_as_it_is() -> None:
    labels, image = _picture((70, 65, 60))
    np.testing.assert_array_equal(given_back(labels, image, ARM, (CORE,), ALONG), labels)


def test_a_limb_that_touches_no_body_stays_as_it_is() -> None:
    labels, image = _picture(SKIN)
    labels[:, 40:52] = -1
    np.testing.assert_array_equal(given_back(labels, image, ARM, (CORE,), ALONG), labels)
    np.testing.assert_array_equal(given_back(np.full_like(labels, -1), image, ARM, (CORE,), ALONG), np.full_like(labels, -1))


def test_cloth_beside_a_hand_is_none_of_it_though_fingers_are_seen_there() -> None:
    """A ring stays the hand's."""
    image = np.full((60, 80, 3), (150, 150, 155), np.uint8)
    image[20:40, 10:50] = SKIN
    image[28:30, 20:22] = (60, 60, 60)
    labels = np.full((60, 80), CORE, np.int8)
    labels[15:45, 10:55] = HAND
    reach = np.full((60, 80), 1.5)
    reach[15:45, 10:55] = 0.9
    out = off_hand(labels, image, HAND, reach)
    assert (out[20:40, 10:50] == HAND).all()
    assert (out == HAND).sum() == 20 * 40
    np.testing.assert_array_equal(off_hand(np.full_like(labels, HAND), image, HAND, reach), np.full_like(labels, HAND))
