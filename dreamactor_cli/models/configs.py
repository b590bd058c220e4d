"""Sizes of models as files: ``configs/*.json``, or a file of one's own. Nothing here imports torch.

A config holds the arguments of the four parts: the transformer, the video VAE, the pose encoder and the face motion encoder.

- ``debug``: runs and learns on a CPU in seconds;
- ``starter``: what a CPU can train at 64 px in two hours;
- ``starter-gpu``: the same for an hour on a GPU;
- ``1.3b``, ``14b``: Wan 2.1's sizes and its VAE, to be filled with its weights (`convert.load_wan`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dreamactor_cli.errors import UnreadableInput, UsageError

_FOLDER = Path(__file__).with_name("configs")
_WAN_LATENTS = 16  # channels of Wan's VAE, where a config does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Arguments of the parts; what is left out is the part's default.

    Attributes:
        transformer: of `transformer.DreamActorTransformer3DModel`.
        vae: of diffusers' ``AutoencoderKLWan``, or with ``_class_name`` of `patch_vae.PatchVAE`.
        pose_encoder: of `pose_encoder.PoseEncoder`.
        face_motion: of `face_motion.FaceMotionEncoder`.
    """

    transformer: dict[str, Any]
    vae: dict[str, Any]
    pose_encoder: dict[str, Any]
    face_motion: dict[str, Any]


def config_names() -> tuple[str, ...]:
    """The configs that ship with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def load_config(name: str | Path) -> ModelConfig:
    """A config by its name, or a file.

    Raises:
        UsageError: there is no config of that name.
        UnreadableInput: the file is no config, or its parts do not go together.
    """
    shipped = _FOLDER / f"{name}.json"
    path = shipped if str(name) in config_names() else Path(name)
    try:
        read = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no model config {str(name)!r}", f"take one of {', '.join(config_names())}, or a file"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableInput(f"{path} is not a model config: {error!s:.200}", "write it like those of the package") from error
    wanted = {field.name for field in fields(ModelConfig)}
    if not isinstance(read, dict) or set(read) != wanted or not all(isinstance(part, dict) for part in read.values()):
        raise UnreadableInput(f"{path} does not hold the parts {', '.join(sorted(wanted))}", "write it like those of the package")
    config = ModelConfig(**read)
    _check_widths(config, path)
    return config


def _check_widths(config: ModelConfig, path: Path) -> None:
    """What one part gives, another takes."""
    transformer = config.transformer
    for name, gives, takes in (
        ("latent channels", config.vae.get("z_dim", _WAN_LATENTS), transformer.get("in_channels")),
        ("pose channels", config.pose_encoder.get("out_channels"), transformer.get("pose_channels")),
        ("width of motion tokens", config.face_motion.get("motion_dim"), transformer.get("motion_dim")),
    ):
        if gives != takes:
            raise UnreadableInput(f"{path}: the transformer takes {takes} {name} and gets {gives}", "make them equal")
