from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from safetensors.torch import load_file, save_file
from torch import Tensor

from dreamactor_cli.errors import MissingRequirement, UnreadableInput
from dreamactor_cli.models.convert import from_wan, layout_of, load_wan, to_wan
from dreamactor_cli.models.transformer import DreamActorTransformer3DModel

SIZES = {
    "num_attention_heads": 2, "attention_head_dim": 24, "in_channels": 16, "out_channels": 16, "text_dim": 10, "freq_dim": 32,
    "ffn_dim": 64, "num_layers": 2,
}  # fmt: skip
ADDED = {"pose_channels": 4, "motion_dim": 6}


def wan(**more: object) -> WanTransformer3DModel:
    torch.manual_seed(0)
    return WanTransformer3DModel(patch_size=(1, 2, 2), **{**SIZES, **more}).eval()


def answers(theirs: WanTransformer3DModel, ours: DreamActorTransformer3DModel) -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(1)
    latent, text = torch.randn(1, 16, 2, 4, 4, generator=made), torch.randn(1, 5, 10, generator=made)
    time = torch.tensor([300.0])
    ours = copy.deepcopy(ours)  # out of the mapped file, at whose odd addresses some processors round otherwise
    with torch.no_grad():
        return theirs(latent, time, text).sample, ours(latent, time, encoder_hidden_states=text).sample


def original_folder(folder: Path) -> tuple[Path, WanTransformer3DModel]:
    """Weights as the Wan team ships them."""
    model = wan()
    save_file(to_wan(model.state_dict(), "original"), folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text(json.dumps({"dim": 48, "num_heads": 2, "num_layers": 2, "model_type": "t2v"}))
    return folder, model


def test_there_and_back_is_the_same() -> None:
    state = wan().state_dict()
    assert from_wan(to_wan(state, "diffusers")).keys() == state.keys()
    original = to_wan(state, "original")
    assert layout_of(original) == "original"
    assert layout_of(state) == "diffusers"
    back = from_wan(original)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())


def test_original_names_are_those_that_diffusers_reads() -> None:
    original = to_wan(wan().state_dict(), "original")
    theirs = convert_wan_transformer_to_diffusers(dict(original))
    ours = from_wan(original)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert {"blocks.1.self_attn.o.weight", "blocks.0.norm3.bias", "head.modulation", "time_projection.1.bias"} <= original.keys()


def test_what_is_added_does_not_leave() -> None:
    ours = DreamActorTransformer3DModel(**SIZES, **ADDED)
    assert to_wan(ours.state_dict(), "diffusers").keys() == wan().state_dict().keys()
    assert layout_of(to_wan(ours.state_dict(), "original")) == "original"


def test_both_layouts_load_and_answer_as_wan(tmp_path: Path) -> None:
    folder, model = original_folder(tmp_path)
    theirs, ours = answers(model, load_wan(folder, text=True, **ADDED))
    assert torch.equal(ours, theirs)

    sharded = tmp_path / "repository"
    model.save_pretrained(sharded / "transformer", max_shard_size="100KB")
    assert len(list(sharded.rglob("*.safetensors"))) > 2
    theirs, ours = answers(model, load_wan(sharded, text=True, **ADDED))
    assert torch.equal(ours, theirs)

    named = tmp_path / "comfy.safetensors"
    prefixed = to_wan(model.state_dict(), "original").items()
    save_file({f"model.diffusion_model.{name}": tensor for name, tensor in prefixed}, named)
    (tmp_path / "config.json").write_text(json.dumps({"num_heads": 2}))
    assert torch.equal(answers(model, load_wan(named, text=True, **ADDED))[1], theirs)


def test_the_text_stays_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    folder, _ = original_folder(tmp_path)
    model = load_wan(folder, **ADDED, condition_heads=2)
    assert model.config.text_dim is None
    assert not any("attn2" in name or "text_embedder" in name for name, _ in model.named_parameters())
    assert model.blocks[0].attn_face.heads == 2


def test_image_to_video_weights_give_what_has_a_place(tmp_path: Path) -> None:
    model = wan(in_channels=36, image_dim=8, added_kv_proj_dim=48)
    model.save_pretrained(tmp_path)
    ours = load_wan(tmp_path, text=True, **ADDED)
    assert torch.equal(ours.patch_embedding.weight, model.patch_embedding.weight[:, :16])
    assert torch.equal(ours.blocks[1].attn2.to_k.weight, model.blocks[1].attn2.to_k.weight)


def test_added_parts_begin_as_in_a_new_model_and_learn(tmp_path: Path) -> None:
    folder, _ = original_folder(tmp_path)
    model = load_wan(folder, dtype=torch.bfloat16, **ADDED)
    assert not any(parameter.is_meta for parameter in model.parameters())
    assert model.blocks[0].attn_face.to_q.weight.dtype == model.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
    assert model.blocks[0].scale_shift_table.dtype == model.blocks[0].norm_face.weight.dtype == torch.float32
    assert model.blocks[0].attn_face.to_q.weight.std() > 0.01
    assert model.blocks[0].attn_face.norm_q.weight.eq(1).all()
    assert not torch.equal(model.blocks[0].attn_face.to_q.weight, model.blocks[1].attn_face.to_q.weight)
    assert model.blocks[1].attn_reference.to_out[0].weight.abs().max() == model.pose_embedding.weight.abs().max() == 0


def test_damage_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingRequirement, match="no weights"):
        load_wan(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(MissingRequirement, match="pickle"):
        load_wan(tmp_path)
    folder, model = original_folder(tmp_path)
    path = folder / "diffusion_pytorch_model.safetensors"
    whole = path.read_bytes()

    path.write_bytes(whole[:-100])
    with pytest.raises(UnreadableInput, match="damaged"):
        load_wan(folder)
    state = to_wan(model.state_dict(), "original")
    save_file({name: tensor for name, tensor in state.items() if name != "blocks.1.ffn.2.bias"}, path)
    with pytest.raises(UnreadableInput, match=r"ffn\.net\.2\.bias is missing"):
        load_wan(folder)
    save_file({**state, "blocks.0.ffn.2.bias": torch.zeros(3)}, path)
    with pytest.raises(UnreadableInput, match=r"shape \(3,\)"):
        load_wan(folder)
    save_file({**state, "blocks.0.adapter.weight": torch.zeros(3)}, path)
    with pytest.raises(UnreadableInput, match="adapter"):
        load_wan(folder)
    save_file({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(UnreadableInput, match="no weights of a Wan"):
        load_wan(folder)


def test_a_lost_shard_is_told(tmp_path: Path) -> None:
    wan().save_pretrained(tmp_path, max_shard_size="100KB")
    lost = sorted(tmp_path.glob("*.safetensors"))[1]
    kept = load_file(lost)
    lost.unlink()
    with pytest.raises(MissingRequirement, match=lost.name):
        load_wan(tmp_path)
    save_file(kept, lost)
    next(tmp_path.glob("*.index.json")).write_text("{}")
    with pytest.raises(UnreadableInput, match="index of shards"):
        load_wan(tmp_path)


def test_a_width_that_does_not_fall_into_heads_is_told(tmp_path: Path) -> None:
    folder, _ = original_folder(tmp_path)
    (folder / "config.json").write_text(json.dumps({"num_heads": 5}))
    with pytest.raises(UnreadableInput, match="5 heads"):
        load_wan(folder)
    (folder / "config.json").write_text("[")
    with pytest.raises(UnreadableInput, match=r"config\.json"):
        load_wan(folder)
