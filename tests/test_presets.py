"""Presets: loading, precedence, and what cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamactor_cli.contracts import Preset
from dreamactor_cli.errors import UsageError
from dreamactor_cli.presets import load_preset, merge, preset_description, preset_names


def test_every_preset_that_ships_loads_and_says_what_it_is_for() -> None:
    names = preset_names()
    assert "default" in names
    for name in names:
        assert load_preset(name).name == name
        assert preset_description(name).endswith(".")


def test_the_default_preset_is_the_contract() -> None:
    assert load_preset("default") == Preset()


def test_the_command_line_wins_over_the_preset_and_none_changes_nothing() -> None:
    draft = load_preset("draft")
    merged = merge(draft, {"size": "640x480", "crf": None, "fps": None})
    assert merged.size == "640x480"
    assert (merged.crf, merged.fps, merged.name) == (draft.crf, draft.fps, "draft")
    assert draft.crf != Preset().crf


@pytest.mark.parametrize(
    ("field", "given", "value"),
    [
        ("fps", "29.97", "30000/1001"),
        ("fps", "24000/1001", "24000/1001"),
        ("fps", "25.0", "25"),
        ("fps", "source", "source"),
        ("size", "1920X1080", "1920x1080"),
        ("region", "mouth, face", ("face", "mouth")),
        ("region", ["eyes"], ("eyes",)),
        ("region", "face,all", ("all",)),
        ("smoothing", "off", 0),
        ("smoothing", "7", 7),
        ("expression_scale", "1.5", 1.5),
        ("background", "#00FF7f", "#00ff7f"),
        ("relight", True, True),
        ("crf", 0, 0),
    ],
)
def test_values_as_text_and_typed(field: str, given: object, value: object) -> None:
    assert getattr(merge(Preset(), {field: given}), field) == value


@pytest.mark.parametrize(
    ("field", "given", "says"),
    [
        ("fps", "0", "1 to 240"),
        ("fps", "25/0", "is not a frame rate"),
        ("fps", "nan", "is not a frame rate"),
        ("size", "512", "WIDTHxHEIGHT"),
        ("size", "8x8", "16 to"),
        ("size", "99999x10", "16 to"),
        ("region", "fcae", "did you mean 'face'?"),
        ("region", "face,", "names no region"),
        ("smoothing", "4", "odd number of frames like 5"),
        ("expression_scale", "inf", "0 to 5"),
        ("expression_scale", "nan", "0 to 5"),
        ("background", "#12345", "six hexadecimal digits"),
        ("background", "kep", "did you mean 'keep'?"),
        ("motion", "relativ", "did you mean 'relative'?"),
        ("mouth", "x", "procedural, driver"),
        ("renderer", "geometri", "did you mean 'geometry'?"),
        ("crf", "52", "from 0 to 51"),
        ("crf", True, "from 0 to 51"),
        ("colour", "red", "is not an option of a preset"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(field: str, given: object, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        merge(Preset(), {field: given})
    assert str(refused.value).startswith(f"--{field.replace('_', '-')}")
    assert says in str(refused.value)


def test_a_preset_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "Mine."\nsize = "320x240"\nregion = ["face", "eyes"]\nrelight = true\n')
    preset = load_preset(str(path))
    assert (preset.name, preset.size, preset.region, preset.relight) == ("mine", "320x240", ("face", "eyes"), True)


@pytest.mark.parametrize(("text", "says"), [("size = ", "cannot be read"), ('sise = "1x1"', "did you mean 'size'?")])
def test_a_preset_file_with_a_mistake(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"mine\.toml") as refused:
        load_preset(str(path))
    assert says in str(refused.value)


def test_an_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'preview'"):
        load_preset("preveiw")
