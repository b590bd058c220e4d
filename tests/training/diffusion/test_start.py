"""From a folder of videos and the weights of a Wan, both of them tiny, to weights of ours that draw."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.configs import load_config
from dreamactor_cli.training.diffusion.begin import from_wan
from dreamactor_cli.training.diffusion.start import Options, start_diffusion
from tests.conftest import FaceClip

CONFIG: dict[str, dict[str, Any]] = {
    "transformer": {
        "patch_size": [1, 2, 2], "num_attention_heads": 2, "attention_head_dim": 24, "in_channels": 16, "pose_channels": 8,
        "motion_dim": 16, "text_dim": None, "freq_dim": 32, "ffn_dim": 64, "num_layers": 2,
    },
    "vae": {},
    "pose_encoder": {"out_channels": 8, "channels": [8, 8, 16], "num_res_blocks": 1},
    "face_motion": {"motion_dim": 16, "hidden": 32, "crop_channels": 4},
}  # fmt: skip


@pytest.fixture
def wan(tmp_path: Path) -> Path:
    """Random weights in the layout in which diffusers keeps Wan 2.1."""
    torch.manual_seed(0)
    sizes = {
        name: value for name, value in CONFIG["transformer"].items() if name not in ("pose_channels", "motion_dim", "text_dim")
    }
    model = WanTransformer3DModel(**{**sizes, "patch_size": (1, 2, 2)}, out_channels=16, text_dim=10)
    model.save_pretrained(tmp_path / "wan" / "transformer")
    AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1).save_pretrained(tmp_path / "wan" / "vae")
    return tmp_path / "wan"


def test_what_is_added_to_wan_follows_from_the_seed(tmp_path: Path, wan: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    config = load_config(tmp_path / "config.json")
    (one, key), (same, again), (other, another) = (from_wan(wan, config, seed) for seed in (1, 1, 2))
    assert key == again != another
    for part in ("transformer", "pose_encoder", "face_motion"):
        ours = [
            torch.cat([value.flatten() for value in getattr(models, part).state_dict().values()]) for models in (one, same, other)
        ]
        assert torch.equal(ours[0], ours[1])
        assert not torch.equal(ours[0], ours[2])


@pytest.mark.slow
def test_own_videos_teach_what_was_wan(tmp_path: Path, wan: Path, face_clip: FaceClip) -> None:
    """What is no use is named and left out; another stage goes on from what was learned."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    videos = tmp_path / "videos"
    (videos / "more").mkdir(parents=True)
    (videos / "more" / "face.mp4").write_bytes(face_clip.path.read_bytes())
    (videos / "broken.mp4").write_bytes(face_clip.path.read_bytes()[:3000])
    options = Options(
        config=str(tmp_path / "config.json"), out=tmp_path / "run", cache=tmp_path / "cache", wan=wan, videos=videos, size=64,
        frames=9, steps=3, batch=2, device="cpu", workers=0, seed=5,
    )  # fmt: skip
    told: list[str] = []
    start_diffusion(options, told.append)
    assert any(line.startswith("broken.mp4 is left out: ") for line in told)
    # 38 frames without a cut: clips of 9 begin at every fourth.
    assert [line for line in told if line.startswith("face.mp4")] == ["face.mp4: 8 clips (2 of 2 videos)"]
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 3
    assert np.isfinite(losses).all()

    models, index = weights_folder.load(tmp_path / "run" / "weights")
    assert (index.frames, index.bodies) == (9, True)
    learned = models.transformer.state_dict()["blocks.0.ffn.net.0.proj.weight"]
    given = WanTransformer3DModel.from_pretrained(wan / "transformer").state_dict()["blocks.0.ffn.net.0.proj.weight"]
    assert 0 < (learned - given).abs().max() < 0.01  # it goes on from Wan

    further = replace(options, out=tmp_path / "further", wan=None, init=tmp_path / "run" / "weights", stage="face", steps=2)
    start_diffusion(further, told.append)
    on, _ = weights_folder.load(tmp_path / "further" / "weights")
    assert torch.equal(on.transformer.state_dict()["blocks.0.ffn.net.0.proj.weight"], learned)
    changed = on.face_motion.state_dict()
    assert any(not torch.equal(value, changed[name]) for name, value in models.face_motion.state_dict().items())
