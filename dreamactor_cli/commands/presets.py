"""``dreamactor presets``: what can be named by ``--preset`` and by ``-d motion:NAME``."""

from __future__ import annotations

from typing import Annotated

import typer

from dreamactor_cli.errors import UsageError

app = typer.Typer(help="Show the render presets and the built-in motions.", rich_markup_mode=None)


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the render presets and the built-in motions."""
    from dreamactor_cli.motion import load_motion, motion_names
    from dreamactor_cli.presets import preset_description, preset_names

    rows = [("render", name, preset_description(name)) for name in preset_names()]
    rows += [("motion", f"motion:{name}", load_motion(name).description) for name in motion_names()]
    width = max(len(name) for _, name, _ in rows)
    for kind, name, description in rows:
        context.obj.result(f"{kind}  {name:<{width}}  {description}", {"kind": kind, "name": name, "description": description})


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A render preset, or motion:NAME.", show_default=False)],
) -> None:
    """Show what a preset sets, or the curves of a motion."""
    from dreamactor_cli import nearest
    from dreamactor_cli.motion import motion_names
    from dreamactor_cli.presets import load_preset, preset_description, preset_fields, preset_names

    bare = name.removeprefix("motion:")
    if bare in motion_names() and name not in preset_names():
        _show_motion(context, bare)
        return
    if name not in preset_names() and not name.endswith(".toml"):
        known = [*preset_names(), *(f"motion:{motion}" for motion in motion_names()), *motion_names()]
        raise UsageError(f"there is no preset {name!r}", nearest.hint(name, known, "`dreamactor presets list`"))
    preset = load_preset(name)
    defaults = preset_fields(load_preset("default"))
    context.obj.detail("* marks what differs from the default")
    values = preset_fields(preset)
    lines = [f"{'*' if value != defaults[key] and key != 'name' else ' '} {key} = {value}" for key, value in values.items()]
    context.obj.result("\n".join([preset_description(name), *lines]), {"kind": "render", **values})


def _show_motion(context: typer.Context, name: str) -> None:
    from dreamactor_cli.resources import presets_dir

    text = (presets_dir() / "motion" / f"{name}.toml").read_text("utf-8")
    context.obj.result(text.rstrip(), {"kind": "motion", "name": name, "toml": text})
