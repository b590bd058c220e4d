"""From pictures of a person and drawn motion to a video: segments of latents, one after the other, decoded as one stream.

A segment of 4n+1 frames is n+1 latents. The last latent of a segment is the first of the next, given clean; so a clip of L
latents is one run of latents without a seam, and the decoder, whose memory stays alive, never starts anew. Controls are drawn
for a segment when it is its turn: memory does not grow with the clip. What was decoded is refined where the weights say how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, cast

import numpy as np
import torch
from diffusers.hooks import apply_group_offloading
from torch import Tensor

from dreamactor_cli.contracts import U8
from dreamactor_cli.models import video_vae
from dreamactor_cli.models.conditions import Conditions, References
from dreamactor_cli.models.face_motion import token_frames
from dreamactor_cli.models.guidance import Branch, branches, drop_reference, guided
from dreamactor_cli.models.memory import Ladder
from dreamactor_cli.models.sampling import Sampling, flow_sigmas, integrate, noised, segment_noise
from dreamactor_cli.models.shifts import Offset, mean_of, offsets, shifted_conditions, shifted_references
from dreamactor_cli.models.step_cache import StepCaching
from dreamactor_cli.models.timeline import SPATIAL, TEMPORAL, frames_of, latents_of, longest_of, next_segment
from dreamactor_cli.models.weights_folder import Models


class DreamActorPipeline:
    """See the module's docstring.

    Args:
        models: on the CPU; they are moved to the device.
        compiled: let `torch.compile` translate the transformer's blocks; worth it for many frames.
    """

    def __init__(self, models: Models, *, device: str = "cpu", compiled: bool = False) -> None:
        self.device = torch.device(device)
        self.models = models
        self._offloaded = False
        for model in (models.vae, models.pose_encoder, models.face_motion, models.transformer, models.refiner):
            if model is not None:
                cast(torch.nn.Module, model).to(self.device)
        if compiled:
            models.transformer.compile_repeated_blocks()

    @property
    def dtype(self) -> torch.dtype:
        """In which the models compute."""
        return cast(torch.dtype, next(self.models.pose_encoder.parameters()).dtype)

    def render(
        self, references: References, conditions: Callable[[int, int], Conditions], num_frames: int, sampling: Sampling,
        ladder: Ladder, on_step: Callable[[int, int], None] | None = None,
    ) -> Iterator[U8]:  # fmt: skip
        """Draw a clip.

        Args:
            conditions: of frames start..stop-1, asked for once a segment, in order; where there are several draws, also for
                the segments of those that are later.
            num_frames: of the clip; exactly so many come out.
            ladder: what to do when memory runs out.
            on_step: told after each step how far the segments are, and of how many frames.

        Yields:
            Frames (1, H, W, 3).

        Raises:
            OutOfMemory: nothing was left to give up.
        """
        cell = SPATIAL * self.models.transformer.config.patch_size[1]
        places = offsets(sampling.shifts, cell)
        asked = {at.frames: _Asked(shifted_conditions(conditions, Offset(0, 0, at.frames))) for at in places}
        draws = [
            self._frames(references, asked[at.frames], num_frames, sampling, ladder, at, on_step if at == places[0] else None)
            for at in places
        ]
        for number, drawn in enumerate(zip(*draws, strict=True)):
            frame = mean_of(drawn, places, cell, number)
            if self.models.refiner is not None:
                frame = ladder.attempt(partial(self._refine, frame, asked[0].pose(number)))
            yield frame[None]

    def _frames(
        self, references: References, conditions: Callable[[int, int], Conditions], num_frames: int, sampling: Sampling,
        ladder: Ladder, at: Offset, on_step: Callable[[int, int], None] | None,
    ) -> Iterator[U8]:  # fmt: skip
        """One draw of a clip with the picture elsewhere, frame by frame (H, W, 3); ``conditions`` are already later."""
        moved = shifted_references(references, at), shifted_conditions(conditions, Offset(at.x, at.y, 0))
        drawn = (frame for frames in self._draw(*moved, num_frames + at.frames, sampling, ladder, on_step) for frame in frames)
        return islice(drawn, at.frames, None)

    def _draw(
        self, references: References, conditions: Callable[[int, int], Conditions], num_frames: int, sampling: Sampling,
        ladder: Ladder, on_step: Callable[[int, int], None] | None,
    ) -> Iterator[U8]:  # fmt: skip
        """One draw of a clip, see `render`."""
        caching = StepCaching(self.models.transformer, sampling.step_cache, sampling.steps)
        run = _Run(conditions, num_frames, sampling, ladder, video_vae.LatentDecoder(self.models.vae), caching, on_step)
        run.known = ladder.attempt(partial(self._known, run, references))
        shown = 0
        while shown < num_frames:
            latents = ladder.attempt(partial(self._segment, run))
            for k in range(int(run.opening is not None), latents.shape[2]):
                frames = ladder.attempt(partial(self._decode, run, latents[:, :, k : k + 1]))
                yield frames[: num_frames - shown]
                shown += len(frames)
            run.opening, run.begun, run.count = latents[:, :, -1:], run.begun + latents.shape[2] - 1, run.count + 1

    def _use(self, run: _Run) -> None:
        """Do what the ladder says."""
        if run.ladder.tiled:
            run.decoder.use_tiles()
        if run.ladder.offloaded and not self._offloaded:
            self._offloaded = True
            for block in self.models.transformer.blocks:  # the rest is small, and `encode_references` needs it without a forward
                apply_group_offloading(block, self.device, torch.device("cpu"), offload_type="leaf_level")

    @torch.no_grad()
    def _known(self, run: _Run, references: References) -> dict[Branch, Any]:
        """Keys and values of the references for each branch of the guidance, computed once for the whole clip."""
        self._use(run)
        sampling = run.sampling
        latents, poses = self._encode(references.images), None
        if references.poses is not None:
            poses = self._pose_features(references.poses[:, None])[:, :, 0][None]
        encode = self.models.transformer.encode_references
        full = encode(latents, poses)
        known: dict[Branch, Any] = {"full": full, "no_motion": full}
        if "no_reference" in branches(sampling.guidance_reference, sampling.guidance_motion):
            known["no_reference"] = encode(drop_reference(latents), None if poses is None else drop_reference(poses))
        return known

    def _encode(self, images: U8) -> Tensor:
        """Pictures (N, H, W, 3) as clean latents (1, N, C, h, w), each a clip of one frame."""
        pixels = torch.cat([video_vae.to_pixels(image[None], self.device, self.dtype) for image in images])
        return video_vae.encode(self.models.vae, pixels)[:, :, 0][None]

    def _pose_features(self, pictures: U8) -> Tensor:
        """Drawn poses (B, T, H, W, 3), T = 4F - 3, as features (B, Cp, F, h, w)."""
        pixels = torch.cat([video_vae.to_pixels(clip, self.device, self.dtype) for clip in pictures])
        return cast(Tensor, self.models.pose_encoder(pixels))

    @torch.no_grad()
    def _segment(self, run: _Run) -> Tensor:
        """Latents (1, C, F, h, w) of the next segment; the first is the last of the one before."""
        self._use(run)
        sampling, model = run.sampling, self.models.transformer
        length = next_segment(latents_of(run.num_frames) - run.begun, longest_of(run.ladder.frames))
        first, filled = TEMPORAL * run.begun, frames_of(length)
        conditions = run.conditions(first, min(first + filled, run.num_frames))
        poses = self._pose_features(_filled(conditions.poses, filled)[None])
        tokens = self._tokens(conditions, filled)
        motion_frames = None if tokens is None else token_frames(filled, self.device)

        def velocity(x: Tensor, times: Tensor) -> Tensor:
            at = x.to(self.dtype)

            def answer(branch: Branch) -> Tensor:
                moved = branch != "no_motion"
                with model.cache_context(branch):
                    (sample,) = model(
                        at, times, pose_states=poses if moved else None, motion_tokens=tokens if moved else None,
                        motion_frames=motion_frames if moved else None, reference_cache=run.known[branch], return_dict=False,
                    )  # fmt: skip
                return cast(Tensor, sample).float()

            return guided(answer, sampling.guidance_reference, sampling.guidance_motion)

        shape = (1, model.config.in_channels, length, *poses.shape[3:])
        noise = segment_noise(shape, sampling.seed, run.count).to(self.device)
        sigmas = flow_sigmas(sampling.steps, sampling.shift)
        opening = None if run.opening is None else noised(run.opening, noise, sampling.opening_noise)
        with run.caching.segment():
            return integrate(velocity, noise, sigmas, opening, lambda done: run.tell(first, filled, done / sampling.steps))

    def _tokens(self, conditions: Conditions, frames: int) -> Tensor | None:
        given = {"face": conditions.face, "speech": conditions.speech}
        inputs = {
            name: torch.from_numpy(_filled(values, frames)).to(self.device, self.dtype)[None]
            for name, values in given.items()
            if values is not None
        }
        return cast(Tensor, self.models.face_motion(**inputs)) if inputs else None

    @torch.no_grad()
    def _decode(self, run: _Run, latent: Tensor) -> U8:
        self._use(run)
        return video_vae.to_frames(run.decoder.push(latent.to(self.dtype)))

    @torch.no_grad()
    def _refine(self, frame: U8, pose: U8) -> U8:
        """A frame (H, W, 3) with its pose picture (H, W, 6)."""
        assert self.models.refiner is not None
        pixels, told = (video_vae.to_pixels(x[None], self.device, self.dtype)[:, :, 0] for x in (frame, pose))
        return video_vae.to_frames(self.models.refiner(pixels, told)[:, :, None])[0]


class _Asked:
    """Conditions, remembered until others are asked for: several draws ask for a segment before one asks for the next."""

    def __init__(self, conditions: Callable[[int, int], Conditions]) -> None:
        self._conditions = conditions
        self._span = (0, 0)
        self._last: Conditions | None = None

    def __call__(self, start: int, stop: int) -> Conditions:
        if self._last is None or self._span != (start, stop):
            self._span, self._last = (start, stop), self._conditions(start, stop)
        return self._last

    def pose(self, number: int) -> U8:
        """The pose picture of a frame of the segment that was asked for last."""
        assert self._last is not None
        return cast(U8, self._last.poses[number - self._span[0]])


@dataclass(slots=True)
class _Run:
    """One clip that is being drawn.

    Attributes:
        conditions, num_frames, sampling, ladder, on_step: as in `DreamActorPipeline.render`.
        decoder, caching: of the whole clip.
        known: of the references, see `DreamActorPipeline._known`.
        begun: latents of the clip before the next segment.
        count: segments that are done.
        opening: the latent that the next segment begins with; None at the start.
    """

    conditions: Callable[[int, int], Conditions]
    num_frames: int
    sampling: Sampling
    ladder: Ladder
    decoder: video_vae.LatentDecoder
    caching: StepCaching
    on_step: Callable[[int, int], None] | None
    known: dict[Branch, Any] = field(default_factory=dict)
    begun: int = 0
    count: int = 0
    opening: Tensor | None = None

    def tell(self, first: int, frames: int, share: float) -> None:
        """Say how far the clip is, when a share of a segment is done that begins with frame ``first``."""
        if self.on_step is not None:
            self.on_step(min(first + int(frames * share), self.num_frames), self.num_frames)


def _filled(values: Any, frames: int) -> Any:
    """Values (T, ...) with the last one repeated until there are so many frames."""
    return np.ascontiguousarray(values[np.minimum(np.arange(frames), len(values) - 1)])
