"""A hand whose fingers move one by one."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from dreamactor_cli.renderers.geometry.body_hands import FINGERS, HandMesh
from dreamactor_cli.renderers.geometry.body_skeleton import skeleton_of
from tests.renderers.geometry.figures import HEIGHT, WIDTH, figure

WRIST = np.array([196.0, 192.0])
STILL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def _open_hand() -> np.ndarray:
    """An open hand at the left wrist of the standing figure, fingers down, (21, 2) px."""
    joints = np.zeros((21, 2))
    for finger, which in enumerate(FINGERS):
        across = 7.0 * (finger - 2)
        joints[list(which)] = [(across * (0.6 + 0.2 * k), 20.0 + 10.0 * k) for k in range(4)]
    return joints + WRIST


def _mesh() -> tuple[HandMesh, np.ndarray]:
    body = figure().reference.controls.body
    assert body is not None
    hand = _open_hand()
    cover = np.zeros((HEIGHT, WIDTH), np.uint8)
    for which in FINGERS:
        cv2.polylines(cover, [np.rint(hand[[0, *which]]).astype(np.int32)], False, 1, 6)
    skeleton = replace(skeleton_of(body, None, 0, WIDTH, HEIGHT), hands=(hand, None))
    return HandMesh(cover > 0, skeleton, 0), hand


def test_fingers_that_bend_in_the_picture_bend_one_by_one() -> None:
    mesh, hand = _mesh()
    bent = hand.copy()
    bent[[7, 8]] += [6.0, 0.0]
    nodes, _, _ = mesh.move(bent, STILL, STILL, 1.0)
    moved = np.linalg.norm(nodes - mesh.nodes, axis=1)
    tip, other = (np.linalg.norm(mesh.nodes - hand[k], axis=1).argmin() for k in (8, 20))
    assert 3.5 < moved[tip] < 7
    assert moved[other] < 0.5


def test_a_hand_that_is_seen_from_its_side_is_moved_as_it_is() -> None:
    """Squeezed to a line and to any side it would be a smear: it goes with the rigid map, its fingers as in the picture."""
    mesh, hand = _mesh()
    side = hand.copy()
    side[:, 0] = WRIST[0] + 0.15 * (hand[:, 0] - WRIST[0])
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    rigid = np.column_stack([turn, WRIST - turn @ WRIST])
    nodes, triangles, palm = mesh.move(side, STILL, rigid, 1.0)
    fingers = np.linalg.norm(mesh.nodes - WRIST, axis=1) > 25
    np.testing.assert_allclose(nodes[fingers], (mesh.nodes @ turn.T + rigid[:, 2])[fingers], atol=1.0)
    np.testing.assert_allclose(palm, rigid, atol=1e-2 * np.abs(rigid).max())
    assert len(triangles) == len(mesh.triangles)
