"""The renderer ``wan-animate``: the public Wan2.2-Animate-14B through diffusers' `WanAnimatePipeline`.

The model animates the reference in its own surroundings, or, with ``--background driving``, puts it into the driver's place in
the driver's picture. How to move it is told by pictures that are drawn from controls, by none of the driver's pixels: a skeleton
(`pose_picture`) and the reference's own moving face (`face_video`). Segments follow each other through one or five frames
(`segments`), and are yielded as they are done. The model was trained at 30 frames a second and an area of 1280x720; other rates
pass through frame by frame, larger frames are made at that area and enlarged. On one machine the same job gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from dreamactor_cli.contracts import U8, ControlStream, Preset, Reference, RendererSpec, RenderSettings
from dreamactor_cli.errors import OutOfMemory, UsageError
from dreamactor_cli.model_store.known import find_weights
from dreamactor_cli.renderers.wan_animate import weights
from dreamactor_cli.renderers.wan_animate.face_video import FaceVideo
from dreamactor_cli.renderers.wan_animate.pose_picture import draw_poses

if TYPE_CHECKING:
    from diffusers import WanAnimatePipeline

    from dreamactor_cli.renderers.wan_animate.segments import Pictures, Prompt

AREA = 1280 * 720  # px, that the model was trained on
MULTIPLE = 16  # of sides, px
MARGIN = 0.025  # around the driver's mask, of the shorter side, as in the model's own preprocessing


class WanAnimateRenderer:
    """See the module's docstring. A `renderers.needs.Demanding` one; of several references the first counts."""

    spec = RendererSpec(
        name="wan-animate", version="5", needs=("face", "head"), reference_needs=("face", "head", "matte"),
        body_needs=("body", "hands"), scene_needs=("body", "hands", "matte"),
    )  # fmt: skip

    def __init__(self) -> None:
        self._loaded: tuple[tuple[object, ...], WanAnimatePipeline, Prompt] | None = None
        self._faces: FaceVideo | None = None

    def check(self, preset: Preset) -> None:
        """See `renderers.needs.Demanding`."""
        if preset.background not in ("keep", "driving"):
            raise UsageError(
                f"--background {preset.background} is not what wan-animate can do: it draws the surroundings anew",
                "put the person before another background in the picture, or use keep, driving, or --renderer geometry",
            )
        weights.check_packages()
        weights.check_folder(self._folder(preset))

    def weights_sha256(self, preset: Preset) -> str:
        """See `renderers.needs.Demanding`."""
        return weights.identity(self._folder(preset))

    def needs_gpu(self, preset: Preset) -> bool:
        """See `renderers.needs.Demanding`."""
        return weights.is_heavy(self._folder(preset))

    def prepare(self, reference: Reference, settings: RenderSettings) -> None:
        """Load the weights, if others or none are loaded, and make the face ready to move."""
        pipeline, _ = self._load(settings)
        size = int(pipeline.transformer.config.motion_encoder_size)
        if self._faces is None or self._faces.size != size:
            self._faces = FaceVideo(size)
        self._faces.prepare(reference, settings)

    def render(self, reference: Reference, controls: ControlStream, settings: RenderSettings) -> Iterator[U8]:
        """Yield the frames of each segment, (t, H, W, 3)."""
        import torch

        from dreamactor_cli.renderers.wan_animate.segments import Pictures, Sampling, Segments, segment_length

        if len(reference.images) > 1:
            settings.warn("wan-animate knows the person from the first picture alone; the others were left out")
        self.prepare(reference, settings)
        pipeline, prompt = self._load(settings)
        faces, preset = self._faces, settings.preset
        assert faces is not None  # made ready
        width, height = working_size(settings.width, settings.height)

        def draw(start: int, stop: int) -> Pictures:
            window = controls.window(start, stop)
            face = faces.draw(reference, window, settings)
            if settings.scene is None:
                return Pictures(poses=draw_poses(window, reference.controls, width, height), faces=face)
            part = settings.scene.window(start, stop)
            poses = draw_poses(part.controls, part.controls, width, height)
            # A matte may miss a hand that the skeleton knows.
            place = widened(np.maximum(_resized(part.person, width, height), 255 * poses.any(3).astype(np.uint8)))
            around = _resized(part.frames, width, height) * (place == 0)[..., None]
            return Pictures(poses=poses, faces=face, around=around, place=place)

        overlap = preset.conditioning_frames
        sampling = Sampling(
            steps=preset.steps, guidance=preset.guidance_motion, frames=segment_length(preset.segment_frames, overlap),
            overlap=overlap, seed=_seed(settings.seed),
        )  # fmt: skip
        picture = _resized(reference.images[:1], width, height)[0]
        segments = Segments(pipeline, prompt, picture, sampling)
        on_progress = settings.on_progress or (lambda done, total: None)
        try:
            for frames in segments.run(controls.num_frames, draw, on_progress):
                yield _resized(frames, settings.width, settings.height)
        except torch.OutOfMemoryError as error:
            self.close()  # what is loaded was placed for more memory than there is
            raise OutOfMemory("the GPU has not enough memory for a segment", "ask for a smaller --size") from error

    def close(self) -> None:
        """Forget the weights and the reference, and give the GPU's memory back."""
        if self._faces is not None:
            self._faces.close()
        had, self._loaded, self._faces = self._loaded, None, None
        if had is not None:
            import torch

            del had
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _folder(self, preset: Preset) -> Path:
        return find_weights(preset.weights, weights.NAME)

    def _load(self, settings: RenderSettings) -> tuple[WanAnimatePipeline, Prompt]:
        """Pipeline and prompt, loaded once for jobs that follow each other."""
        preset = settings.preset
        key = (preset.weights, preset.precision, settings.device, settings.memory)
        if self._loaded is None or self._loaded[0] != key:
            import torch

            self._loaded = None  # there is not room for two
            folder = self._folder(preset)
            prompt = weights.load_prompt(folder)
            dtype = torch.bfloat16 if preset.precision == "auto" else getattr(torch, preset.precision)
            self._loaded = key, weights.load_pipeline(folder, settings.device, dtype, settings.memory), prompt
        return self._loaded[1:]


def working_size(width: int, height: int) -> tuple[int, int]:
    """Width and height that the model draws at: what is asked for, at most its own area, sides rounded to what it can do."""
    scale = min(1.0, sqrt(AREA / (width * height)))
    sides = [max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in (width, height)]
    return sides[0], sides[1]


def widened(person: U8) -> U8:
    """Where a person of other build may stand, (T, H, W), 0 or 255: the driver's mask, and some way around it."""
    side = 2 * max(round(MARGIN * min(person.shape[1:])), 1) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.stack([np.asarray(cv2.dilate((mask > 127).astype(np.uint8) * 255, kernel), np.uint8) for mask in person])


def _resized(frames: U8, width: int, height: int) -> U8:
    """Frames (T, H, W, 3), or masks (T, H, W), at another size."""
    high, wide = frames.shape[1:3]
    if (wide, high) == (width, height):
        return frames
    method = cv2.INTER_AREA if width < wide else cv2.INTER_CUBIC
    return np.stack([np.asarray(cv2.resize(frame, (width, height), interpolation=method), np.uint8) for frame in frames])


def _seed(seed: int) -> int:
    """A seed for torch, which takes 64 bits and no more."""
    return seed if seed < 1 << 63 else int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:7], "little")
