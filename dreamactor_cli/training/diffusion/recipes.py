"""How each config is trained where a user says nothing else. The figures of the paper stand in docs/training.md."""

from __future__ import annotations

from dataclasses import dataclass

from dreamactor_cli.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What to train a config with.

    Attributes:
        size: height and width of synthetic clips, px.
        clips: synthetic clips to make.
        vae_clips: those of them that the VAE learns from.
        frames: of a synthetic clip.
        latents: latent frames of a stretch that is learned from; 4F - 3 frames.
        framings: of synthetic clips, see `sources.parse_framings`.
        zoom: least and largest, see `sources.SyntheticPeople`.
        steps: of all stages together.
        batch: clips a step and process.
        rate: learning rate.
        shift: bends noise levels towards noise, see `models.sampling.flow_sigmas`; a model that learns for minutes has use for
            little but the levels at which large forms are made.
        staged: whether pose, face and all come one after the other; a model too small to afford that learns all at once.
        vae_steps, vae_batch, vae_rate, vae_frames: of the VAE; 0 steps where it is not trained but given.
        refiner_clips, refiner_steps, refiner_batch, refiner_rate: of a refiner for weights of the config; frames a step.
        keep_every, sample_every: steps.
        drop: chances of leaving references, and of leaving motion out, which guidance needs; what draws without it does better
            to learn the rest.
        by_pixels: see `train.DiffusionRun`.
        most_steps, most_guidance, shifts: of drawing with the weights, see `models.weights_folder.Index`.
    """

    size: int
    clips: int
    frames: int
    latents: int
    framings: str
    zoom: tuple[float, float]
    steps: int
    batch: int
    rate: float
    staged: bool
    vae_steps: int
    vae_batch: int
    vae_rate: float
    vae_frames: int
    keep_every: int
    sample_every: int
    vae_clips: int = 1 << 30
    refiner_clips: int = 1024
    refiner_steps: int = 3600
    refiner_batch: int = 16
    refiner_rate: float = 1e-3
    shift: float = 3.0
    drop: float = 0.1
    by_pixels: bool = False
    most_steps: int = 0
    most_guidance: float = 0.0
    shifts: int = 1


DEFAULTS = {
    "debug": Defaults(
        size=32, clips=64, frames=9, latents=2, framings="face", zoom=(1.2, 1.5), steps=400, batch=8, rate=3e-3, staged=False,
        shift=8.0, vae_steps=60, vae_batch=8, vae_rate=5e-4, vae_frames=5, keep_every=100, sample_every=200,
    ),
    "starter": Defaults(
        size=64, clips=2304, vae_clips=640, frames=9, latents=2, framings="face", zoom=(1.25, 1.5), steps=5500, batch=8,
        rate=1.5e-3, shift=20.0, drop=0.03, by_pixels=True, staged=False,
        vae_steps=700, vae_batch=16, vae_rate=5e-4, vae_frames=9, keep_every=100,
        sample_every=1000, most_steps=1, most_guidance=1.0, shifts=4,
    ),
    "starter-gpu": Defaults(
        size=128, clips=20_000, frames=25, latents=7, framings="face:0.4,bust:0.3,half:0.15,full:0.15", zoom=(1.0, 1.5),
        steps=60_000, batch=32, rate=5e-4, staged=True, vae_steps=20_000, vae_batch=16, vae_rate=2e-4, vae_frames=13,
        keep_every=1000, sample_every=5000,
    ),
    "1.3b": Defaults(
        size=256, clips=20_000, frames=73, latents=19, framings="face:0.4,bust:0.3,half:0.15,full:0.15", zoom=(1.0, 1.5),
        steps=70_000, batch=1, rate=1e-5, staged=True, vae_steps=0, vae_batch=0, vae_rate=0, vae_frames=0, keep_every=500,
        sample_every=2000,
    ),
    "14b": Defaults(
        size=256, clips=20_000, frames=73, latents=19, framings="face:0.4,bust:0.3,half:0.15,full:0.15", zoom=(1.0, 1.5),
        steps=70_000, batch=1, rate=5e-6, staged=True, vae_steps=0, vae_batch=0, vae_rate=0, vae_frames=0, keep_every=500,
        sample_every=2000,
    ),
}  # fmt: skip


def defaults_of(config: str) -> Defaults:
    """Defaults of a config; a file of one's own is trained like ``starter-gpu`` unless it is said otherwise."""
    return DEFAULTS.get(config, DEFAULTS["starter-gpu"])


def check_frames(frames: int) -> int:
    """Latents of a clip of so many frames.

    Raises:
        UsageError: a clip of latents has 4F - 3 frames.
    """
    if frames < 5 or frames % 4 != 1:
        near = max(5, 4 * round((frames - 1) / 4) + 1)
        raise UsageError(f"--frames {frames} does not fit latents of four frames", f"say 4n+1, such as {near}")
    return (frames + 3) // 4
