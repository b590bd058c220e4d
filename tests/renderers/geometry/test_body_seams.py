"""What a limb has taken of the body beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_seams import given_back
from dreamactor_cli.renderers.geometry.body_skeleton import CORE, PARTS

ARM = PARTS.index("left_forearm")
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
