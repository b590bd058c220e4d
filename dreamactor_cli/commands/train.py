"""``dreamactor train``: make the weights that ship with the package, from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dreamactor_cli.errors import UsageError

app = typer.Typer(help="Make the weights that ship with the package, from nothing.")

_MOST_STEPS = 1_000_000


@app.command()
def speech(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where to write the weights [default: ./speech-weights].")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the speech, the network and the batches.")] = 1,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Of the optimizer [default: as shipped].")] = None,
    hours: Annotated[
        float | None, typer.Option("--hours", metavar="H", help="Of speech to learn from [default: as shipped].")
    ] = None,
    encoder: Annotated[str, typer.Option("--encoder", metavar="mel|whisper:NAME|whisper:PATH", help="What hears.")] = "mel",
) -> None:
    """Train the network that turns speech into motion of the mouth, on synthetic speech alone.

    Needs espeak-ng, flite and festival. A run that was stopped goes on where it was.
    """
    if not 0 <= seed < 2**31:
        raise UsageError(f"--seed {seed} is out of range", "give a number from 0 to 2147483647")
    if steps is not None and not 1 <= steps <= _MOST_STEPS:
        raise UsageError(f"--steps {steps} is out of range", f"give a number from 1 to {_MOST_STEPS}")
    if hours is not None and not 0.01 <= hours <= 1000:
        raise UsageError(f"--hours {hours:g} is out of range", "give a number from 0.01 to 1000")
    if encoder != "mel" and not encoder.startswith("whisper:"):
        raise UsageError(f"--encoder {encoder} is unknown", "say mel, whisper:tiny, whisper:base or whisper:PATH")
    from dreamactor_cli.training.speech.train import default_folder, figures, plan_of, train_speech

    console = context.obj
    folder = default_folder(encoder) if out is None else out
    scores = train_speech(folder, plan_of(encoder, seed=seed, steps=steps, hours=hours), console.note)
    for name, score in scores.items():
        aperture = score.correlation["aperture"]
        console.note(f"{name}: aperture r {aperture:.2f} (loudness {score.loudness:.2f}), visemes {score.visemes:.0%}")
    console.result(str(folder), {"status": "ok", "output": str(folder), "figures": figures(scores)})
