"""The renderer ``diffusion``: the model of DreamActor-M1, trained by us, or fine-tuned from Wan's weights by you.

What it sees of the driver is drawn or numbers: skeleton, head sphere, blendshapes, gaze, articulation. It draws the person and
the surroundings anew; see `stage` for the part of the picture that it draws. Torch is loaded with the weights and not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from dreamactor_cli.contracts import U8, Controls, ControlStream, Preset, Reference, RendererSpec, RenderSettings
from dreamactor_cli.errors import MissingRequirement, UsageError
from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.conditions import Conditions, References, face_values
from dreamactor_cli.models.draw import draw_pose
from dreamactor_cli.renderers.diffusion.posing import TURN_FRAMES, pick_views, turn, with_body
from dreamactor_cli.renderers.diffusion.stage import Stage

if TYPE_CHECKING:
    from dreamactor_cli.models.memory import Ladder
    from dreamactor_cli.models.sampling import Sampling
    from dreamactor_cli.renderers.diffusion.loading import Loaded

PACKAGES = ("torch", "diffusers", "accelerate")
HEAVY = 1 << 30  # bytes of weights from which a GPU is needed


class DiffusionRenderer:
    """See the module's docstring. A `renderers.needs.Demanding` one."""

    spec = RendererSpec(
        name="diffusion", version="6", needs=("face", "head"), reference_needs=("face", "head", "matte"), size_multiple=1,
        body_needs=("body", "hands"),
    )  # fmt: skip

    def __init__(self) -> None:
        self._loaded: Loaded | None = None

    def check(self, preset: Preset) -> None:
        """See `renderers.needs.Demanding`."""
        if preset.background != "keep":
            raise UsageError(
                f"--background {preset.background} is not what diffusion can do: it draws the surroundings with the person",
                "put the person before another background in the picture, or use --renderer geometry",
            )
        missing = [name for name in PACKAGES if find_spec(name) is None]
        if missing:
            raise MissingRequirement(f"--renderer diffusion needs {missing[0]}", "in the checkout: pip install '.[diffusion]'")
        if preset.quantize != "off" and find_spec("torchao") is None:
            raise MissingRequirement(f"--quantize {preset.quantize} needs torchao", "pip install torchao==0.18.0")
        if preset.context_parallel > 1:
            from dreamactor_cli.renderers.diffusion.companions import check_ranks

            check_ranks(preset)
        weights_folder.read_index(weights_folder.find(preset.weights))

    def weights_sha256(self, preset: Preset) -> str:
        """See `renderers.needs.Demanding`."""
        return weights_folder.sha256(weights_folder.find(preset.weights))

    def needs_gpu(self, preset: Preset) -> bool:
        """See `renderers.needs.Demanding`."""
        index = weights_folder.read_index(weights_folder.find(preset.weights))
        return sum(size for size, _ in index.files.values()) > HEAVY

    def prepare(self, reference: Reference, settings: RenderSettings) -> None:  # noqa: ARG002 - the weights are what takes time
        """Load the weights, if others or none are loaded."""
        self._load(settings)

    def render(self, reference: Reference, controls: ControlStream, settings: RenderSettings) -> Iterator[U8]:
        """Yield frames (t, H, W, 3), a latent's worth at a time."""
        from dreamactor_cli.models.memory import Ladder
        from dreamactor_cli.renderers.diffusion.loading import drawn

        self.check(settings.preset)
        loaded = self._load(settings)
        stage = Stage.of(reference, loaded.index)
        if stage.enlarges:
            settings.warn(
                f"the model draws {stage.width}x{stage.height} px; enlarged to {stage.view.width}x{stage.view.height}, "
                "which adds no detail"
            )
        sampling = _sampling(settings, loaded)
        if sampling.step_cache == "mag" and controls.num_frames <= sampling.segment_frames:
            settings.warn("--step-cache mag measures in the first segment and skips from the second on; this clip has one")
        ladder = Ladder(
            settings.warn, frames=sampling.segment_frames, can_offload=settings.device != "cpu", taken=settings.memory,
            shared=settings.preset.context_parallel > 1,
        )  # fmt: skip
        for frames in drawn(self._draw(loaded, stage, reference, controls, settings, sampling, ladder), settings.device):
            yield stage.put_back(frames, reference.images[0])

    def close(self) -> None:
        """Give back memory and device."""
        had, self._loaded = self._loaded, None
        if had is not None:
            import torch

            had.close()
            del had
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _load(self, settings: RenderSettings) -> Loaded:
        """The model, loaded once for jobs that follow each other."""
        from dreamactor_cli.renderers.diffusion.loading import load

        preset = settings.preset
        folder = weights_folder.find(preset.weights)
        how = (preset.precision, preset.quantize, preset.compile, preset.context_parallel, settings.device)
        key = (folder, self.weights_sha256(preset), *how)
        if self._loaded is None or self._loaded.key != key or not self._loaded.alive:
            self.close()  # there may not be room for two
            self._loaded = load(folder, preset, settings.device, key)
        return self._loaded

    def _draw(
        self, loaded: Loaded, stage: Stage, reference: Reference, controls: ControlStream, settings: RenderSettings,
        sampling: Sampling, ladder: Ladder,
    ) -> Iterator[U8]:  # fmt: skip
        """Frames (t, height, width, 3) of the stage."""
        known = _references(reference, loaded.index)
        listens = "speech" in loaded.index.inputs

        def conditions(start: int, stop: int) -> Conditions:
            return _conditions(stage, with_body(controls.window(start, stop), reference), listens)

        if settings.preset.reference_views == "auto":
            known = self._with_views(loaded, stage, reference, known, sampling, ladder)
        yield from loaded.pipeline.render(known, conditions, controls.num_frames, sampling, ladder, settings.on_progress)

    def _with_views(
        self, loaded: Loaded, stage: Stage, reference: Reference, known: References, sampling: Sampling, ladder: Ladder
    ) -> References:
        """References with views beside them that the model makes of itself, in a first pass over a turn of the head."""
        turned = turn(reference)
        conditions = _conditions(stage, turned, listens=False)
        frames = np.concatenate(
            list(loaded.pipeline.render(known, lambda start, stop: _cut(conditions, start, stop), TURN_FRAMES, sampling, ladder))
        )
        views = pick_views(turned, reference)
        poses = None if known.poses is None else np.concatenate([known.poses, conditions.poses[views]])
        return References(images=np.concatenate([known.images, frames[views]]), poses=poses)


def _sampling(settings: RenderSettings, loaded: Loaded) -> Sampling:
    from dreamactor_cli.models.sampling import Sampling

    preset, index = settings.preset, loaded.index
    wanted = (preset.steps, preset.guidance_reference, preset.guidance_motion)
    steps = min(preset.steps, index.most_steps or preset.steps)
    reference, motion = (min(guidance, index.most_guidance or np.inf) for guidance in wanted[1:])
    if (steps, reference, motion) != wanted:
        settings.warn(f"the weights gain nothing beyond {steps} steps and guidance of {reference:g} and {motion:g}; drawn so")
    return Sampling(
        steps=steps, shift=index.shift, guidance_reference=reference, guidance_motion=motion,
        segment_frames=min(preset.segment_frames, index.frames),
        opening_noise=index.opening_noise, seed=settings.seed, step_cache=preset.step_cache,
        shifts=index.shifts,
    )  # fmt: skip


def _references(reference: Reference, index: weights_folder.Index) -> References:
    """The reference pictures as the model sees them, each around its own person, and their poses if it learned to use them."""
    images, poses = [], []
    for k in range(len(reference.images)):
        stage = Stage.of(reference, index, k)
        images.append(stage.show(reference.images[k : k + 1]))
        poses.append(_poses(stage, reference.controls.window(k, k + 1)))
    return References(images=np.concatenate(images), poses=np.concatenate(poses) if index.reference_poses else None)


def _conditions(stage: Stage, controls: Controls, listens: bool) -> Conditions:
    speech = controls.speech.articulation if listens and controls.speech is not None else None
    return Conditions(poses=_poses(stage, controls), face=face_values(controls), speech=speech)


def _poses(stage: Stage, controls: Controls) -> U8:
    return draw_pose(controls, stage.width, stage.height, stage.view)


def _cut(conditions: Conditions, start: int, stop: int) -> Conditions:
    face = None if conditions.face is None else conditions.face[start:stop]
    return Conditions(poses=conditions.poses[start:stop], face=face)
