from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import WanTransformer3DModel

from dreamactor_cli.errors import UnreadableInput, UsageError
from dreamactor_cli.models.configs import config_names, load_config
from dreamactor_cli.models.transformer import DreamActorTransformer3DModel


@pytest.mark.parametrize("name", ["1.3b", "14b"])
def test_the_large_configs_are_those_of_wan(name: str) -> None:
    """Shapes of Wan-AI/Wan2.1-T2V-1.3B-Diffusers and -14B-Diffusers, whose text is left out."""
    heads, ffn, layers, parameters = {"1.3b": (12, 8960, 30, 1_418_996_800), "14b": (40, 13824, 40, 14_288_491_584)}[name]
    with init_empty_weights():
        ours = DreamActorTransformer3DModel(**load_config(name).transformer | {"text_dim": 4096})
        theirs = WanTransformer3DModel(num_attention_heads=heads, ffn_dim=ffn, num_layers=layers, text_dim=4096)
    assert sum(p.numel() for p in theirs.parameters()) == parameters
    shapes = {key: tensor.shape for key, tensor in ours.state_dict().items()}
    assert all(shapes[key] == tensor.shape for key, tensor in theirs.state_dict().items())


@pytest.mark.parametrize("name", ["debug", "starter", "starter-gpu"])
def test_the_small_configs_make_models(name: str) -> None:
    config = load_config(name)
    model = DreamActorTransformer3DModel(**config.transformer)
    grid = (2, *(4 * side for side in model.config.patch_size[1:]))
    with torch.no_grad():
        out = model(
            torch.randn(1, model.config.in_channels, *grid), torch.tensor([500.0]),
            torch.randn(1, model.config.pose_channels, *grid), torch.randn(1, 5, model.config.motion_dim),
            torch.tensor([0, 1, 1, 1, 1]), torch.randn(1, 1, model.config.in_channels, *grid[1:]),
        ).sample  # fmt: skip
    assert out.shape == (1, model.config.in_channels, *grid)


def test_a_config_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    made = {"transformer": {"in_channels": 4, "pose_channels": 2, "motion_dim": 3}, "vae": {"z_dim": 4},
            "pose_encoder": {"out_channels": 2}, "face_motion": {"motion_dim": 3}}  # fmt: skip
    own.write_text(json.dumps(made))
    assert load_config(own).vae == {"z_dim": 4}
    own.write_text(json.dumps({**made, "vae": {"z_dim": 8}}))
    with pytest.raises(UnreadableInput, match="takes 4 latent channels and gets 8"):
        load_config(own)
    own.write_text(json.dumps({"transformer": {}}))
    with pytest.raises(UnreadableInput, match="parts"):
        load_config(own)
    own.write_text("{")
    with pytest.raises(UnreadableInput):
        load_config(own)
    with pytest.raises(UsageError, match=", ".join(config_names())):
        load_config("huge")
