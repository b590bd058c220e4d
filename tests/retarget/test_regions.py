"""Which landmarks a region moves."""

from __future__ import annotations

import numpy as np
import pytest

from dreamactor_cli import head_space
from dreamactor_cli.retarget import regions

EYES = [*head_space.EYE_LEFT, *head_space.EYE_RIGHT, *regions.IRISES]
LIPS = [*head_space.OUTER_LIPS, *head_space.INNER_LIPS]


@pytest.mark.parametrize("region", [("all",), ("face",), ("head", "face"), ("face", "mouth")])
def test_the_whole_face(region: tuple[str, ...]) -> None:
    np.testing.assert_array_equal(regions.expression_weights(region), np.ones(478))


@pytest.mark.parametrize("region", [("head",), ("body",), ("hands",), ("head", "body")])
def test_no_expression(region: tuple[str, ...]) -> None:
    assert not regions.expression_weights(region).any()


def test_the_mouth_takes_lips_and_jaw_but_not_the_eyes() -> None:
    weights = regions.expression_weights(("mouth",))
    np.testing.assert_allclose(weights[LIPS], 1)
    assert weights[head_space.CHIN] > 0.99
    assert weights[EYES].max() < 0.01
    assert weights[list(head_space.BROW_LEFT)].max() < 0.01


def test_the_eyes_take_lids_brows_and_irises_but_not_the_mouth() -> None:
    weights = regions.expression_weights(("eyes",))
    np.testing.assert_allclose(weights[[*EYES, *head_space.BROW_LEFT]], 1)
    assert weights[[*LIPS, head_space.CHIN]].max() < 0.01


def test_regions_add_up() -> None:
    both = regions.expression_weights(("eyes", "mouth"))
    single = [regions.expression_weights((name,)) for name in ("eyes", "mouth")]
    np.testing.assert_array_equal(both, np.maximum(*single))
    assert both.min() >= 0
    assert both.max() <= 1


def test_weights_are_symmetric() -> None:
    for name in ("eyes", "mouth"):
        weights = regions.expression_weights((name,))
        np.testing.assert_allclose(weights[head_space.mirror()], weights, atol=1e-6)


@pytest.mark.parametrize(
    ("region", "head", "body"),
    [(("all",), True, True), (("face",), False, False), (("head",), True, False), (("body", "mouth"), False, True)],
)
def test_head_and_body(region: tuple[str, ...], head: bool, body: bool) -> None:
    assert (regions.moves_head(region), regions.moves_body(region)) == (head, body)
