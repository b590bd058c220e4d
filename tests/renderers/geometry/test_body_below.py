"""How far limbs and torso go on below what hides them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_below import bare_skin, hanging_together, hidden_limb, hidden_torso
from dreamactor_cli.renderers.geometry.body_skeleton import (
    BONE_INDEX,
    BONES,
    CORE,
    HEAD_PART,
    PARTS,
    Skeleton,
    distances,
    skeleton_of,
)

from .figures import HEIGHT, WIDTH, figure

Mask = NDArray[np.bool_]
LEFT_ARM = PARTS.index("left_upper_arm")


def _skeleton(moved: dict[int, tuple[float, float]] | None = None) -> Skeleton:
    body = figure(moved).reference.controls.body
    assert body is not None
    return skeleton_of(body, None, 0, WIDTH, HEIGHT)


def _strip(a: tuple[int, int], b: tuple[int, int], thickness: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(mask, a, b, 1, thickness)
    return mask > 0


def test_a_limb_is_hidden_as_thin_as_it_is_seen() -> None:
    skeleton = _skeleton({13: (152.0, 190.0), 15: (152.0, 250.0)})
    grid = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).reshape(-1, 2).astype(np.float64)
    reach = np.divide(*distances(grid, skeleton, BONES[BONE_INDEX["left_upper_arm"]])).reshape(HEIGHT, WIDTH).astype(np.float32)
    arm = _strip((152, 100), (152, 190), 9)  # half as wide as arms are
    across = np.zeros_like(arm)
    across[135:160, 120:190] = True
    hidden = hidden_limb(LEFT_ARM, arm & ~across, across, reach, skeleton)
    columns = np.flatnonzero(hidden[147])
    assert abs(columns.min() - 147.5) <= 2
    assert abs(columns.max() - 156.5) <= 2
    # Of which nothing is seen, it is as wide as such limbs are.
    assert np.flatnonzero(hidden_limb(LEFT_ARM, np.zeros_like(arm), across, reach, skeleton)[147]).size > 18


def test_below_a_hand_a_limb_is_as_wide_as_at_both_ends_of_it() -> None:
    """Its bone lies at one side; a wide cuff above makes it no wider."""
    skeleton = _skeleton({13: (152.0, 190.0), 15: (152.0, 250.0)})
    grid = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).reshape(-1, 2).astype(np.float64)
    reach = np.divide(*distances(grid, skeleton, BONES[BONE_INDEX["left_upper_arm"]])).reshape(HEIGHT, WIDTH).astype(np.float32)
    arm = np.zeros((HEIGHT, WIDTH), bool)
    arm[100:190, 148:166] = True
    arm[100:120, 148:172] = True
    before = np.zeros_like(arm)
    before[135:160, 154:200] = True
    hidden = hidden_limb(LEFT_ARM, arm & ~before, before, reach, skeleton)
    columns = np.flatnonzero(hidden[147])
    assert columns.min() == 154
    assert abs(columns.max() - 165) <= 1


def _torso(skeleton: Skeleton, arm: Mask) -> tuple[Mask, NDArray[np.int8]]:
    """What is seen of a torso behind an arm, and the labels of both."""
    torso = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillConvexPoly(torso, np.int32([[158, 94], [82, 94], [96, 196], [144, 196]]), 1)
    labels = np.full((HEIGHT, WIDTH), -1, np.int8)
    labels[torso > 0] = CORE
    labels[arm] = LEFT_ARM
    return labels == CORE, labels


def test_a_torso_is_hidden_no_wider_than_the_hull_of_what_is_seen_and_a_little() -> None:
    skeleton = _skeleton({13: (158.0, 148.0), 15: (156.0, 196.0)})
    arm = _strip((160, 100), (156, 200), 26)
    own, labels = _torso(skeleton, arm)
    hidden = hidden_torso(own, arm, labels, labels < 0, np.zeros(labels.shape, bool), skeleton)
    row = np.flatnonzero(hidden[150])
    assert row.size
    assert row.max() <= np.flatnonzero(own[150]).max() + 12
    assert not hidden[:, 166:].any()


def test_a_torso_goes_on_to_the_line_from_shoulder_to_hip_though_half_of_it_is_hidden() -> None:
    skeleton = _skeleton({13: (140.0, 150.0), 15: (140.0, 110.0)})
    arm = np.zeros((HEIGHT, WIDTH), bool)
    arm[90:200, 125:175] = True
    own, labels = _torso(skeleton, arm)
    hidden = hidden_torso(own, arm, labels, labels < 0, np.zeros(labels.shape, bool), skeleton)
    assert hidden[120, 125:146].all()
    assert not hidden[120, 165:].any()


def test_a_torso_in_two_pieces_goes_on_between_them() -> None:
    skeleton = _skeleton()
    across = _strip((60, 150), (180, 150), 24)
    own, labels = _torso(skeleton, across)
    hidden = hidden_torso(own, across, labels, labels < 0, np.zeros(labels.shape, bool), skeleton)
    assert hidden[150, 100:140].all()
    assert not hidden[150, 170:].any()


def test_before_a_bare_arm_a_torso_ends_where_it_is_seen_to_end() -> None:
    skeleton = _skeleton({13: (158.0, 148.0), 15: (156.0, 196.0)})
    arm = _strip((160, 100), (156, 200), 26)
    own, labels = _torso(skeleton, arm)
    spot = arm & (np.abs(np.mgrid[:HEIGHT, :WIDTH][0] - 150) < 4)  # a stripe of the sleeve
    shaded = arm & ~(np.mgrid[:HEIGHT, :WIDTH][1] < 155)  # skin but for its inner side, which is in the shade
    sleeve, bare, striped, outlined = (
        hidden_torso(own, arm, labels, labels < 0, skin, skeleton)[150] for skin in (np.zeros_like(arm), arm, spot, shaded)
    )
    seen = np.flatnonzero(own[150]).max()
    np.testing.assert_array_equal(striped, sleeve)
    assert np.flatnonzero(sleeve).max() > seen + 3
    assert np.flatnonzero(bare).max(initial=0) <= seen + 3
    np.testing.assert_array_equal(outlined, bare)


def test_a_bare_hand_before_the_belly_hides_torso() -> None:
    skeleton = _skeleton()
    hand = _strip((115, 140), (125, 140), 20)
    own, labels = _torso(skeleton, hand)
    assert hidden_torso(own, hand, labels, labels < 0, hand, skeleton)[hand].all()


def test_skin_is_what_has_the_colour_of_the_face_in_light_and_shade() -> None:
    made = figure({9: (122.0, 70.0), 10: (118.0, 70.0)})
    assert made.reference.controls.body is not None
    skeleton = skeleton_of(made.reference.controls.body, None, 0, WIDTH, HEIGHT)
    image = made.reference.images[0].copy()
    face = image[62, 120].astype(float)
    for column, color in enumerate((face, 0.6 * face, 0.1 * face, face[::-1])):
        image[300:340, 10 + 50 * column : 40 + 50 * column] = color
    bare = bare_skin(image, skeleton)
    assert [bool(bare[320, 25 + 50 * column]) for column in range(4)] == [True, True, False, False]
    assert not bare_skin(image, _without_face(skeleton)).any()


def _without_face(skeleton: Skeleton) -> Skeleton:
    return replace(skeleton, score=np.where(np.arange(len(skeleton.score)) < 11, 0.1, skeleton.score))


def _behind_a_head(skeleton: Skeleton, middle: tuple[int, int], radius: int) -> tuple[Mask, NDArray[np.int8], Mask]:
    """What is seen of a torso behind a round head, the labels of both, and the head."""
    disc = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(disc, middle, radius, 1, -1)
    own, labels = _torso(skeleton, disc > 0)
    labels[disc > 0] = HEAD_PART
    return own, labels, disc > 0


def test_below_a_head_that_hangs_before_the_chest_shoulders_rise_to_a_neck() -> None:
    skeleton = _skeleton()
    own, labels, head = _behind_a_head(skeleton, (120, 92), 26)
    upright, bowed = (
        hidden_torso(own, head, labels, labels < 0, np.zeros_like(own), replace(skeleton, bowed=flag)) for flag in (False, True)
    )
    assert bowed[88, 112:128].all()
    assert bowed.sum() > upright.sum()
    assert not bowed[:80].any()


def test_a_bowed_head_that_hides_a_shoulder_leaves_no_hole_where_it_hung() -> None:
    """Of the shoulder nothing is seen, and yet the torso is as wide as its joints."""
    skeleton = _skeleton()
    own, labels, head = _behind_a_head(skeleton, (92, 104), 30)
    hidden = hidden_torso(own, head, labels, labels < 0, np.zeros_like(own), replace(skeleton, bowed=True))
    shoulder = skeleton.points[12]
    inside = _strip((round(shoulder[0]) + 3, round(shoulder[1]) + 3), (110, 120), 1)
    assert not own[inside].all()
    assert (hidden | own)[inside].all()


def test_a_bare_forearm_before_the_torso_hides_it_as_a_sleeve_does() -> None:
    skeleton = _skeleton({15: (100.0, 150.0)})
    across = _strip((176, 150), (60, 150), 24)
    own, labels = _torso(skeleton, across)
    labels[across] = PARTS.index("left_forearm")
    sleeve, bare = (hidden_torso(own, across, labels, labels < 0, skin, skeleton) for skin in (np.zeros_like(across), across))
    assert sleeve[150, 95:145].all()
    np.testing.assert_array_equal(bare, sleeve)


def test_a_torso_has_no_shreds_below_an_arm_and_no_pieces_beyond_it() -> None:
    """What is hidden of it makes one piece with what is seen, as smooth as a torso is."""
    skeleton = _skeleton()
    torso, hidden = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    torso[100:190, 96:140] = True
    hidden[100:190, 140:148] = True
    hidden[120:122, 148:165] = hidden[130:150, 170:180] = True
    out = hanging_together(torso, hidden, 0.06 * skeleton.scale)
    assert out[105:185, 140:148].all()
    assert not out[:, 150:].any()
