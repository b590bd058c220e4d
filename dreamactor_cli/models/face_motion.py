"""The face motion encoder: what a face does -> one motion token a frame, for the transformer's face attention.

The paper encodes the driver's face crop with an identity-free network. A renderer of ours sees no pixel of the driver; what
crosses its seam is geometry. So there are three inputs, each with an encoder of its own into one shared space, and one head
that makes tokens of it:

- ``face``: 52 blendshapes and the gaze of both eyes, which know no identity by construction; the renderer's way;
- ``crop``: the paper's picture of the face, for training on videos and for weights that were trained so;
- ``speech``: the nine channels of articulation, which may come alone or beside ``face``.

What is given at the same time is summed in the shared space.
"""

from __future__ import annotations

from typing import cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from dreamactor_cli.models.conditions import FACE_CHANNELS, SPEECH_CHANNELS
from dreamactor_cli.models.timeline import latent_index

_SPREAD = 5.0  # of the first layer, as blendshapes are about a fifth of the numbers it expects


def token_frames(frames: int, device: torch.device | str | None = None) -> Tensor:
    """The latent frame of each token, (frames,) int64: what `motion_frames` of the transformer takes."""
    return torch.tensor(latent_index(frames), device=device)


class _CropEncoder(nn.Module):
    """Face crops (N, 3, S, S) in -1..1 -> (N, hidden), whatever S is."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after in (channels, 2 * channels, 4 * channels, 4 * channels):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(4, after), nn.SiLU()]
            before = after
        # A grid of 4 x 4 keeps where something moves; a mean over all of it would not.
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * before, hidden))

    def forward(self, crops: Tensor) -> Tensor:
        return cast(Tensor, self.layers(crops))


class FaceMotionEncoder(ModelMixin, ConfigMixin):
    """See the module's docstring.

    Args:
        motion_dim: width of a token, the transformer's ``motion_dim``.
        hidden: width of the shared space.
        crop_channels: of the first convolution over crops, a multiple of 4.
    """

    @register_to_config
    def __init__(
        self, *, motion_dim: int = 128, hidden: int = 256, crop_channels: int = 16, face_channels: int = FACE_CHANNELS,
        speech_channels: int = SPEECH_CHANNELS,
    ) -> None:  # fmt: skip
        super().__init__()
        self.face = nn.Sequential(nn.Linear(face_channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.crop = _CropEncoder(crop_channels, hidden)
        self.speech = nn.Sequential(nn.Linear(speech_channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.head = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, motion_dim), nn.LayerNorm(motion_dim)
        )

    def initialise(self) -> None:
        """Weights to train from nothing, with which tokens differ as much as faces do.

        Blendshapes are mostly near zero. With torch's own beginning all faces give nearly the same token, whose common part is
        all that the attention then learns from.
        """
        nn.init.normal_(self.face[0].weight, std=_SPREAD / self.face[0].in_features ** 0.5)
        nn.init.normal_(self.face[2].bias, std=0.1)

    def forward(self, face: Tensor | None = None, crop: Tensor | None = None, speech: Tensor | None = None) -> Tensor:
        """Encode; at least one input, T and B alike in all.

        Args:
            face: (B, T, 56), see `conditions.face_values`.
            crop: (B, T, 3, S, S) in -1..1.
            speech: (B, T, 9), columns `contracts.SPEECH_CHANNELS`.

        Returns:
            Tokens (B, T, motion_dim); their latent frames are `token_frames`.

        Raises:
            ValueError: nothing was given.
        """
        parts: list[Tensor] = []
        if face is not None:
            parts.append(self.face(face))
        if crop is not None:
            batch, frames = crop.shape[:2]
            parts.append(self.crop(crop.flatten(0, 1)).unflatten(0, (batch, frames)))
        if speech is not None:
            parts.append(self.speech(speech))
        if not parts:
            raise ValueError("face motion needs a face, a crop or speech")
        return cast(Tensor, self.head(sum(parts[1:], start=parts[0])))
