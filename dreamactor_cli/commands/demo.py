"""``dreamactor demo``: the embedded example, which needs no file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamactor_cli.commands import animate
from dreamactor_cli.commands import options as o

OUTPUT = Path("dreamactor_demo.mp4")


def demo(
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Where to write the video.")] = OUTPUT,
    motion: Annotated[str, typer.Option("--motion", metavar="NAME", help="A built-in motion.")] = "greeting",
    preset: o.PresetName = "default",
    size: o.Size = None,
    overwrite: o.Overwrite = False,
) -> None:
    """Animate the public-domain portrait of the astronaut Eileen Collins by a built-in motion."""
    import tempfile

    from dreamactor_cli.contracts import Job
    from dreamactor_cli.presets import load_preset, merge

    console = context.obj
    merged = merge(load_preset(preset), {"size": size})
    with tempfile.TemporaryDirectory(prefix="dreamactor-") as folder:
        picture = Path(folder) / "astronaut.png"
        _write_portrait(picture)
        console.note(
            f"animating the portrait that scikit-image ships by the motion {motion!r}; the first run takes a minute longer"
        )
        job = Job(
            id="demo",
            references=(picture,),
            driving=f"motion:{motion}",
            output=output,
            preset=merged,
            overwrite=overwrite or output == OUTPUT,
        )
        result = animate.run(console, job)
    console.note(f"the video is {result.output.resolve()}; now try your own: dreamactor animate -s PHOTO.jpg -d CLIP.mp4")


def _write_portrait(path: Path) -> None:
    import cv2
    from skimage import data

    from dreamactor_cli.errors import MissingRequirement

    if not cv2.imwrite(str(path), data.astronaut()[..., ::-1]):
        raise MissingRequirement(f"{path} cannot be written", "set TMPDIR to a folder with space")
