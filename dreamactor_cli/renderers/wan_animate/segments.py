"""Wan-Animate's sampling, one segment at a time, so that memory does not grow with the clip.

`WanAnimatePipeline.__call__` takes the pictures of the whole clip and gives all frames at the end. This is its loop around the
same methods of the pipeline: same noise, same conditioning, and, on clips that both take, the same frames (a test holds it to
that). It also takes clips of no more frames than condition a segment, on which the pipeline fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8

if TYPE_CHECKING:
    from diffusers import WanAnimatePipeline

STRIDE = 4  # frames of a latent frame but the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What conditions frames of a segment.

    Attributes:
        poses: (T, H, W, 3), see `pose_picture`.
        faces: (T, S, S, 3), see `face_video`.
        around: (T, H, W, 3), the scene that the person is put into, black where the person may be; None draws the reference's.
        place: (T, H, W), 255 where the person may be, 0 where the scene stays; with ``around``.
    """

    poses: U8
    faces: U8
    around: U8 | None = None
    place: U8 | None = None

    def pick(self, index: NDArray[np.int64]) -> Pictures:
        """Frames in any order."""
        around = None if self.around is None else self.around[index]
        place = None if self.place is None else self.place[index]
        return Pictures(poses=self.poses[index], faces=self.faces[index], around=around, place=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample.

    Attributes:
        steps: of the scheduler, for each segment.
        guidance: classifier-free guidance on text and face; 1 is without, and twice as fast.
        frames: of a segment, 4n+1.
        overlap: last frames of a segment that open the next one, 1 or 5.
    """

    steps: int
    guidance: float
    frames: int
    overlap: int
    seed: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """Embedded texts, (1, L, D); the negative one is used with guidance only."""

    positive: torch.Tensor
    negative: torch.Tensor


def segment_length(asked: int, overlap: int) -> int:
    """The nearest length 4n+1 that is not longer than asked, and at least a latent frame longer than the overlap."""
    return max((asked - 1) // STRIDE * STRIDE + 1, overlap + STRIDE)


def segment_count(total: int, frames: int, overlap: int) -> int:
    """Segments of a clip."""
    return max(1, -(-(total - overlap) // (frames - overlap)))


def reflected(start: int, stop: int, total: int) -> NDArray[np.int64]:
    """Which frames stand for frames start..stop-1 of a clip of ``total``: behind its end it goes back, and forth again."""
    index = np.arange(start, stop)
    if total == 1:
        return np.zeros_like(index)
    turn = index % (2 * total - 2)
    return np.where(turn < total, turn, 2 * total - 2 - turn)


class Segments:
    """Samples clips of one reference.

    Args:
        pipeline: on its device; text encoder and tokenizer may be missing.
        picture: the reference at the size of the frames, (H, W, 3); sides are multiples of 16.
    """

    def __init__(self, pipeline: WanAnimatePipeline, prompt: Prompt, picture: U8, sampling: Sampling) -> None:
        self._pipeline, self._prompt, self._sampling = pipeline, prompt, sampling
        self._picture = picture
        self._generator = torch.Generator("cpu").manual_seed(sampling.seed)

    @torch.no_grad()
    def run(
        self, total: int, draw: Callable[[int, int], Pictures], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Iterator[U8]:
        """Yield the frames of each segment, (t, H, W, 3), ``total`` in all.

        Args:
            draw: pictures of frames start..stop-1 of the clip.
            on_progress: told after each step how many frames of how many are as good as drawn.
        """
        sampling = self._sampling
        new = sampling.frames - sampling.overlap
        reference, image_embeds = self._encode_reference()
        before: torch.Tensor | None = None
        for number in range(segment_count(total, sampling.frames, sampling.overlap)):
            start = number * new
            index = reflected(start, start + sampling.frames, total)
            low = int(index.min())
            drawn = draw(low, int(index.max()) + 1)
            done = start + (sampling.overlap if number else 0)
            share = min(sampling.frames, total - done)

            def on_step(step: int, done: int = done, share: int = share) -> None:
                on_progress(done + share * step // (sampling.steps + 1), total)  # decoding counts as one more step

            decoded = self._sample(drawn.pick(index - low), reference, image_embeds, before, on_step)
            fresh = decoded if before is None else decoded[:, :, sampling.overlap :]
            before = decoded[:, :, -sampling.overlap :].clone()
            yield _pixels(fresh[:, :, : total - done])

    def _encode_reference(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents of the reference (1, C, 1, h, w), and what CLIP sees in it."""
        pipeline, device = self._pipeline, self._pipeline._execution_device
        image = _signed(self._picture[None], device)[:, :, 0]
        embeds = pipeline.encode_image(self._picture, device)
        return pipeline.prepare_reference_image_latents(image, 1, device=device), embeds.to(pipeline.transformer.dtype)

    def _sample(
        self, pictures: Pictures, reference: torch.Tensor, image_embeds: torch.Tensor, before: torch.Tensor | None,
        on_step: Callable[[int], None],
    ) -> torch.Tensor:  # fmt: skip
        """Frames of one segment, (1, 3, T, H, W), -1..1."""
        pipeline, sampling = self._pipeline, self._sampling
        device, dtype = pipeline._execution_device, pipeline.transformer.dtype
        height, width = pictures.poses.shape[1:3]
        size = {"height": height, "width": width}
        latents = pipeline.prepare_latents(
            1, pipeline.vae.config.z_dim, **size, num_frames=sampling.frames, dtype=torch.float32, device=device,
            generator=self._generator,
        )  # fmt: skip
        pose_latents = pipeline.prepare_pose_latents(_signed(pictures.poses, device), 1, device=device).to(dtype)
        opening = pipeline.prepare_prev_segment_cond_latents(
            before, segment_frame_length=sampling.frames, start_frame=int(before is not None), **size,
            prev_segment_cond_frames=sampling.overlap, device=device, **_scene(pictures, device),
        )  # fmt: skip
        given = torch.cat([reference, opening], 2)
        face = _signed(pictures.faces, device).to(dtype)
        pipeline.scheduler.set_timesteps(sampling.steps, device=device)
        for step, time in enumerate(pipeline.scheduler.timesteps):
            noisy = torch.cat([latents, given], 1).to(dtype)
            arguments = (noisy, time.expand(1), image_embeds, pose_latents)
            guess = self._predict("cond", self._prompt.positive, face, *arguments)
            if sampling.guidance > 1:
                blind = self._predict("uncond", self._prompt.negative, torch.full_like(face, -1), *arguments)
                guess = blind + sampling.guidance * (guess - blind)
            latents = pipeline.scheduler.step(guess, time, latents, return_dict=False)[0]
            on_step(step + 1)
        return self._decode(latents[:, :, 1:])  # the first latent frame is the reference

    def _predict(
        self, branch: str, text: torch.Tensor, face: torch.Tensor, noisy: torch.Tensor, time: torch.Tensor,
        image_embeds: torch.Tensor, poses: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        transformer = self._pipeline.transformer
        with transformer.cache_context(branch):
            predicted: torch.Tensor = transformer(
                hidden_states=noisy, timestep=time, encoder_hidden_states=text.to(noisy.device, noisy.dtype),
                encoder_hidden_states_image=image_embeds, pose_hidden_states=poses, face_pixel_values=face, return_dict=False,
            )[0]  # fmt: skip
        return predicted

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Frames (1, 3, T, H, W), -1..1, of latents (1, C, F, h, w)."""
        vae = self._pipeline.vae
        latents = latents.to(vae.dtype)
        shape = (1, vae.config.z_dim, 1, 1, 1)
        mean = torch.tensor(vae.config.latents_mean).view(shape).to(latents.device, latents.dtype)
        # Its reciprocal and not itself, for the bits of the pipeline.
        reciprocal = 1.0 / torch.tensor(vae.config.latents_std).view(shape).to(latents.device, latents.dtype)
        decoded: torch.Tensor = vae.decode(latents / reciprocal + mean, return_dict=False)[0]
        return decoded


def _scene(pictures: Pictures, device: torch.device) -> dict[str, Any]:
    """What tells the pipeline's opening latents of the scene, if there is one."""
    if pictures.around is None or pictures.place is None:
        return {"task": "animate"}
    place = torch.from_numpy(np.ascontiguousarray(pictures.place)).to(device, torch.float32) / 255
    return {"task": "replace", "background_video": _signed(pictures.around, device), "mask_video": place[None, None]}


def _signed(frames: U8, device: torch.device) -> torch.Tensor:
    """Frames (T, H, W, 3) as (1, 3, T, H, W), -1..1."""
    unit = torch.from_numpy(np.ascontiguousarray(frames)).to(device, torch.float32) / 255
    return (2.0 * unit - 1.0).permute(3, 0, 1, 2)[None]


def _pixels(frames: torch.Tensor) -> U8:
    """Frames (1, 3, T, H, W), -1..1, as (T, H, W, 3)."""
    unit = (frames[0].float() / 2 + 0.5).clamp(0, 1)
    pixels: U8 = (unit * 255).round().to(torch.uint8).permute(1, 2, 3, 0).cpu().numpy()
    return pixels
