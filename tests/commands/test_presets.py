"""`dreamactor presets`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_list_names_what_can_be_given_and_says_what_it_is(cli: Cli) -> None:
    records = cli("presets", "list", "--json").records()
    names = {record["name"] for record in records}
    assert {"default", "draft", "motion:greeting", "motion:turn"} <= names
    assert all(record["description"] for record in records)
    for name in names:
        assert cli("presets", "show", name).code == 0


def test_show_marks_what_differs(cli: Cli) -> None:
    lines = cli("presets", "show", "draft").out.splitlines()
    assert "* size = 256x256" in lines
    assert "  fps = source" in lines


def test_show_prints_a_motion_as_it_can_be_loaded(cli: Cli) -> None:
    assert tomllib.loads(cli("presets", "show", "motion:turn").out)["name"] == "turn"


@pytest.mark.parametrize(("name", "near"), [("darft", "draft"), ("greting", "greeting"), ("motion:tun", "motion:turn")])
def test_an_unknown_name_suggests_the_nearest(cli: Cli, name: str, near: str) -> None:
    ended = cli("presets", "show", name)
    assert ended.code == 2
    assert f"did you mean '{near}'?" in ended.last_line
