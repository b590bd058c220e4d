"""Triangles that skinning folds or stretches go with their bone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.renderers.geometry.body_bounds import Bounds
from dreamactor_cli.renderers.geometry.body_mesh import regular_grid

Array = NDArray[np.float64]

BENT = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, -1.0, 20.0], [1.0, 0.0, -3.0]]])


def stretched(places: Array, rest: Array, triangles: NDArray[np.int32]) -> tuple[float, float]:
    """The longest any edge has become against its rest, and the smallest change of a triangle's area."""
    edges = [p[triangles[:, [1, 2, 0]]] - p[triangles] for p in (places, rest)]
    lengths = [np.linalg.norm(e, axis=2) for e in edges]
    areas = [e[:, 0, 0] * e[:, 1, 1] - e[:, 0, 1] * e[:, 1, 0] for e in edges]
    return float((lengths[0] / lengths[1]).max()), float((areas[0] / areas[1]).min())


def strip() -> tuple[Array, NDArray[np.int32]]:
    nodes, triangles = regular_grid(0.0, 0.0, 40.0, 12.0, 4.0)
    return nodes, triangles.astype(np.int32)


@pytest.mark.parametrize("bone", [0, 1])
def test_a_strip_drawn_out_or_folded_is_held_within_bounds(bone: int) -> None:
    nodes, triangles = strip()
    bounds = Bounds(nodes, triangles, np.full(len(nodes), bone))
    rigid = nodes @ BENT[bone, :, :2].T + BENT[bone, :, 2]
    places = rigid.copy()
    places[nodes[:, 0] == 20.0] += [14.0, -9.0]
    before = stretched(places, nodes, triangles)
    assert before[0] > 2.5 and before[1] < 0
    longest, smallest = stretched(bounds.held(places, rigid, BENT), nodes, triangles)
    assert longest < 2.0 and smallest > 0.15


def test_what_is_within_bounds_stays_as_skinning_has_it() -> None:
    nodes, triangles = strip()
    places = nodes + 0.5 * np.sin(nodes / 9.0)
    held = Bounds(nodes, triangles, np.zeros(len(nodes), int)).held(places, nodes, BENT)
    np.testing.assert_array_equal(held, places)


def test_the_passage_to_the_bone_has_no_jump() -> None:
    nodes, triangles = strip()
    bounds = Bounds(nodes, triangles, np.zeros(len(nodes), int))
    steps = []
    for far in np.linspace(0, 6, 121):
        places = nodes.copy()
        places[nodes[:, 0] == 20.0] += [far, 0.0]
        steps.append(bounds.held(places, nodes, BENT))
    assert np.abs(np.diff(steps, axis=0)).max() < 0.6
