"""A diffusion model of the debug size with random weights in every part, so that nothing it is told is without effect."""

from __future__ import annotations

import torch

from dreamactor_cli.models.configs import load_config
from dreamactor_cli.models.face_motion import FaceMotionEncoder
from dreamactor_cli.models.pose_encoder import PoseEncoder
from dreamactor_cli.models.transformer import DreamActorTransformer3DModel
from dreamactor_cli.models.video_vae import make_vae
from dreamactor_cli.models.weights_folder import Models


def debug_models(seed: int = 0, **changed: object) -> Models:
    """The same for the same seed; ``changed`` are parameters of the transformer."""
    config = load_config("debug")
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    transformer = DreamActorTransformer3DModel(**{**config.transformer, **changed})
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.08)
    models = Models(
        transformer=transformer, vae=make_vae(config.vae), pose_encoder=PoseEncoder(**config.pose_encoder),
        face_motion=FaceMotionEncoder(**config.face_motion),
    )  # fmt: skip
    torch.set_rng_state(state)
    for model in (models.transformer, models.vae, models.pose_encoder, models.face_motion):
        model.eval().requires_grad_(False)
    return models
