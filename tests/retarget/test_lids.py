"""Eyelids and lips of two different faces."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli import head_space
from dreamactor_cli.retarget.lids import LEFT_GAP, LIP_PAIRS, RIGHT_GAP, close_lids, eye_gains, keep_lips_apart

Array = NDArray[np.float64]
LIDS = [i for pair in LEFT_GAP + RIGHT_GAP for i in pair]


def _with_eyes(opening: float) -> Array:
    """The template with eyes of this opening, relative to its own."""
    shape = head_space.template()
    for contour in (head_space.EYE_LEFT, head_space.EYE_RIGHT):
        middle = shape[list(contour), 1].mean()
        shape[list(contour), 1] = middle + (shape[list(contour), 1] - middle) * opening
    return shape


def _gap(shape: Array) -> float:
    return float(np.mean([shape[low, 1] - shape[high, 1] for high, low in LEFT_GAP + RIGHT_GAP]))


def test_equal_faces_take_the_expression_as_it_is() -> None:
    np.testing.assert_allclose(eye_gains(head_space.template(), head_space.template()), 1)


@pytest.mark.parametrize(("driver", "reference"), [(1.0, 0.6), (0.7, 1.2), (1.4, 1.0)])
def test_a_full_blink_of_the_driver_closes_the_eyes_of_the_reference(driver: float, reference: float) -> None:
    theirs, mine = _with_eyes(driver), _with_eyes(reference)
    blink = _with_eyes(0.0) - theirs
    closed = mine + eye_gains(theirs, mine) * blink
    assert abs(_gap(closed)) < 0.12 * _gap(mine)
    assert abs(_gap(mine + blink)) > 2 * abs(_gap(closed))


def test_gains_stay_within_reason_and_near_the_eyes() -> None:
    gains = eye_gains(_with_eyes(0.01), _with_eyes(1.0))
    assert gains[LIDS, 1].max() == pytest.approx(2.0, abs=1e-3)
    assert gains.min() > 0.49
    np.testing.assert_allclose(gains[[*head_space.OUTER_LIPS, *head_space.INNER_LIPS, head_space.CHIN]], 1, atol=0.01)


def test_irises_go_as_far_as_the_eye_is_wide() -> None:
    theirs, mine = head_space.template(), head_space.template()
    for contour in (head_space.EYE_LEFT, head_space.EYE_RIGHT):
        middle = mine[list(contour), 0].mean()
        mine[list(contour), 0] = middle + (mine[list(contour), 0] - middle) * 1.3
    gains = eye_gains(theirs, mine)
    np.testing.assert_allclose(gains[[*head_space.IRIS_LEFT, *head_space.IRIS_RIGHT], :2], 1.3, rtol=0.02)


def test_lids_meet_where_the_driver_has_shut_his_eyes() -> None:
    """The measured blink is (left, right) of the person; the left eye stands on the picture's right."""
    almost = np.repeat(_with_eyes(0.3)[None], 4, 0)
    blink = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    closed = close_lids(almost, blink)
    gaps = [
        np.array([[f[low, 1] - f[high, 1] for high, low in pairs] for f in closed]).mean(1) for pairs in (LEFT_GAP, RIGHT_GAP)
    ]
    rest = _gap(_with_eyes(0.3))
    shut = np.abs(np.stack(gaps, 1)) < 0.1 * rest
    np.testing.assert_array_equal(shut, [[False, False], [False, True], [True, False], [True, True]])
    np.testing.assert_array_equal(closed[0], almost[0])
    np.testing.assert_array_equal(
        closed[:, [*head_space.OUTER_LIPS, head_space.CHIN, 1]], almost[:, [*head_space.OUTER_LIPS, head_space.CHIN, 1]]
    )


def test_half_a_blink_shuts_nothing() -> None:
    open_ = np.repeat(_with_eyes(0.6)[None], 2, 0)
    np.testing.assert_array_equal(close_lids(open_, np.array([[0.5, 0.2], [0.0, 0.45]])), open_)


def test_lips_meet_and_do_not_cross() -> None:
    reference = head_space.template()
    rng = np.random.default_rng(0)
    faces = np.stack([reference + rng.normal(0, 0.05, reference.shape) for _ in range(20)])
    out = keep_lips_apart(faces, reference)
    gaps = np.stack([out[:, low, 1] - out[:, high, 1] for high, low in LIP_PAIRS])
    before = np.stack([faces[:, low, 1] - faces[:, high, 1] for high, low in LIP_PAIRS])
    assert before.min() < -0.02
    assert gaps.min() > -1e-12
    np.testing.assert_allclose(gaps[before > 0], before[before > 0])
    others = [i for i in range(478) if i not in {i for pair in LIP_PAIRS for i in pair}]
    np.testing.assert_array_equal(out[:, others], faces[:, others])


def test_lips_that_cross_in_the_reference_may_stay_so() -> None:
    """A tracker may see closed lips a hair crossed: at no motion nothing is moved."""
    reference = head_space.template()
    for high, low in LIP_PAIRS:
        reference[low, 1] = reference[high, 1] - 0.004
    np.testing.assert_array_equal(keep_lips_apart(reference[None], reference), reference[None])
    pressed = reference.copy()
    pressed[14, 1] -= 0.1
    out = keep_lips_apart(pressed[None], reference)[0]
    assert out[14, 1] - out[13, 1] == pytest.approx(-0.004, abs=1e-9)
