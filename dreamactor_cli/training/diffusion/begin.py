"""What a training begins with: random weights, weights of ours, or Wan's."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import cast

import torch
from diffusers import AutoencoderKLWan

from dreamactor_cli.errors import MissingRequirement, UnreadableInput, UsageError
from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.configs import ModelConfig
from dreamactor_cli.models.convert import load_wan
from dreamactor_cli.models.face_motion import FaceMotionEncoder
from dreamactor_cli.models.patch_vae import vae_class
from dreamactor_cli.models.pose_encoder import PoseEncoder
from dreamactor_cli.models.transformer import DreamActorTransformer3DModel
from dreamactor_cli.models.weights_folder import Models


def from_nothing(config: ModelConfig, vae: AutoencoderKLWan, seed: int) -> tuple[Models, str]:
    """Random weights around a VAE, and what identifies them."""
    torch.manual_seed(seed)
    transformer = DreamActorTransformer3DModel(**config.transformer)
    transformer.initialise()
    pose_encoder, face_motion = PoseEncoder(**config.pose_encoder), FaceMotionEncoder(**config.face_motion)
    face_motion.initialise()
    models = Models(transformer=transformer, vae=vae, pose_encoder=pose_encoder, face_motion=face_motion)
    return models, hashlib.sha256(f"nothing/{config}/{seed}".encode()).hexdigest()


def from_weights(folder: Path, config: ModelConfig) -> tuple[Models, str]:
    """Weights of ours, such as those of an earlier stage, and what identifies them.

    Raises:
        MissingRequirement, UnreadableInput: see `weights_folder.load`.
        UsageError: they are of another config.
    """
    models, _ = weights_folder.load(folder)
    for name, wanted in config.transformer.items():
        have = models.transformer.config[name]
        if (list(have) if isinstance(have, tuple) else have) != wanted:
            raise UsageError(f"{folder} is of another config: {name} is {have} and not {wanted}", "name the right --config")
    return models, weights_folder.sha256(folder)


def from_wan(folder: Path, config: ModelConfig, seed: int) -> tuple[Models, str]:
    """Wan's transformer and VAE, with what is added to them at its beginning, and what identifies them.

    Args:
        folder: with ``transformer`` and ``vae``, as diffusers keeps Wan 2.1.
        config: of what is added.
        seed: likewise.

    Raises:
        MissingRequirement, UnreadableInput: see `convert.load_wan`.
    """
    torch.manual_seed(seed)
    added = {name: config.transformer[name] for name in ("pose_channels", "motion_dim")}
    transformer = load_wan(folder, text=False, **added)
    pose_encoder, face_motion = PoseEncoder(**config.pose_encoder), FaceMotionEncoder(**config.face_motion)
    face_motion.initialise()
    models = Models(
        transformer=transformer, vae=load_vae(folder / "vae"), pose_encoder=pose_encoder, face_motion=face_motion
    )  # fmt: skip
    sizes = sorted((path.name, path.stat().st_size) for path in folder.rglob("*.safetensors"))
    return models, hashlib.sha256(f"wan/{config}/{seed}/{sizes}".encode()).hexdigest()


def load_vae(folder: Path) -> AutoencoderKLWan:
    """A VAE in the layout of diffusers: of ``dreamactor train vae``, or the folder ``vae`` of Wan's weights.

    Raises:
        MissingRequirement: there is none.
        UnreadableInput: it is damaged.
    """
    if not (folder / "config.json").is_file():
        raise MissingRequirement(f"{folder} holds no VAE", "make one with: dreamactor train vae -o DIR, and name DIR/vae")
    try:
        made = vae_class(AutoencoderKLWan.load_config(folder))
        vae = made.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UnreadableInput(f"{folder} holds no usable VAE: {error!s:.200}", "make it again: dreamactor train vae") from error
    return cast(AutoencoderKLWan, vae.eval().requires_grad_(False))
