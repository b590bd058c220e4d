"""A Wan-Animate so small that it draws on a CPU in moments, with random weights, saved to disk as the real one is."""

from __future__ import annotations

from pathlib import Path

FACE = 16  # px, of its face pictures
TEXT = 16  # channels of its prompt


def save_tiny(folder: Path) -> Path:
    """Write the weights, sharded as the real ones; deterministic."""
    import torch
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanAnimatePipeline, WanAnimateTransformer3DModel
    from safetensors.torch import save_file
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(0)
    transformer = WanAnimateTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=36, latent_channels=16, out_channels=16,
        text_dim=TEXT, freq_dim=32, ffn_dim=32, num_layers=2, image_dim=4, rope_max_seq_len=64,
        motion_encoder_channel_sizes={"4": 16, "8": 16, "16": 16}, motion_encoder_size=FACE, motion_style_dim=8, motion_dim=4,
        motion_encoder_dim=16, face_encoder_hidden_dim=16, face_encoder_num_heads=2, inject_face_latents_blocks=2,
    )  # fmt: skip
    with torch.no_grad():  # what is zero or constant when it is new would hide what depends on it
        for parameter in transformer.parameters():
            if parameter.ndim < 2 or not parameter.any():
                parameter.add_(0.1 * torch.randn_like(parameter))
    vae = AutoencoderKLWan(base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True])
    encoder = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=4, projection_dim=4, num_hidden_layers=2, num_attention_heads=2, image_size=4, intermediate_size=16,
            patch_size=1,
        )
    )  # fmt: skip
    transformer.save_pretrained(folder / "transformer", max_shard_size="60KB")
    vae.save_pretrained(folder / "vae")
    encoder.save_pretrained(folder / "image_encoder")
    CLIPImageProcessorPil(crop_size=4, size=4).save_pretrained(folder / "image_processor")
    UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=5.0
    ).save_pretrained(folder / "scheduler")
    WanAnimatePipeline(
        vae=None, text_encoder=None, tokenizer=None, image_encoder=None, image_processor=None, transformer=None, scheduler=None
    ).save_config(folder)
    embeds = {name: torch.randn(1, 8, TEXT) for name in ("prompt_embeds", "negative_prompt_embeds")}
    save_file(embeds, folder / "prompt_embeds.safetensors")
    return folder


def save_text_encoder(folder: Path) -> None:
    """Add a text encoder and its tokenizer to the folder."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

    torch.manual_seed(1)
    letters = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{letter: k + 3 for k, letter in enumerate("视频中的人在做动作色调艳丽静态")}}
    tokenizer = Tokenizer(WordLevel(letters, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Split("", "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder / "tokenizer")
    config = UMT5Config(vocab_size=len(letters), d_model=TEXT, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    UMT5EncoderModel(config).save_pretrained(folder / "text_encoder")
