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


_Config = Annotated[str, typer.Option("--config", metavar="NAME|FILE", help="Size of the model: debug, starter, 1.3b ...")]
_Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the run [default: ./CONFIG-training].")
]  # fmt: skip
_Videos = Annotated[
    Path | None, typer.Option("--videos", metavar="DIR", help="Learn from these videos [default: synthetic people].")
]  # fmt: skip
_Assets = Annotated[
    Path | None, typer.Option("--assets", metavar="FILE", help="A converted MakeHuman to make people with [default: code alone].")
]
_Clips = Annotated[int | None, typer.Option("--clips", metavar="N", help="Synthetic clips to make.")]
_Size = Annotated[int | None, typer.Option("--size", metavar="PX", help="Side of a clip; of videos, of a square of their area.")]
_Frames = Annotated[int | None, typer.Option("--frames", metavar="N", help="Of a stretch that is learned from, 4n+1.")]
_Framings = Annotated[
    str | None, typer.Option("--framings", metavar="LIST", help="Of synthetic people, like face:0.5,bust:0.5.")
]  # fmt: skip
_Steps = Annotated[int | None, typer.Option("--steps", metavar="N", help="Of the optimizer, in all stages together.")]
_Batch = Annotated[int | None, typer.Option("--batch", metavar="N", help="Clips a step and device.")]
_Rate = Annotated[float | None, typer.Option("--rate", metavar="X", help="Learning rate.")]
_Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of clips, weights, batches and noise.")]
_Precision = Annotated[
    str | None, typer.Option("--precision", metavar="float32|bfloat16", help="[default: bfloat16 on a GPU, else float32]")
]
_Device = Annotated[str | None, typer.Option("--device", metavar="cpu|cuda", help="[default: a GPU where there is one]")]
_Workers = Annotated[int, typer.Option("--workers", metavar="N", help="Processes that make clips while the network learns.")]


@app.command()
def diffusion(
    context: typer.Context,
    config: _Config = "starter",
    out: _Out = None,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="pose|face|all|small", help="One stage alone [default: as the config needs].")
    ] = None,
    videos: _Videos = None,
    init: Annotated[Path | None, typer.Option("--init", metavar="DIR", help="Weights of ours to begin with.")] = None,
    wan: Annotated[Path | None, typer.Option("--wan", metavar="DIR", help="Weights of Wan 2.1 to begin with.")] = None,
    vae: Annotated[
        Path | None, typer.Option("--vae", metavar="DIR", help="A trained VAE [default: DIR/vae, trained if it is not there].")
    ] = None,
    assets: _Assets = None,
    clips: _Clips = None,
    size: _Size = None,
    frames: _Frames = None,
    framings: _Framings = None,
    steps: _Steps = None,
    batch: _Batch = None,
    rate: _Rate = None,
    seed: _Seed = 1,
    precision: _Precision = None,
    device: _Device = None,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Compute features twice: less memory, a third more time.")
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Translate the blocks first: takes minutes, then a fifth faster.")
    ] = False,
    sharded: Annotated[
        bool | None, typer.Option("--fsdp/--no-fsdp", help="Share one copy of the weights [default: from 3 billion on].")
    ] = None,
    workers: _Workers = 1,
) -> None:
    """Train the diffusion renderer in the paper's stages, on synthetic people or on videos of your own.

    A run that was stopped goes on where it was. Several GPUs: accelerate launch -m dreamactor_cli train diffusion ...
    """
    console = context.obj
    _check_numbers(clips=clips, steps=steps, batch=batch, rate=rate, seed=seed, workers=workers)
    _check_words(precision, device)
    from dreamactor_cli.training.diffusion.start import Options, start_diffusion
    from dreamactor_cli.training.loop.fit import take_device

    take_device(device)
    options = Options(
        config=config, out=_run_folder(out, config), cache=console.cache().root, stage=stage, videos=videos,
        init=init, wan=wan, vae=vae, assets=assets, clips=clips, size=size, frames=frames, framings=framings, steps=steps,
        batch=batch, rate=rate, seed=seed, precision=precision, device=device, checkpointing=checkpointing,
        compiled=compiled, sharded=sharded, workers=workers,
    )  # fmt: skip
    done = start_diffusion(options, console.note)
    console.result(done["output"], done)


@app.command()
def vae(
    context: typer.Context,
    config: _Config = "starter",
    out: _Out = None,
    videos: _Videos = None,
    assets: _Assets = None,
    clips: _Clips = None,
    size: _Size = None,
    framings: _Framings = None,
    steps: _Steps = None,
    batch: _Batch = None,
    rate: _Rate = None,
    seed: _Seed = 1,
    precision: _Precision = None,
    device: _Device = None,
    workers: _Workers = 1,
) -> None:
    """Train the small video VAE that the diffusion renderer's starter weights stand on.

    A run that was stopped goes on where it was.
    """
    console = context.obj
    _check_numbers(clips=clips, steps=steps, batch=batch, rate=rate, seed=seed, workers=workers)
    _check_words(precision, device)
    from dreamactor_cli.training.diffusion.start import Options, start_vae
    from dreamactor_cli.training.loop.fit import take_device

    take_device(device)
    options = Options(
        config=config, out=_run_folder(out, config), cache=console.cache().root, videos=videos, assets=assets,
        clips=clips, size=size, framings=framings, steps=steps, batch=batch, rate=rate, seed=seed, precision=precision,
        device=device, workers=workers,
    )  # fmt: skip
    done = start_vae(options, console.note)
    console.result(done["output"], done)


@app.command()
def refiner(
    context: typer.Context,
    init: Annotated[Path, typer.Option("--init", metavar="DIR", help="Weights whose frames it refines.")],
    out: _Out = None,
    videos: _Videos = None,
    assets: _Assets = None,
    clips: _Clips = None,
    framings: _Framings = None,
    steps: _Steps = None,
    batch: Annotated[int | None, typer.Option("--batch", metavar="N", help="Frames a step and device.")] = None,
    rate: _Rate = None,
    seed: _Seed = 1,
    precision: _Precision = None,
    device: _Device = None,
    workers: _Workers = 1,
) -> None:
    """Train a small network that sharpens mouths and eyes in what small weights draw, and write both as new weights.

    Best with another --seed than the weights were trained with: other people. A run that was stopped goes on where it was.
    """
    console = context.obj
    _check_numbers(clips=clips, steps=steps, batch=batch, rate=rate, seed=seed, workers=workers)
    _check_words(precision, device)
    from dreamactor_cli.training.diffusion.start import Options, start_refiner
    from dreamactor_cli.training.loop.fit import take_device

    take_device(device)
    options = Options(
        config="", out=_run_folder(out, "refiner"), cache=console.cache().root, init=init, videos=videos, assets=assets,
        clips=clips, framings=framings, steps=steps, batch=batch, rate=rate, seed=seed, precision=precision, device=device,
        workers=workers,
    )  # fmt: skip
    done = start_refiner(options, console.note)
    console.result(done["output"], done)


@app.command()
def people(
    context: typer.Context,
    preview: Annotated[
        Path | None, typer.Option("--preview", metavar="SHEET.png", help="Draw some people, half of them with their truth.")
    ] = None,
    convert: Annotated[
        Path | None, typer.Option("--convert", metavar="DIR", help="Clones of MakeHuman to make people of; only CC0 is taken.")
    ] = None,
    assets: Annotated[
        Path | None, typer.Option("--assets", metavar="FILE", help="The converted MakeHuman to use, or to write with --convert.")
    ] = None,
    seed: _Seed = 0,
) -> None:
    """Look at the synthetic people that models learn from, or convert MakeHuman to have better ones."""
    _check_numbers(clips=None, steps=None, batch=None, rate=None, seed=seed, workers=0)
    if preview is None and convert is None:
        raise UsageError("nothing to do", "give --preview SHEET.png, --convert DIR, or both")
    from dreamactor_cli.training.synthetic.convert import convert_assets
    from dreamactor_cli.training.synthetic.makehuman import FILE_NAME
    from dreamactor_cli.training.synthetic.preview import preview_sheet

    console = context.obj
    record: dict[str, object] = {"status": "ok"}
    if convert is not None:
        assets = Path(FILE_NAME) if assets is None else assets
        made = convert_assets(convert, assets, console.note)
        console.note(f"{made.left_out} files were left out: they do not say that they are CC0")
        record |= {"assets": str(assets), **made._asdict()}
    if preview is not None:
        preview_sheet(preview, assets=assets, seed=seed)
        record["preview"] = str(preview)
    console.result(str(preview or assets), record)


def _run_folder(out: Path | None, config: str) -> Path:
    """Where a run of the diffusion renderer goes: its VAE's training and its own share a folder."""
    return out or Path(f"{Path(config).stem}-training")


def _check_numbers(
    *, clips: int | None, steps: int | None, batch: int | None, rate: float | None, seed: int, workers: int
) -> None:  # fmt: skip
    """Numbers that cannot be.

    Raises:
        UsageError: names the option.
    """
    most = {"clips": (clips, 1, 10_000_000), "steps": (steps, 1, 10_000_000), "batch": (batch, 1, 4096)}
    rest = {"rate": (rate, 1e-9, 1.0), "seed": (seed, 0, 2**31 - 1), "workers": (workers, 0, 1024)}
    for name, (value, low, high) in (most | rest).items():
        if value is not None and not low <= value <= high:
            raise UsageError(f"--{name} {value:g} is out of range", f"give a number from {low:g} to {high:g}")


def _check_words(precision: str | None, device: str | None) -> None:
    for name, value, known in (("precision", precision, ("float32", "bfloat16")), ("device", device, ("cpu", "cuda"))):
        if value is not None and value not in known:
            raise UsageError(f"--{name} {value} is unknown", f"say {' or '.join(known)}")
