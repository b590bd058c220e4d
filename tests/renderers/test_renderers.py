"""The table of renderers."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from dreamactor_cli import renderers
from dreamactor_cli.contracts import RendererSpec
from dreamactor_cli.errors import UsageError


class Other:
    """A renderer of another package."""

    spec = RendererSpec(name="other", version="1", needs=(), reference_needs=())


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("other", f"{__name__}:Other", "dreamactor.renderers")

    def points(group: str, name: str = "other") -> list[Any]:
        return [point] if (group, name) == ("dreamactor.renderers", "other") else []

    monkeypatch.setattr(renderers, "entry_points", points)
    monkeypatch.setattr(renderers, "import_module", lambda name: __import__("sys").modules[name])


@pytest.mark.parametrize("name", sorted(renderers.RENDERERS))
def test_every_renderer_of_the_table_can_be_made(name: str) -> None:
    renderer = renderers.load_renderer(name)
    assert renderer.spec.name == name
    renderer.close()


def test_an_unknown_renderer_is_refused_with_the_known_names() -> None:
    with pytest.raises(UsageError, match="geometri") as wrong:
        renderers.load_renderer("geometri")
    assert "geometry" in wrong.value.hint


def test_other_packages_bring_their_own(installed: None) -> None:
    assert {"geometry", "other"} <= set(renderers.renderer_names())
    assert renderers.load_renderer("other").spec.name == "other"
