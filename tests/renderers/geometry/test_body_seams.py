"""What colours tell of arms and hands."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_seams import daylight, given_back, hand_behind, off_hand, sleeveless, without_thorns
from dreamactor_cli.renderers.geometry.body_skeleton import CORE, HAND_PARTS, PARTS

ARM, HAND = PARTS.index("left_forearm"), HAND_PARTS[0]
HEIGHT, WIDTH = 120, 100
SKIN, SHORTS = (215, 170, 140), (30, 30, 35)
ALONG = np.repeat(np.linspace(0, 0.999, HEIGHT)[:, None], WIDTH, 1)
NO_SKIN = np.zeros((HEIGHT, WIDTH), bool)


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
    out = given_back(labels, image, ARM, (CORE,), ALONG, NO_SKIN)
    assert (out[:, 52:60] == CORE).mean() > 0.98
    assert (out[:, 60:75] == ARM).all()
    np.testing.assert_array_equal(out[:, :52], labels[:, :52])


def test_a_dark_sleeve_beside_dark_cloth_stays_as_it_is() -> None:
    labels, image = _picture((70, 65, 60))
    np.testing.assert_array_equal(given_back(labels, image, ARM, (CORE,), ALONG, NO_SKIN), labels)


def test_a_limb_that_touches_no_body_stays_as_it_is() -> None:
    labels, image = _picture(SKIN)
    labels[:, 40:52] = -1
    np.testing.assert_array_equal(given_back(labels, image, ARM, (CORE,), ALONG, NO_SKIN), labels)
    nobody = np.full_like(labels, -1)
    np.testing.assert_array_equal(given_back(nobody, image, ARM, (CORE,), ALONG, NO_SKIN), nobody)


def test_the_inner_side_of_a_bare_arm_is_skin_in_the_shade() -> None:
    """It is as dark as the shorts beside it, which the arm has taken a strip of."""
    labels, image = _picture(SKIN)
    image[:, 60:66] = np.clip(image[:, 60:66].astype(float) * 0.35, 0, 255).astype(np.uint8)
    out = given_back(labels, image, ARM, (CORE,), ALONG, image[..., 0] > 60)
    assert (out[:, 61:75] == ARM).all()
    assert (out[:, 52:59] == CORE).mean() > 0.95


@pytest.mark.parametrize("wall", [(240, 240, 240), (70, 110, 90)])
def test_light_between_an_arm_and_a_torso_is_nobodys(wall: tuple[int, int, int]) -> None:
    """The matte shows none: the arm is told to begin at the shirt."""
    shirt = (150, 60, 60)
    labels, image = _picture(SKIN)
    image[:] = wall
    image[:, 20:54], image[:, 60:75] = shirt, SKIN
    found, gaps = daylight(labels, image, ARM, (CORE,), ALONG)
    assert gaps[:, 55:59].all()
    assert not gaps[:, 61:].any()
    assert (found[:, 55:59] == -1).all()
    assert (found[:, 52:54] == CORE).all()
    assert (found[:, 61:75] == ARM).all()


def test_where_an_arm_lies_on_the_torso_there_is_no_light() -> None:
    labels, image = _picture(SKIN)
    found, gaps = daylight(labels, image, ARM, (CORE,), ALONG)
    assert not gaps.any()
    np.testing.assert_array_equal(found, labels)
    alone = np.where(labels == CORE, -1, labels).astype(np.int8)
    assert not daylight(alone, image, ARM, (CORE,), ALONG)[1].any()


def test_cloth_beside_a_hand_is_none_of_it_though_fingers_are_seen_there() -> None:
    """A ring stays the hand's."""
    image = np.full((60, 80, 3), (150, 150, 155), np.uint8)
    image[20:40, 10:50] = SKIN
    image[28:30, 20:22] = (60, 60, 60)
    labels = np.full((60, 80), CORE, np.int8)
    labels[15:45, 10:55] = HAND
    reach = np.full((60, 80), 1.5)
    reach[15:45, 10:55] = 0.9
    none, arm = np.zeros((60, 80), bool), np.full((60, 80), ARM, np.int8)
    out = off_hand(labels, image, HAND, reach, none, arm)
    assert (out[20:40, 10:50] == HAND).all()
    assert (out == HAND).sum() == 20 * 40
    whole = np.full_like(labels, HAND)
    np.testing.assert_array_equal(off_hand(whole, image, HAND, reach, none, arm), whole)


def test_skin_in_shade_stays_the_hands_and_away_from_its_joints_is_the_arms() -> None:
    image = np.full((60, 80, 3), SKIN, np.uint8)
    image[:, 40:60] = (120, 95, 78)
    labels = np.full((60, 80), CORE, np.int8)
    labels[15:45, 10:70] = HAND
    reach = np.full((60, 80), 0.9)
    reach[:, 40:50], reach[:, 50:] = 1.5, 3.0
    out = off_hand(labels, image, HAND, reach, np.ones((60, 80), bool), np.full((60, 80), ARM, np.int8))
    assert (out[15:45, 10:50] == HAND).all()
    assert (out[15:45, 50:70] == ARM).all()
    assert (out[labels == CORE] == CORE).all()


def test_the_outline_of_a_hand_before_an_arm_is_the_hands() -> None:
    """The forearm's own width stays its own."""
    labels = np.full((80, 100), CORE, np.int8)
    labels[20:60, 40:60], labels[30:50, 60:90] = ARM, HAND
    labels[26:30, 60:85] = ARM  # above the fingers
    out = without_thorns(labels, HAND, (ARM,))
    assert (out[26:30, 66:85] == HAND).all()
    assert (out[20:60, 40:60] == ARM).all()
    assert (out[labels == HAND] == HAND).all()
    assert (out[labels == CORE] == CORE).all()


def _shoulder(rows: slice, columns: slice) -> tuple[NDArray[np.int8], *tuple[NDArray[np.bool_], ...]]:
    """A body and its arm beside it, from column 40 on, skin in a box, and what lies about shoulder and neck."""
    labels = np.full((60, 80), CORE, np.int8)
    labels[:, 40:] = ARM
    bare, near = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    bare[rows, columns], near[:40, 30:60] = True, True
    neck = np.zeros((60, 80), bool)
    neck[:30, :25] = True
    return labels, bare, near, neck


def test_a_sleeve_has_nothing_of_a_bare_shoulder() -> None:
    labels, bare, near, neck = _shoulder(slice(10, 30), slice(10, 44))
    out, dressed = sleeveless(labels, bare, ARM, CORE, near, neck)
    assert dressed
    assert (out[10:30, 40:44] == CORE).all()
    assert (out == ARM).sum() == (labels == ARM).sum() - 20 * 4


@pytest.mark.parametrize("rows", [slice(30, 60), slice(0, 60)])
def test_an_arm_keeps_its_own_skin_below_a_sleeve_or_without_one(rows: slice) -> None:
    labels, bare, near, neck = _shoulder(rows, slice(30, 60))
    out, dressed = sleeveless(labels, bare, ARM, CORE, near, neck)
    assert dressed == (rows.start > 0)
    np.testing.assert_array_equal(out, labels)


def test_skin_beside_a_hand_is_that_of_the_hand_behind_it_where_that_is_nearer() -> None:
    """Cloth, and skin further away, are neither's."""
    image = np.full((60, 80, 3), (40, 40, 60), np.uint8)
    image[10:50, 10:70] = SKIN
    image[40:50, 10:70] = (100, 78, 66)  # in shade
    labels = np.full((60, 80), CORE, np.int8)
    labels[15:35, 40:60] = HAND
    near, nearer = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    near[:, :65], nearer[:, 35:] = True, True
    out = hand_behind(labels, image, HAND, ARM, near, nearer)
    assert (out[10:50, 10:35] == ARM).all()
    assert (out[10:50, 35:65] == HAND).all()
    assert (out[:, 65:] == labels[:, 65:]).all()
    assert (out[:8] == CORE).all()
    nobody = np.full_like(labels, CORE)
    np.testing.assert_array_equal(hand_behind(nobody, image, HAND, ARM, near, nearer), nobody)
