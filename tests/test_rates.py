"""What is learnt of speeds, and what a damaged file of them costs: nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dreamactor_cli.rates import DEFAULTS, Learnt, Rates, learn, load_rates


def test_what_is_new_counts_more(tmp_path: Path) -> None:
    assert load_rates(tmp_path).cost("job", 3) == 3 * DEFAULTS["job"]
    learn(tmp_path, [Learnt("job", 10, 20.0), Learnt("job", 10, 40.0)])
    assert load_rates(tmp_path).cost("job", 3) == pytest.approx(9)
    learn(tmp_path, [Learnt("job", 20, 200.0)])
    assert 18 < load_rates(tmp_path).cost("job", 3) < 30
    assert [path.name for path in tmp_path.iterdir()] == ["rates.json"]


def test_a_precise_name_falls_back() -> None:
    rates = Rates().with_([Learnt("render", 1, 7.0), Learnt("render geometry", 1, 5.0)])
    assert (rates.cost("render geometry", 2), rates.cost("render other", 2)) == (10, 14)
    assert rates.cost("output .mp4", 1) == DEFAULTS["output"]


def test_nonsense_is_not_learnt(tmp_path: Path) -> None:
    learn(
        tmp_path, [Learnt("job", 0, 1.0), Learnt("job", 1, -1.0), Learnt("job", 1, float("nan")), Learnt("job", float("inf"), 1)]
    )
    assert json.loads((tmp_path / "rates.json").read_text())["rates"] == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 1, "rates": {"job": [0, 1]}}',
        '{"format": 1, "rates": {"job": [1, NaN]}}',
        '{"format": 2, "rates": {"job": [1, 9]}}',
    ],
)
def test_damaged_rates_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "rates.json").write_text(text)
    assert load_rates(tmp_path).cost("job", 1) == load_rates(tmp_path / "none").cost("job", 1)
