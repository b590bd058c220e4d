"""Renderers, found by name. A new one is one file, and one line here or an entry point ``dreamactor.renderers``."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from dreamactor_cli.contracts import Renderer
from dreamactor_cli.errors import UsageError

RENDERERS = {
    "diffusion": "dreamactor_cli.renderers.diffusion.renderer:DiffusionRenderer",
    "geometry": "dreamactor_cli.renderers.geometry.renderer:GeometryRenderer",
    "wan-animate": "dreamactor_cli.renderers.wan_animate.renderer:WanAnimateRenderer",
}


def renderer_names() -> list[str]:
    """Names of all renderers, those of other packages too."""
    return sorted({*RENDERERS, *(point.name for point in entry_points(group="dreamactor.renderers"))})


def load_renderer(name: str) -> Renderer:
    """Make a renderer.

    Args:
        name: of the table, or ``"module:Class"``, which a program may give; what users and manifests give is checked against
            `renderer_names` before.

    Raises:
        UsageError: there is none of this name.
    """
    where = RENDERERS.get(name) or next((p.value for p in entry_points(group="dreamactor.renderers", name=name)), None)
    where = where or (name if ":" in name else None)
    if where is None:
        raise UsageError(f"there is no renderer {name!r}", f"choose one of {', '.join(renderer_names())}")
    module, _, attribute = where.partition(":")
    renderer: Renderer = getattr(import_module(module), attribute)()
    return renderer
