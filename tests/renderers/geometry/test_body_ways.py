"""Where an arm ends and the torso begins, if both wear the same."""

from __future__ import annotations

import numpy as np

from dreamactor_cli.renderers.geometry.body_skeleton import CORE, PARTS
from dreamactor_cli.renderers.geometry.body_ways import by_ways

ARM = PARTS.index("left_forearm")
HEIGHT, WIDTH = 40, 90
BONE, FOLD, SIDE = 20, 32, 62  # columns: the arm's bone, where the sleeve ends, where the torso's outline begins
INSIDE = 0.6
UNITS = {ARM: 12.0, CORE: 20.0}


def _reach() -> np.ndarray:
    """An arm and a torso; the picture's pixels are as near to the one as to the other about column 40."""
    columns = np.tile(np.arange(WIDTH, dtype=float), (HEIGHT, 1))
    reach = np.full((len(PARTS), HEIGHT, WIDTH), np.inf)
    reach[ARM] = np.abs(columns - BONE) / UNITS[ARM]
    reach[CORE] = INSIDE + np.maximum(SIDE - columns, 0) / UNITS[CORE]
    return reach


def _pullover(fold: int) -> np.ndarray:
    image = np.full((HEIGHT, WIDTH, 3), (210, 150, 30), np.uint8)
    image[:, fold : fold + 2] = (120, 80, 10)
    return image


def test_a_fold_parts_a_sleeve_from_the_pullover_beside_it() -> None:
    reach, person = _reach(), np.ones((HEIGHT, WIDTH), bool)
    assert (reach[ARM] < reach[CORE])[:, 39].all()  # as the crow flies this is the arm
    found = by_ways(reach, _pullover(FOLD), person, UNITS, INSIDE)
    assert (found[ARM] > found[CORE])[:, FOLD + 6 : SIDE].all()
    assert (found[ARM] < found[CORE])[:, BONE - 8 : FOLD - 1].all()


def test_nothing_else_changes_and_no_arm_grows() -> None:
    reach, person = _reach(), np.ones((HEIGHT, WIDTH), bool)
    person[:4] = False
    found = by_ways(reach, _pullover(FOLD), person, UNITS, INSIDE)
    assert np.array_equal(found[CORE], reach[CORE])
    assert (found[ARM] >= reach[ARM]).all()
    assert np.array_equal(found[ARM][:4], reach[ARM][:4])
    assert np.array_equal(by_ways(reach, _pullover(FOLD), person, {CORE: 20.0}, INSIDE), reach)
    nobody = np.zeros_like(person)
    assert np.array_equal(by_ways(reach, _pullover(FOLD), nobody, UNITS, INSIDE), reach)
