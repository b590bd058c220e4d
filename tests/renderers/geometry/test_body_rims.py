"""Borders of parts are found where the colours change."""

from __future__ import annotations

import numpy as np

from dreamactor_cli.renderers.geometry.body_rims import judge

SKIN, SHORTS = (214, 178, 155), (28, 27, 30)
EDGE, TOLD = 40, 37  # column at which shorts begin, and at which they are told to


def sides() -> tuple[np.ndarray, np.ndarray]:
    """An arm (60, 80) beside what is told to be behind it."""
    columns = np.broadcast_to(np.arange(80), (60, 80))
    return (columns >= 15) & (columns < TOLD), columns >= TOLD


def picture(left: tuple[int, ...], right: tuple[int, ...]) -> np.ndarray:
    """(60, 80, 3), with the noise of a photo."""
    color = np.where((np.arange(80) < EDGE)[None, :, None], left, right) + np.random.default_rng(0).normal(0, 4, (60, 80, 3))
    return np.clip(color, 0, 255).astype(np.uint8)


def test_a_rim_keeps_what_has_the_colours_of_the_part() -> None:
    mine, theirs = sides()
    share, trust, clean = judge(picture(SKIN, SHORTS), mine, theirs, 6.0)
    skin, shorts = np.s_[10:50, TOLD : EDGE - 1], np.s_[10:50, EDGE + 1 : TOLD + 6]
    assert trust[shorts].min() > 0.9
    assert share[shorts].max() < 0.1
    assert clean[shorts].mean() > 0.9
    assert share[skin].min() > 0.9
    assert not clean[skin].any()


def test_only_pixels_beside_the_border_are_judged() -> None:
    mine, theirs = sides()
    _, trust, _ = judge(picture(SKIN, SHORTS), mine, theirs, 6.0)
    assert not trust[:, :TOLD].any()
    assert not trust[:, TOLD + 8 :].any()


def test_a_fold_of_one_cloth_is_no_border() -> None:
    """A little darker is not another thing: all stays as it was told."""
    mine, theirs = sides()
    _, trust, _ = judge(picture((60, 60, 64), (44, 44, 48)), mine, theirs, 6.0)
    assert trust.max() < 0.1


def test_nothing_is_judged_without_a_neighbour() -> None:
    mine, _ = sides()
    share, trust, _ = judge(picture(SKIN, SHORTS), mine, np.zeros_like(mine), 6.0)
    assert not share.any()
    assert not trust.any()


def test_a_thin_thing_is_not_judged_by_what_it_hangs_on() -> None:
    """A hand of dark skin at the end of a white sleeve, before dark hair, keeps its rim."""
    rows, columns = np.mgrid[:60, :80]
    sleeve, hand = columns < 30, (columns >= 30) & (columns < 44) & (abs(rows - 30) < 4)
    color = np.where(sleeve[..., None], (230, 230, 232), (60, 44, 38)) + np.random.default_rng(0).normal(0, 4, (60, 80, 3))
    _, trust, _ = judge(np.clip(color, 0, 255).astype(np.uint8), sleeve | hand, ~(sleeve | hand), 6.0)
    assert trust[:, :32].any()
    assert not trust[:, 39:].any()


def test_a_hand_is_judged_by_its_own_colours_though_it_is_thin() -> None:
    """Of shorts behind it nothing comes along."""
    rows, columns = np.mgrid[:60, :80]
    hand = (np.abs(rows - 30) < 5) & (columns > 10) & (columns < 60)
    color = np.where(hand[..., None], SKIN, SHORTS) + np.random.default_rng(0).normal(0, 4, (60, 80, 3))
    _, trust, clean = judge(np.clip(color, 0, 255).astype(np.uint8), hand, ~hand, 6.0)
    beside = ~hand & (np.abs(rows - 30) < 10) & (np.abs(rows - 30) > 5) & (columns > 20) & (columns < 50)
    assert trust[beside].min() > 0.9
    assert clean[beside].mean() > 0.9
