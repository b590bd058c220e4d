"""Where the parts of a body lie beside its joints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.contracts import Hands
from dreamactor_cli.renderers.geometry.body_skeleton import (
    BONE_INDEX,
    BONES,
    HAND_PARTS,
    Skeleton,
    distances,
    head_distance,
    skeleton_of,
    without_hidden_hand,
)
from tests.renderers.geometry.figures import HEIGHT, WIDTH, figure

# Wrists on each other, the left arm's hand pointing to the left of the picture and the right one's to the right.
CLASPED = {
    13: (176.0, 150.0), 15: (122.0, 150.0), 17: (106.0, 152.0), 19: (106.0, 148.0), 21: (108.0, 146.0),
    14: (64.0, 150.0), 16: (118.0, 150.0), 18: (134.0, 152.0), 20: (134.0, 148.0), 22: (132.0, 146.0),
}  # fmt: skip


def _hand(wrist: tuple[float, float], way: float) -> NDArray[np.float32]:
    """Joints (21, 2) px of an open hand that points to the right of the picture (1) or the left (-1)."""
    joints = np.zeros((21, 2), np.float32)
    for finger in range(5):
        for k in range(4):
            joints[1 + 4 * finger + k] = way * (18 + 9 * k), 4 * (finger - 2)
    return joints + np.array(wrist, np.float32)


def _hands(left: NDArray[np.float32], right: NDArray[np.float32], scores: tuple[float, float] = (0.9, 0.9)) -> Hands:
    return Hands(
        joints_2d=np.stack([left, right])[None], joints_3d=np.zeros((1, 2, 21, 3), np.float32),
        score=np.array([scores], np.float32),
    )  # fmt: skip


def _skeleton(hands: Hands, moved: dict[int, tuple[float, float]] | None = None) -> Skeleton:
    body = figure(moved).reference.controls.body
    assert body is not None
    return skeleton_of(body, hands, 0, WIDTH, HEIGHT)


def test_a_bowed_head_ends_at_its_ears_and_takes_the_collar_along() -> None:
    """Nose and mouth below the ears: the crown is above them, and the back beside the head is none of it."""
    face = {0: (120.0, 126.0), 7: (132.0, 114.0), 8: (108.0, 114.0), 9: (124.0, 128.0), 10: (116.0, 128.0)}
    body = figure(face).reference.controls.body
    skeleton = skeleton_of(body, None, 0, WIDTH, HEIGHT)
    metre = skeleton.scale
    ears, mouth = np.array([120.0, 114.0]), np.array([120.0, 128.0])
    crown, collar = ears - [0, 0.15 * metre], mouth + [0, 0.06 * metre]
    back = ears + np.array([[1.0, 0.0], [-1.0, 0.0]]) * 0.1 * metre
    off = head_distance(np.array([ears, mouth, crown, collar, *back]), skeleton)
    assert (off[:4] < 0).all()
    assert (off[4:] > 0.01).all()


@pytest.mark.parametrize(("way", "behind"), [(1.0, 0), (-1.0, 1)])
def test_a_hand_that_was_taken_for_either_is_the_arms_that_points_as_it_does(way: float, behind: int) -> None:
    seen = _hand((120.0, 150.0), way)
    skeleton = _skeleton(_hands(seen, seen + 1), CLASPED)
    assert skeleton.behind == behind
    assert [hand is None for hand in skeleton.hands] == [side == behind for side in (0, 1)]


def test_two_hands_beside_each_other_are_two() -> None:
    skeleton = _skeleton(_hands(_hand((122.0, 150.0), -1.0), _hand((118.0, 150.0), 1.0)), CLASPED)
    assert skeleton.behind is None
    assert all(hand is not None for hand in skeleton.hands)


@pytest.mark.parametrize(("seen", "other", "hidden"), [(False, True, 0), (True, True, None), (False, False, None)])
def test_a_hand_without_skin_is_hidden_if_the_other_is_bare(seen: bool, other: bool, hidden: int | None) -> None:
    """Who wears gloves hides neither."""
    right = np.array([44.0, 192.0], np.float32) + (_hand((0.0, 0.0), 1.0) @ np.array([[0, 1], [1, 0]], np.float32))
    skeleton = _skeleton(_hands(right, right, (0.0, 0.9)))
    bare = np.zeros((HEIGHT, WIDTH), bool)
    bare[180:250, 180:220], bare[180:250, 20:70] = seen, other
    found = without_hidden_hand(skeleton, bare)
    assert found.hidden == hidden
    assert found.bones[BONE_INDEX["left_hand"]] == (hidden is None)
    assert HAND_PARTS[1] in found.parts
    assert found.fine(1)
    with_both = replace(skeleton, hands=(right, right))
    assert without_hidden_hand(with_both, bare).hidden is None


def test_a_small_hand_moves_its_fingers_if_it_is_drawn_for_both() -> None:
    right = np.array([44.0, 192.0], np.float32) + 0.5 * (_hand((0.0, 0.0), 1.0) @ np.array([[0, 1], [1, 0]], np.float32))
    skeleton = _skeleton(_hands(right, right, (0.0, 0.9)))
    bare = np.zeros((HEIGHT, WIDTH), bool)
    bare[180:250, 20:70] = True
    assert not skeleton.fine(1)
    assert without_hidden_hand(skeleton, bare).fine(1)
    assert not without_hidden_hand(skeleton, ~bare).fine(1)


def test_a_longer_bone_goes_on_beyond_its_end() -> None:
    skeleton = _skeleton(_hands(*[_hand((0.0, 0.0), 1.0)] * 2, (0.0, 0.0)))
    bone = BONES[BONE_INDEX["left_forearm"]]
    start, end = skeleton.points[bone.start], skeleton.points[bone.end]
    beyond = (end + (end - start) / np.linalg.norm(end - start) * 0.05 * skeleton.scale)[None]
    plain, longer = (distances(beyond, skeleton, bone, more)[0][0] for more in (0.0, 0.05))
    assert plain == pytest.approx(0.05 * skeleton.scale)
    assert longer == pytest.approx(0.0, abs=1e-6)
