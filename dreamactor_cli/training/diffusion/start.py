"""From what a user asks for to a training: defaults of the config filled in, sources found, the VAE made where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dreamactor_cli.cache import Cache
from dreamactor_cli.errors import MissingRequirement, UsageError
from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.configs import ModelConfig, load_config
from dreamactor_cli.models.timeline import frames_of
from dreamactor_cli.models.weights_folder import Models
from dreamactor_cli.training.diffusion import begin
from dreamactor_cli.training.diffusion.batches import Recipe
from dreamactor_cli.training.diffusion.recipes import Defaults, check_frames, defaults_of
from dreamactor_cli.training.diffusion.sources import Source, SyntheticPeople, parse_framings
from dreamactor_cli.training.diffusion.stages import PAPER, stage_of
from dreamactor_cli.training.diffusion.train import WEIGHTS, DiffusionRun, train_diffusion
from dreamactor_cli.training.diffusion.videos import survey
from dreamactor_cli.training.loop.fit import Plan
from dreamactor_cli.training.refiner.train import RefinerRun, train_refiner
from dreamactor_cli.training.vae.train import VaeRun, train_vae

Say = Callable[[str], None]

_JUDGED = 16  # clips of people that are never learned from
_SHARDED_FROM = 3_000_000_000  # parameters from which several devices share one copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user asked for; None takes what the config is usually trained with (`recipes`).

    Attributes:
        config: name or file of `models.configs`.
        out: folder of the run: ``weights``, ``vae``, ``work``, ``clips``, ``samples``, ``log.jsonl``.
        stage: one of `stages.STAGES`.
        videos: folder of one's own videos; else synthetic people.
        init: weights of ours to begin with.
        wan: folder of Wan 2.1's weights to begin with.
        vae: folder of a VAE.
        assets: a converted MakeHuman; None for people made of code alone.
        clips: of synthetic people.
        clips_folder: where they are kept; None is ``out/clips``.
        size: of synthetic clips; of videos the side of a square of the same area.
        frames: of a stretch that is learned from, 4n + 1.
        workers: processes that make clips.
        cache: of the signals of videos.
    """

    config: str
    out: Path
    cache: Path
    stage: str | None = None
    videos: Path | None = None
    init: Path | None = None
    wan: Path | None = None
    vae: Path | None = None
    assets: Path | None = None
    clips: int | None = None
    clips_folder: Path | None = None
    size: int | None = None
    frames: int | None = None
    framings: str | None = None
    steps: int | None = None
    batch: int | None = None
    rate: float | None = None
    seed: int = 0
    precision: str | None = None
    device: str | None = None
    checkpointing: bool = False
    compiled: bool = False
    sharded: bool | None = None
    workers: int = 1


def start_diffusion(options: Options, say: Say) -> dict[str, Any]:
    """Train the diffusion renderer.

    Returns:
        What is said at the end: the folder of weights.

    Raises:
        DreamActorError: see `train.train_diffusion`, `begin` and `videos.survey`.
    """
    config, usual = load_config(options.config), defaults_of(options.config)
    stages = (stage_of(options.stage).name,) if options.stage else PAPER if usual.staged else ("small",)
    size = _size_of(options, usual)
    latents = usual.latents if options.frames is None else check_frames(options.frames)
    learned = _learned(options, usual, size, frames_of(latents), say)
    models, begun_with = _begin(options, config, usual, say)
    recipe = Recipe(
        batch=options.batch or usual.batch, latents=latents, shift=usual.shift, drop_reference=usual.drop, drop_motion=usual.drop,
        seed=options.seed,
    )  # fmt: skip
    run = DiffusionRun(
        name=options.config, learned=learned, shown=_judged(options, usual, size, learned), clips=_clips_folder(options),
        stages=stages, recipe=recipe, plan=_plan(options, usual, models), size=0 if options.videos else size,
        workers=options.workers, sample_every=usual.sample_every, checkpointing=options.checkpointing,
        compiled=options.compiled, by_pixels=usual.by_pixels, most_steps=usual.most_steps, most_guidance=usual.most_guidance,
        shifts=usual.shifts, begun="ours" if options.init else "wan" if options.wan else "nothing",
        about={"machine": str(_device(options)), "stages": list(stages)},
    )  # fmt: skip
    folder = train_diffusion(options.out, run, models, begun_with, say)
    return {"status": "ok", "output": str(folder)}


def start_vae(options: Options, say: Say) -> dict[str, Any]:
    """Train the VAE of a config.

    Returns:
        What is said at the end: the folder of the VAE and its figures.

    Raises:
        UsageError: the config's VAE is not ours to train.
        DreamActorError: see `vae.train.train_vae` and `videos.survey`.
    """
    config, usual = load_config(options.config), defaults_of(options.config)
    if not config.vae or not usual.vae_steps:
        raise UsageError(f"--config {options.config} takes the VAE of Wan, which is given", "say --wan DIR with its weights")
    size = _size_of(options, usual)
    longest = usual.frames if options.frames is None else options.frames
    check_frames(longest)
    options = replace(options, clips=options.clips or (None if options.videos else min(usual.clips, usual.vae_clips)))
    learned = _learned(options, usual, size, longest, say)
    # Another rate and other steps than the transformer's stand in the recipe; what the user says goes first.
    steps, rate = options.steps or usual.vae_steps, options.rate or usual.vae_rate
    plan = Plan(
        steps=steps, rate=rate, warm_up=30, cool_down=0.5, decay=0.995, keep_every=usual.keep_every, seed=options.seed,
        precision=_precision(options), device=_device(options),
    )  # fmt: skip
    run = VaeRun(
        config=config.vae, learned=learned, judged=_judged(options, usual, size, learned), clips=_clips_folder(options),
        plan=plan, frames=min(usual.vae_frames, longest), batch=options.batch or usual.vae_batch, workers=options.workers,
    )  # fmt: skip
    figures = train_vae(options.out, run, say)
    say(f"people never seen: {figures.psnr:.1f} dB, faces {figures.psnr_face:.1f} dB")
    return {"status": "ok", "output": str(options.out / "vae"), "figures": figures._asdict()}


def start_refiner(options: Options, say: Say) -> dict[str, Any]:
    """Train a refiner for weights of ours, ``options.init``; their config is known.

    Returns:
        What is said at the end: the folder of weights with the refiner, and its figures.

    Raises:
        MissingRequirement, UnreadableInput: see `weights_folder.load`.
        DreamActorError: see `refiner.train.train_refiner` and `videos.survey`.
    """
    folder = weights_folder.find(str(options.init or ""))
    models, index = weights_folder.load(folder)
    usual = defaults_of(index.config)
    size = _size_of(replace(options, size=options.size or index.size or None), usual)
    options = replace(options, clips=options.clips or (None if options.videos else usual.refiner_clips))
    plan = Plan(
        steps=options.steps or usual.refiner_steps, rate=options.rate or usual.refiner_rate, warm_up=300, cool_down=0.4,
        betas=(0.9, 0.99), weight_decay=0.01, decay=0.998, keep_every=usual.keep_every, seed=options.seed,
        precision=_precision(options), device=_device(options),
    )  # fmt: skip
    learned = _learned(options, usual, size, max(index.frames, usual.frames), say)
    run = RefinerRun(
        learned=learned, judged=_judged(options, usual, size, learned), clips=_clips_folder(options), plan=plan,
        batch=options.batch or usual.refiner_batch, workers=options.workers,
    )  # fmt: skip
    figures = train_refiner(options.out, run, models, index, weights_folder.sha256(folder), say)
    say(f"people never seen: faces {figures.face_before:.1f} dB before, {figures.face:.1f} dB refined")
    return {"status": "ok", "output": str(options.out / WEIGHTS), "figures": figures._asdict()}


def _begin(options: Options, config: ModelConfig, usual: Defaults, say: Say) -> tuple[Models, str]:
    """The models that training begins with."""
    if options.init and options.wan:
        raise UsageError("--init and --wan are two beginnings", "name one of them")
    if options.vae and (options.init or options.wan):
        raise UsageError("--init and --wan bring a VAE, and latents of another one are nothing to them", "leave --vae out")
    if options.init:
        models, key = begin.from_weights(options.init, config)
        if models.refiner is not None:
            say("the refiner is left out, as it knows what the weights drew before: make a new one with dreamactor train refiner")
        return replace(models, refiner=None), key
    if options.wan:
        return begin.from_wan(options.wan, config, options.seed)
    if not config.vae or not usual.vae_steps:
        raise MissingRequirement(
            f"--config {options.config} begins with the weights of Wan 2.1", "say --wan DIR, or --init DIR to go on from your own"
        )
    folder = options.vae or options.out / "vae"
    if options.vae is None and not (folder / "config.json").is_file():
        say("there is no VAE yet: it is trained first")
        start_vae(replace(options, steps=None, batch=None, rate=None, frames=None, stage=None), say)
    vae = begin.load_vae(folder)
    digest = json.loads((folder / "config.json").read_text("utf-8")).get("latents_mean")
    models, key = begin.from_nothing(config, vae, options.seed)
    return models, f"{key}/{digest}"


def _learned(options: Options, usual: Defaults, size: int, frames: int, say: Say) -> Source:
    """What is learned from."""
    if options.videos is not None:
        if options.clips or options.framings or options.assets:
            raise UsageError("--clips, --framings and --assets are of synthetic people", "leave them out with --videos")
        return survey(options.videos, max(frames, 5), size * size, Cache(options.cache), say)
    return _people(options, usual, size, options.clips or usual.clips, held_out=False)


def _judged(options: Options, usual: Defaults, size: int, learned: Source) -> Source:
    """What is judged by: people never seen, or the videos themselves."""
    return learned if options.videos is not None else _people(options, usual, size, _JUDGED, held_out=True)


def _people(options: Options, usual: Defaults, size: int, count: int, *, held_out: bool) -> SyntheticPeople:
    return SyntheticPeople(
        count=count, size=size, frames=usual.frames, references=3, framings=parse_framings(options.framings or usual.framings),
        zoom=usual.zoom, seed=options.seed, assets=options.assets, held_out=held_out,
    )  # fmt: skip


def _plan(options: Options, usual: Defaults, models: Models) -> Plan:
    parameters = sum(value.numel() for value in models.transformer.parameters())
    sharded = parameters >= _SHARDED_FROM if options.sharded is None else options.sharded
    return Plan(
        steps=options.steps or usual.steps, rate=options.rate or usual.rate, betas=(0.9, 0.98), weight_decay=0.01,
        keep_every=usual.keep_every, seed=options.seed,
        precision=_precision(options), device=_device(options), sharded=("DreamActorBlock",) if sharded else (),
    )  # fmt: skip


def _size_of(options: Options, usual: Defaults) -> int:
    size = usual.size if options.size is None else options.size
    if size % 16 or not 16 <= size <= 2048:
        raise UsageError(f"--size {size} does not fit the model", "say a multiple of 16 up to 2048")
    return size


def _clips_folder(options: Options) -> Path:
    return options.clips_folder or options.out / "clips"


def _device(options: Options) -> str:
    if options.device == "cuda" and not torch.cuda.is_available():
        raise MissingRequirement("no CUDA device is here", "leave --device out, or say --device cpu")
    return options.device or ("cuda" if torch.cuda.is_available() else "cpu")


def _precision(options: Options) -> Any:
    return options.precision or ("bfloat16" if _device(options) == "cuda" else "float32")
