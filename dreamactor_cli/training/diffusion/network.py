"""What is trained: transformer, pose encoder and face motion encoder as one module whose forward is the loss."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from dreamactor_cli.models.face_motion import FaceMotionEncoder, token_frames
from dreamactor_cli.models.guidance import drop_motion, drop_reference
from dreamactor_cli.models.pose_encoder import RGB, PoseEncoder
from dreamactor_cli.models.sampling import TIME
from dreamactor_cli.models.transformer import DreamActorTransformer3DModel


class Noised(NamedTuple):
    """A batch on its way from noise to clip.

    Attributes:
        latents: (B, C, F, H, W), what the model sees.
        times: (B, F), 0..1; 0 where a segment is opened by a clean latent.
        target: (B, C, F, H, W), the velocity.
        counted: (B, 1, F, 1, 1), 0 where nothing is to be said: the clean latent.
    """

    latents: Tensor
    times: Tensor
    target: Tensor
    counted: Tensor


def add_noise(latents: Tensor, noise: Tensor, sigma: Tensor, opened: Tensor, opening: Tensor, drift: Tensor) -> Noised:
    """Flow matching (Lipman et al. 2023): a straight line between clip and noise.

    Args:
        latents, noise: (B, C, F, H, W).
        sigma: (B,), 0 is the clip, 1 the noise.
        opened: (B,) bool, whether the first latent is given.
        opening: (B,), noise that such a latent is given with nevertheless: what a model drew itself is never quite clean, and
            its faults would grow from segment to segment.
        drift: (B, C), by which all cells of such a latent are off alike.
    """
    times = sigma[:, None].repeat(1, latents.shape[2])
    times[:, 0] = times[:, 0].masked_fill(opened, 0)
    at = times[:, None, :, None, None].clone()
    at[:, :, 0] = torch.where(opened, opening, sigma)[:, None, None, None]
    counted = torch.ones_like(at)
    counted[:, :, 0] = (~opened).to(at)[:, None, None, None]
    off = torch.where(opened[:, None], drift, 0)[:, :, None, None, None]
    begun = torch.cat([latents[:, :, :1] + off, latents[:, :, 1:]], 2)
    return Noised((1 - at) * begun + at * noise, times, noise - latents, counted)


class DiffusionNetwork(nn.Module):
    """The parts that learn.

    Args:
        transformer, pose_encoder, face_motion: are trained, as far as their parameters ask for gradients.
        with_face: whether the face is given; in the paper's first stage it is not.
        channel_weights: (C,), how much the channels of the latent count; None: alike.
    """

    def __init__(
        self, transformer: DreamActorTransformer3DModel, pose_encoder: PoseEncoder, face_motion: FaceMotionEncoder, *,
        with_face: bool = True, channel_weights: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.transformer, self.pose_encoder, self.face_motion = transformer, pose_encoder, face_motion
        self.with_face = with_face
        self.channel_weights = None if channel_weights is None else channel_weights[:, None, None, None]

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            batch: of `batches.Batches`: ``latents`` and ``noise`` (B, C, F, H, W), ``weights`` (B, F, H, W), ``sigma`` and
                ``opening`` (B,), ``drift`` (B, C), ``opened``, ``no_reference``, ``no_motion`` (B,) bool, ``poses``
                (B, 4F-3, h, w, 6) uint8, ``face`` (B, 4F-3, 56), ``references`` (B, N, C, H, W), ``reference_poses``
                (B, N, h, w, 6) uint8.

        Returns:
            ``loss``, the squared error of what the model predicts (velocity or clean latent) weighted by ``weights``, and
            ``plain``, the same unweighted; (B,).
        """
        noised = add_noise(batch["latents"], batch["noise"], batch["sigma"], batch["opened"], batch["opening"], batch["drift"])
        error = (self.velocity(batch, noised).float() - noised.target).square()
        if self.transformer.config.predicts == "clean":
            error = error * noised.times[:, None, :, None, None].square()
        if self.channel_weights is not None:
            error = error * self.channel_weights.to(error)
        each = (1, 2, 3, 4)
        weights = batch["weights"][:, None] * noised.counted
        counted = noised.counted.expand_as(weights)
        return {
            "loss": (error * weights).sum(each) / (weights.sum(each) * error.shape[1]),
            "plain": (error * counted).sum(each) / (counted.sum(each) * error.shape[1]),
        }

    def velocity(self, batch: dict[str, Tensor], noised: Noised) -> Tensor:
        """What the transformer answers, (B, C, F, H, W)."""
        poses = self._poses(batch["poses"])
        count = batch["references"].shape[1]
        reference_poses = self._poses(batch["reference_poses"].flatten(0, 1)[:, None])[:, :, 0].unflatten(0, (-1, count))
        frames = token_frames(batch["face"].shape[1], poses.device)
        poses, motion_frames = drop_motion(poses, frames, batch["no_motion"])
        tokens = self.face_motion(face=batch["face"]) if self.with_face else None
        (sample,) = self.transformer(
            noised.latents, noised.times * TIME, pose_states=poses, motion_tokens=tokens,
            motion_frames=motion_frames if self.with_face else None,
            reference_states=drop_reference(batch["references"], batch["no_reference"]),
            reference_pose_states=drop_reference(reference_poses, batch["no_reference"]), return_dict=False,
        )  # fmt: skip
        return cast(Tensor, sample)

    def _poses(self, pictures: Tensor) -> Tensor:
        """Drawn poses (B, T, h, w, 6) uint8 as pose latents (B, Cp, F, H, W)."""
        if not self.with_face:
            pictures = pictures[..., :RGB]
        return cast(Tensor, self.pose_encoder(pictures.permute(0, 4, 1, 2, 3).float() / 127.5 - 1))
