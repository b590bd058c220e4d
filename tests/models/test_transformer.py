from __future__ import annotations

import copy

import pytest
import torch
from diffusers import FirstBlockCacheConfig, MagCacheConfig, TaylorSeerCacheConfig, WanTransformer3DModel
from torch import Tensor

from dreamactor_cli.models.transformer import DreamActorTransformer3DModel

SIZES = {
    "num_attention_heads": 4, "attention_head_dim": 24, "in_channels": 4, "out_channels": 4, "freq_dim": 32, "ffn_dim": 64,
    "num_layers": 3,
}  # fmt: skip
TEXT_DIM = 10
MOTION_FRAMES = torch.tensor([0, 1, 1, 1, 1, 2, 2, 2, 2])


def make(text_dim: int | None = None, *, awake: bool = True, **more: object) -> DreamActorTransformer3DModel:
    """A small model; awake: nothing in it is zero any more."""
    torch.manual_seed(1)
    model = DreamActorTransformer3DModel(**{**SIZES, "pose_channels": 5, "motion_dim": 7, "text_dim": text_dim, **more}).eval()
    if awake:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return model


def inputs(batch: int = 2, *, height: int = 8, width: int = 6) -> dict[str, Tensor]:
    """Three latent frames, their pose and their motion."""
    made = torch.Generator().manual_seed(2)
    return {
        "hidden_states": torch.randn(batch, 4, 3, height, width, generator=made),
        "timestep": torch.tensor([900.0, 20.0])[:batch],
        "pose_states": torch.randn(batch, 5, 3, height, width, generator=made),
        "motion_tokens": torch.randn(batch, len(MOTION_FRAMES), 7, generator=made),
        "motion_frames": MOTION_FRAMES,
    }


def references(batch: int = 2, count: int = 2, *, height: int = 4, width: int = 8) -> Tensor:
    return torch.randn(batch, count, 4, height, width, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def answer(model: DreamActorTransformer3DModel, **arguments: object) -> Tensor:
    return model(**arguments).sample


def furthest(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


# --- Wan


@pytest.fixture
def wan() -> WanTransformer3DModel:
    torch.manual_seed(0)
    return WanTransformer3DModel(patch_size=(1, 2, 2), text_dim=TEXT_DIM, **SIZES).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_with_the_weights_of_wan_its_output_to_the_bit(wan: WanTransformer3DModel, dtype: torch.dtype) -> None:
    model = make(TEXT_DIM, awake=False)
    assert model.load_state_dict(wan.state_dict(), strict=False).unexpected_keys == []
    wan, model = wan.to(dtype), model.to(dtype)
    given = {name: x if x.dtype == torch.int64 else x.to(dtype) for name, x in inputs().items()}
    text = torch.randn(2, 5, TEXT_DIM, dtype=dtype)

    theirs = wan(given["hidden_states"], given["timestep"], text).sample
    assert torch.equal(answer(model, **given, encoder_hidden_states=text), theirs)

    of_frames = torch.tensor([[0, 900, 900], [0, 20, 300]], dtype=dtype)
    theirs = wan(given["hidden_states"], of_frames.repeat_interleave(4 * 3, dim=1), text).sample
    assert torch.equal(answer(model, **{**given, "timestep": of_frames}, encoder_hidden_states=text), theirs)


def test_references_are_seen_by_the_attention_of_wan_before_any_training(wan: WanTransformer3DModel) -> None:
    model = make(TEXT_DIM, awake=False)
    model.load_state_dict(wan.state_dict(), strict=False)
    model.requires_grad_(False)
    reference = references().requires_grad_()
    model(**inputs(), reference_states=reference).sample.square().mean().backward()
    assert reference.grad is not None
    assert reference.grad.abs().max() > 0


def test_each_added_part_learns_from_the_first_step(wan: WanTransformer3DModel) -> None:
    model = make(TEXT_DIM, awake=False)
    model.load_state_dict(wan.state_dict(), strict=False)
    model(**inputs(), reference_states=references()).sample.square().mean().backward()
    added = ("attn_face.to_out.0.weight", "attn_reference.to_out.0.weight")
    gradients = [p.grad.abs().max() for name, p in model.named_parameters() if name.endswith(added)]
    assert len(gradients) == 2 * SIZES["num_layers"]
    assert min(gradients) > 0
    assert model.pose_embedding.weight.grad.abs().max() > 0
    assert model.reference_embedding.grad.abs().max() > 0


def test_text_is_optional(wan: WanTransformer3DModel) -> None:
    with_text, without = make(TEXT_DIM), make(None)
    text = torch.randn(2, 5, TEXT_DIM)
    assert furthest(answer(with_text, **inputs(), encoder_hidden_states=text), answer(with_text, **inputs())) > 1e-3
    without.load_state_dict(with_text.state_dict(), strict=False)
    assert torch.equal(answer(with_text, **inputs()), answer(without, **inputs()))
    assert not any("attn2" in name or "text_embedder" in name for name in without.state_dict())


# --- What is looked at


def test_pose_motion_and_references_count() -> None:
    model, given = make(), inputs()
    full = answer(model, **given, reference_states=references())
    for name in ("pose_states", "motion_tokens"):
        other = answer(model, **{**given, name: given[name] + 1}, reference_states=references())
        assert furthest(full, other) > 1e-3
    assert furthest(full, answer(model, **given, reference_states=references() + 1)) > 1e-3
    posed = answer(model, **given, reference_states=references(), reference_pose_states=torch.ones(2, 2, 5, 4, 8))
    assert furthest(full, posed) > 1e-3


def test_face_attention_is_of_the_own_frame_and_in_order() -> None:
    model = make(num_layers=1)
    model.blocks[0].attn1.to_out[0].weight.data.zero_()  # else frames talk to each other
    given = inputs()
    changed = given["motion_tokens"].clone()
    changed[:, MOTION_FRAMES == 1] += 1
    before, after = answer(model, **given), answer(model, **{**given, "motion_tokens": changed})
    moved = (before - after).abs().amax(dim=(0, 1, 3, 4))
    assert moved[1] > 1e-3
    assert moved[0] == moved[2] == 0

    swapped = given["motion_tokens"][:, [0, 2, 1, 3, 4, 5, 6, 7, 8]]
    assert furthest(before, answer(model, **{**given, "motion_tokens": swapped})) > 1e-4


def test_motion_that_is_left_out_is_no_motion() -> None:
    model, given = make(), inputs()
    nobody = {**given, "motion_frames": torch.full((2, 9), -1)}
    without = {**given, "motion_tokens": None, "motion_frames": None}
    assert torch.equal(answer(model, **nobody), answer(model, **without))

    first_only = torch.stack([MOTION_FRAMES, torch.full((9,), -1)])
    mixed = answer(model, **{**given, "motion_frames": first_only})
    assert furthest(mixed[:1], answer(model, **given)[:1]) < 1e-6
    assert furthest(mixed[1:], answer(model, **without)[1:]) < 1e-6


def test_a_frame_of_its_own_time() -> None:
    """A clean first frame is told by the time of frames; the same time everywhere is the plain call."""
    model, given = make(), inputs()
    plain = answer(model, **given)
    everywhere = answer(model, **{**given, "timestep": given["timestep"][:, None].expand(2, 3)})
    assert furthest(plain, everywhere) < 1e-6
    clean = given["timestep"][:, None].repeat(1, 3)
    clean[:, 0] = 0
    assert furthest(plain, answer(model, **{**given, "timestep": clean})) > 1e-3


def test_a_clean_latent_is_told_as_the_velocity_towards_it() -> None:
    """Both kinds have the same weights. One step of Euler from any level then lands on what the last layer said."""
    given = inputs()
    given["timestep"] = torch.tensor([[900.0, 900.0, 900.0], [400.0, 400.0, 400.0]])
    clean = answer(make(), **given)
    level = given["timestep"][:, None, :, None, None] / 1000
    landed = given["hidden_states"] - level * answer(make(predicts="clean"), **given)
    assert furthest(landed, clean) < 1e-5


def test_almost_without_noise_a_velocity_stays_finite() -> None:
    given = inputs()
    given["timestep"] = torch.tensor([0.0, 1.0])
    assert answer(make(predicts="clean"), **given).abs().max() < 1000


# --- References


@pytest.mark.parametrize("count", [1, 3])
def test_cached_is_uncached(count: int) -> None:
    model, given, reference = make(), inputs(), references(count=count)
    with torch.no_grad():
        cache = model.encode_references(reference)
    for timestep in (1000.0, 250.0):
        given["timestep"] = torch.full((2,), timestep)
        assert torch.equal(answer(model, **given, reference_cache=cache), answer(model, **given, reference_states=reference))
    nothing = {**given, "motion_tokens": None, "motion_frames": None}
    assert torch.equal(answer(model, **nothing, reference_cache=cache), answer(model, **nothing, reference_states=reference))


def test_one_cache_serves_a_batch() -> None:
    """In float64: a batch of one and of two are sums of another order, which float32 shows on some processors."""
    given = {name: x.double() if x.is_floating_point() else x for name, x in inputs().items()}
    model, reference = make().double(), references(batch=1).double()
    given["hidden_states"] = given["hidden_states"][:1].repeat(2, 1, 1, 1, 1)
    with torch.no_grad():
        cache = model.encode_references(reference)
    both = answer(model, **given, reference_cache=cache)
    repeated = answer(model, **given, reference_states=reference.repeat(2, 1, 1, 1, 1))
    assert furthest(both, repeated) < 1e-6


def test_references_know_their_place() -> None:
    """Each of several has its own position, and they are seen beside each other."""
    model, given, reference = make(), inputs(), references()
    straight = answer(model, **given, reference_states=reference)
    assert furthest(straight, answer(model, **given, reference_states=reference.flip(1))) > 1e-4
    assert furthest(straight, answer(model, **given, reference_states=reference[:, :1])) > 1e-4


def test_a_reference_stands_before_the_first_frame() -> None:
    rope = make().rope
    cos, sin, frames = rope(2, 1, 1, before=True)
    forward_cos, forward_sin, _ = rope(3, 1, 1)
    time = rope.t_dim // 2
    assert frames.tolist() == [[-1, -2]]
    assert torch.equal(cos[0, :, 0, :time], forward_cos[0, 1:, 0, :time])
    assert torch.equal(sin[0, :, 0, :time], -forward_sin[0, 1:, 0, :time])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reference_states": references(), "reference_cache": ()}, "not both"),
        ({"timestep": torch.zeros(2, 4)}, "4 frames were given for 3"),
        ({"motion_frames": None}, "motion_frames"),
        ({"motion_frames": MOTION_FRAMES[:4]}, "motion_frames"),
        ({"hidden_states": torch.zeros(2, 4, 3, 7, 6), "pose_states": None}, "6x7"),
    ],
)
def test_what_does_not_go_together_is_told(change: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        answer(make(), **{**inputs(), **change})
    with pytest.raises(ValueError, match="one latent frame"):
        make(patch_size=(2, 2, 2))


# --- What diffusers brings


class Steps:
    """Euler's method over a few steps, which is what a step cache is made for."""

    def __init__(self, model: DreamActorTransformer3DModel, steps: int = 12) -> None:
        self.model, self.steps, self.blocks_run = model, steps, 0
        model.blocks[1].ffn.register_forward_hook(self._count)

    def _count(self, *_: object) -> None:
        self.blocks_run += 1

    @torch.no_grad()
    def __call__(self) -> Tensor:
        given = inputs(1)
        cache = self.model.encode_references(references(1))
        self.blocks_run = 0
        for k in range(self.steps):
            given["timestep"] = torch.full((1,), 1000 * (1 - k / self.steps))
            with self.model.cache_context("full"):
                velocity = self.model(**given, reference_cache=cache).sample
            given["hidden_states"] = given["hidden_states"] - velocity / self.steps
        return given["hidden_states"]


@pytest.mark.parametrize(
    "config",
    [
        FirstBlockCacheConfig(threshold=0.3),
        MagCacheConfig(num_inference_steps=12, mag_ratios=[1.0] * 12, retention_ratio=0.3),
        TaylorSeerCacheConfig(cache_interval=2, disable_cache_before_step=3, use_lite_mode=True),
    ],
    ids=["first-block", "mag", "taylor-seer"],
)
def test_step_caches_save_steps_and_stay_close(config: object) -> None:
    model = make()
    steps = Steps(model)
    exact = steps()
    assert steps.blocks_run == 12
    model.enable_cache(config)
    first = steps()
    assert steps.blocks_run < 12
    assert torch.equal(steps(), first), "encode_references begins a new video"
    model.disable_cache()
    assert 0 < (first - exact).norm() / exact.norm() < 0.05
    assert torch.equal(steps(), exact)


def test_a_step_cache_asks_for_the_reference_cache() -> None:
    model = make()
    model.enable_cache(FirstBlockCacheConfig())
    with pytest.raises(ValueError, match="encode_references"):
        answer(model, **inputs(), reference_states=references())


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    def gradients(model: DreamActorTransformer3DModel) -> list[Tensor]:
        model.zero_grad()
        model(**inputs(), reference_states=references()).sample.square().mean().backward()
        return [p.grad.clone() for p in model.parameters()]

    model = make()
    plain = gradients(model)
    model.enable_gradient_checkpointing()
    assert all(torch.equal(a, b) for a, b in zip(plain, gradients(model)))


def test_saved_and_loaded_again(tmp_path) -> None:
    model = make(TEXT_DIM)
    model.save_pretrained(tmp_path, max_shard_size="200KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded, about = DreamActorTransformer3DModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(about.values())
    given = {**inputs(), "reference_states": references()}
    loaded = copy.deepcopy(loaded)  # out of the mapped file, at whose odd addresses some processors round otherwise
    assert torch.equal(answer(loaded, **given), answer(model, **given))

    half = DreamActorTransformer3DModel.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    assert half.blocks[0].attn_face.to_q.weight.dtype == torch.bfloat16
    assert half.blocks[0].scale_shift_table.dtype == torch.float32


def test_lora_trains_alone_and_is_saved(tmp_path) -> None:
    from peft import LoraConfig

    model = make()
    before = answer(model, **inputs(), reference_states=references())
    model.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"]))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora" in name for name in trained)
    assert any("attn_face" in name for name in trained)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora" in name:
                parameter.fill_(0.1)
    moved = answer(model, **inputs(), reference_states=references())
    assert furthest(before, moved) > 1e-3
    model.save_lora_adapter(tmp_path)
    fresh = make()
    fresh.load_lora_adapter(tmp_path, prefix=None, use_safetensors=True, weight_name="pytorch_lora_weights.safetensors")
    assert furthest(answer(fresh, **inputs(), reference_states=references()), moved) < 1e-6


def test_layerwise_casting_stays_close() -> None:
    model = make()
    exact = answer(model, **inputs(), reference_states=references())
    model.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    assert model.blocks[0].attn1.to_q.weight.dtype == torch.float8_e4m3fn
    assert model.patch_embedding.weight.dtype == torch.float32
    assert (answer(model, **inputs(), reference_states=references()) - exact).norm() / exact.norm() < 0.1


@pytest.mark.parametrize("offload_type", ["block_level", "leaf_level"])
def test_group_offload_gives_the_same(offload_type: str) -> None:
    model = make()
    exact = answer(model, **inputs(), reference_states=references())
    many = {"num_blocks_per_group": 1} if offload_type == "block_level" else {}
    model.enable_group_offload(onload_device=torch.device("cpu"), offload_type=offload_type, **many)
    assert torch.equal(answer(model, **inputs(), reference_states=references()), exact)


@pytest.mark.slow
def test_compiled_blocks_are_the_eager_ones() -> None:
    """One graph a block, as noise and as reference. The C++ of inductor takes too long here: `bench/dit.py` compiles it."""
    model = make(num_layers=1)
    with torch.no_grad():
        cache = model.encode_references(references())
    exact = answer(model, **inputs(), reference_cache=cache)
    model.compile_repeated_blocks(fullgraph=True, backend="aot_eager")
    assert furthest(answer(model, **inputs(), reference_cache=cache), exact) < 1e-5
    assert furthest(answer(model, **inputs(), reference_states=references()), exact) < 1e-5


def test_from_nothing_everything_is_awake() -> None:
    model = make(awake=False)
    model.initialise()
    assert answer(model, **inputs(), reference_states=references()).abs().max() == 0
    torch.nn.init.normal_(model.proj_out.weight)
    full = answer(model, **inputs(), reference_states=references())
    assert 0.3 < full.std() / model.config.attention_head_dim**0.5 < 3 * model.config.num_attention_heads**0.5
    posed = answer(model, **{**inputs(), "pose_states": inputs()["pose_states"] * 2}, reference_states=references())
    assert furthest(full, posed) > 1e-2
    # The face attention is silent, and hears what it needs to learn to speak.
    out, *_ = model(**inputs(), reference_states=references(), return_dict=False)
    out.square().mean().backward()
    for block in model.blocks:
        assert block.attn_face.to_out[0].weight.abs().max() == 0
        assert block.attn_face.to_out[0].weight.grad.abs().max() > 1e-4
