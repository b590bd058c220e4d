"""What is seen behind a body that stays, and behind one that leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.backdrop import Backdrop
from dreamactor_cli.renderers.geometry.layers import separate
from dreamactor_cli.renderers.geometry.portrait import channels

HEIGHT, WIDTH = 400, 300
LEFT, RIGHT = 0, 1


def nodes(middle: tuple[int, int]) -> NDArray[np.float64]:
    """Corners and middle of a square, (5, 2) px."""
    return np.array(middle) + np.array([[-40, -40], [40, -40], [40, 40], [-40, 40], [0, 0]], np.float64)


PLACES = {LEFT: nodes((75, 200)), RIGHT: nodes((225, 200))}


def plates() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Grey all over, and the same with a dark rim around both squares."""
    empty = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    still = empty.copy()
    for x in (75, 225):
        still[152:248, x - 48 : x + 48] = 20
    return still, empty


def behind(places: dict[int, NDArray[np.float64]]) -> NDArray[np.uint8]:
    canvas = channels(Backdrop(*plates(), PLACES).canvas(places))
    assert not canvas[..., 3].any()
    return canvas[..., :3]


def test_at_rest_it_is_the_picture() -> None:
    still, _ = plates()
    np.testing.assert_array_equal(behind(PLACES), still)
    np.testing.assert_array_equal(behind({part: place + 0.5 for part, place in PLACES.items()}), still)


def test_who_leaves_takes_the_rim_along() -> None:
    still, empty = plates()
    seen = behind({LEFT: PLACES[LEFT], RIGHT: PLACES[RIGHT] + [60, 0]})
    np.testing.assert_array_equal(seen[:, :135], still[:, :135])
    np.testing.assert_array_equal(seen[:, 165:], empty[:, 165:])
    np.testing.assert_array_equal(behind({LEFT: PLACES[LEFT] - 50}), empty)  # one that is not drawn has left, too


def test_only_the_side_that_moves_is_uncovered() -> None:
    still, empty = plates()
    bent = PLACES[LEFT].copy()
    bent[:2, 0] += 30  # the two upper corners
    seen = behind({LEFT: bent, RIGHT: PLACES[RIGHT]})
    np.testing.assert_array_equal(seen[152:160, 30:40], empty[152:160, 30:40])
    np.testing.assert_array_equal(seen[230:, :120], still[230:, :120])


def test_it_changes_as_smoothly_as_the_body_moves() -> None:
    greys = [int(behind({LEFT: PLACES[LEFT], RIGHT: PLACES[RIGHT] + [0, away]})[200, 270, 0]) for away in np.arange(0, 8, 0.5)]
    assert greys[0] == 20
    assert greys[-1] == 128
    assert (np.diff(greys) >= 0).all()
    assert np.diff(greys).max() < 30


def test_what_the_person_does_to_the_picture_is_not_in_the_empty_plate() -> None:
    """A shadow close to the outline, outside the matte."""
    image = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    image[140:260, 100:200] = 150  # shadow
    image[145:255, 105:195] = (40, 90, 160)
    matte = np.zeros((HEIGHT, WIDTH), np.float32)
    matte[145:255, 105:195] = 1
    layers = separate(image, matte, (matte * 255).astype(np.uint8), thin=0.15, patches=True)
    assert np.abs(layers.empty.astype(int) - 200).max() < 12
    assert layers.background[142, 120:180].max() < 170
