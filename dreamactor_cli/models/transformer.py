"""The video diffusion transformer of DreamActor-M1 (arXiv 2504.01724, section 3), on the blocks of Wan 2.1.

A noised latent video goes through as tokens, one to N clean references through the same weights, and every block does::

    self-attention       over [noise, references]; references see references only
    (text attention)     Wan's own, where the model has it and a text is given
    face attention       noise to the motion tokens of its own frame
    reference attention  noise to the references of the same depth
    feed-forward

The first, second and last are Wan's with Wan's names, so its checkpoints load as they are; what is added ends in zeros. A
model with Wan's weights therefore gives Wan's output to the bit, whatever the pose and the motion are, as long as no
reference is given. A reference is not gated to nothing at that point: it is a still frame, clean (t = 0) and in front of the
clip, at distances that Wan's attention knows, and copying from frames is what that attention was trained for. A gate of
zeros in its way would keep the gradients from it at the start of a fine-tuning.

References see no noise, no motion and no text, so what a block needs of them is the same at every step and in every branch of
the guidance: `DreamActorTransformer3DModel.encode_references` computes it once.

Letters in shapes: B batch, F latent frames, H W height and width of the latent, C channels, N references, L tokens, D width,
M motion tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

import torch
from diffusers import CacheMixin, ConfigMixin, FirstBlockCacheConfig, MagCacheConfig, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models._modeling_parallel import ContextParallelInput, ContextParallelOutput
from diffusers.models.embeddings import PixArtAlphaTextProjection
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers.transformer_wan import WanTimeTextImageEmbedding
from torch import Tensor, nn

from dreamactor_cli.errors import UsageError
from dreamactor_cli.models.attention import FaceTokens, LayerReference, ReferenceCache, face_mask
from dreamactor_cli.models.blocks import DreamActorBlock, FrameRotaryPosEmbed, of_tokens
from dreamactor_cli.models.sampling import TIME

_SHARP = 2.0  # by which queries of the face attention begin larger: tokens then differ in whether they look at the face
_AWAKE = 0.5  # first gate of self-attention and feed-forward without Wan's weights; near zero they take long to say anything
_LEAST_NOISE = 0.05  # level below which the velocity of a clean latent that is a little off would be anything
MOTION_ORDER = 4  # pixel frames of a latent frame, each with its own motion token


class DreamActorTransformer3DModel(ModelMixin, ConfigMixin, PeftAdapterMixin, CacheMixin):
    """The transformer; see the module's docstring.

    Args:
        patch_size: (1, p, p).
        num_attention_heads: of the self-attention.
        attention_head_dim: D = heads * this.
        in_channels: C of the latent.
        out_channels: of the answer; None is C.
        pose_channels: Cp of the pose latent.
        motion_dim: width of the motion tokens.
        text_dim: width of the text's embedding; None: no text attention at all.
        freq_dim: of the time's sinusoids.
        ffn_dim: of the feed-forward.
        num_layers: blocks.
        condition_heads: heads of the face and reference attention; None is half of ``num_attention_heads``, at least one.
        cross_attn_norm: as in Wan.
        eps: of the norms.
        rope_max_seq_len: largest side of the grid of tokens.
        predicts: what leaves the last layer: ``velocity``, as in Wan, or ``clean``, the latent without noise, of which the
            velocity is then computed. A model whose tokens are hardly wider than what a patch holds would spend itself on
            carrying the noise from one end to the other, to be able to say a velocity (Li and He 2025, arXiv 2511.13720).
    """

    _supports_gradient_checkpointing = True
    _skip_layerwise_casting_patterns: ClassVar = ["patch_embedding", "pose_embedding", "condition_embedder", "norm"]
    _no_split_modules: ClassVar = ["DreamActorBlock"]
    _repeated_blocks: ClassVar = ["DreamActorBlock"]
    _keep_in_fp32_modules: ClassVar = [
        "time_embedder", "scale_shift_table", "norm1", "norm2", "norm3", "norm_face", "norm_reference",
    ]  # fmt: skip
    # References go through `rope` and the first block too, so that each rank encodes and keeps a share of them.
    _cp_plan: ClassVar = {
        "rope": {
            0: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
            1: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
            2: ContextParallelInput(split_dim=1, expected_dims=2, split_output=True),
        },
        "blocks.0": {"hidden_states": ContextParallelInput(split_dim=1, expected_dims=3, split_output=False)},
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 12,
        attention_head_dim: int = 128,
        in_channels: int = 16,
        out_channels: int | None = None,
        pose_channels: int = 16,
        motion_dim: int = 512,
        text_dim: int | None = None,
        freq_dim: int = 256,
        ffn_dim: int = 8960,
        num_layers: int = 30,
        condition_heads: int | None = None,
        cross_attn_norm: bool = True,
        eps: float = 1e-6,
        rope_max_seq_len: int = 1024,
        predicts: Literal["velocity", "clean"] = "velocity",  # noqa: ARG002 - read from the config
    ) -> None:
        super().__init__()
        if patch_size[0] != 1:
            raise ValueError(f"a patch holds one latent frame, not {patch_size[0]}: references are frames of their own")
        dim = num_attention_heads * attention_head_dim
        self.rope = FrameRotaryPosEmbed(attention_head_dim, patch_size, rope_max_seq_len)
        # Two convolutions added up are one over the concatenated channels, and Wan's keeps its shape.
        self.patch_embedding = nn.Conv3d(in_channels, dim, kernel_size=patch_size, stride=patch_size)
        self.pose_embedding = nn.Conv3d(pose_channels, dim, kernel_size=patch_size, stride=patch_size, bias=False)
        self.reference_embedding = nn.Parameter(torch.empty(1, 1, dim))
        self.motion_embedder = PixArtAlphaTextProjection(motion_dim, dim, act_fn="gelu_tanh")
        self.motion_order = nn.Parameter(torch.empty(MOTION_ORDER, dim))
        self.condition_embedder = WanTimeTextImageEmbedding(dim, freq_dim, dim * 6, text_dim or 1)
        if text_dim is None:
            self.condition_embedder.text_embedder = None
        heads = condition_heads or max(num_attention_heads // 2, 1)
        self.blocks = nn.ModuleList(
            DreamActorBlock(dim, ffn_dim, num_attention_heads, heads, text_dim is not None, cross_attn_norm, eps)
            for _ in range(num_layers)
        )
        self.norm_out = FP32LayerNorm(dim, eps, elementwise_affine=False)
        self.proj_out = nn.Linear(dim, (out_channels or in_channels) * math.prod(patch_size))
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, dim) / dim**0.5)
        self.gradient_checkpointing = False
        self.reset_added()

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        pose_states: Tensor | None = None,
        motion_tokens: Tensor | None = None,
        motion_frames: Tensor | None = None,
        reference_states: Tensor | None = None,
        reference_cache: ReferenceCache | None = None,
        encoder_hidden_states: Tensor | None = None,
        reference_pose_states: Tensor | None = None,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """The velocity of the flow.

        Args:
            hidden_states: (B, C, F, H, W) noised latent.
            timestep: (B,), or (B, F) where frames differ, such as a clean first frame (0) that opens a segment; 0..1000.
            pose_states: (B, Cp, F, H, W), of the pose encoder; None is zeros.
            motion_tokens: (B, M, motion_dim), those of one latent frame in the order of time; None: no face.
            motion_frames: (M,) or (B, M) latent frame of each motion token, -1 for one that is left out.
            reference_states: (B, N, C, h, w) clean latents, of any size; None: no reference, or the next.
            reference_cache: of `encode_references`, with batch B or 1, in place of ``reference_states``.
            encoder_hidden_states: (B, S, text_dim); None, or a model without text: the text attention is skipped.
            reference_pose_states: (B, N, Cp, h, w), pose latents of the references themselves; None is zeros.
            return_dict: else a tuple.

        Returns:
            ``sample`` (B, C, F, H, W).

        Raises:
            ValueError: shapes that do not go together, or references to be encoded at every step of a step cache.
        """
        if reference_states is not None:
            if reference_cache is not None:
                raise ValueError("give reference_states or reference_cache, not both")
            if self.is_cache_enabled:
                raise ValueError("a step cache needs the reference_cache that encode_references makes before the first step")
            reference_cache = self.encode_references(reference_states, reference_pose_states)
        tokens = self._embed(hidden_states, pose_states)
        grid = self._grid(hidden_states)
        if timestep.ndim == 2 and timestep.shape[1] != grid[0]:
            raise ValueError(f"times of {timestep.shape[1]} frames were given for {grid[0]}")
        *rotary_emb, frames = self.rope(*grid)
        temb, modulation = self._embed_time(timestep, hidden_states.dtype)
        text = self._embed_text(encoder_hidden_states)
        face = self._face_tokens(motion_tokens, motion_frames, frames)

        for index, block in enumerate(self.blocks):
            reference = None if reference_cache is None else reference_cache[index]
            tokens = self._run(block, tokens, text, modulation, tuple(rotary_emb), frames, face, reference)

        shift, scale = (of_tokens(x, frames) for x in (self.scale_shift_table[:, None] + temb.unsqueeze(2)).unbind(2))
        tokens = (self.norm_out(tokens.float()) * (1 + scale) + shift).type_as(tokens)
        sample = self._unpatchify(self.proj_out(tokens), grid)
        if self.config.predicts == "clean":
            sample = _velocity(hidden_states, sample, timestep)
        return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)

    def encode_references(self, reference_states: Tensor, reference_pose_states: Tensor | None = None) -> ReferenceCache:
        """Keys and values of the references in every block, for all steps and all branches of the guidance.

        A step cache is emptied: a new reference begins a new video.

        Args:
            reference_states: (B, N, C, h, w) clean latents; the first is the identity.
            reference_pose_states: (B, N, Cp, h, w); None is zeros.

        Returns:
            For each block (B, R, heads, head_dim) four times, R = N h w / p^2.
        """
        clips = [None if x is None else x.transpose(1, 2) for x in (reference_states, reference_pose_states)]
        tokens = self._embed(*clips) + self.reference_embedding
        *rotary_emb, frames = self.rope(*self._grid(clips[0]), before=True)
        _, modulation = self._embed_time(torch.zeros(1, device=tokens.device), tokens.dtype)
        cache = []
        with self._without_step_cache():
            for block in self.blocks:
                tokens, *kept = self._run(block, tokens, None, modulation, tuple(rotary_emb), frames, None, None, True)
                cache.append(LayerReference(*kept))
        return tuple(cache)

    def enable_cache(self, config: object) -> None:
        """Switch a step cache of diffusers on.

        Raises:
            UsageError: one that decides by a rank's own tokens, where ranks share them.
        """
        if self._parallel_config is not None and isinstance(config, FirstBlockCacheConfig | MagCacheConfig):
            raise UsageError("ranks with FirstBlockCache or MagCache could skip different steps", "take TaylorSeer")
        super().enable_cache(config)

    def reset_added(self) -> None:
        """First values of what Wan does not have: random where something is read, zero where it would be added to Wan's."""
        added: list[nn.Module] = [self.motion_embedder]
        for block in self.blocks:
            added += [block.norm_face, block.attn_face, block.norm_reference, block.attn_reference]
        for module in (inner for part in added for inner in part.modules()):
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        for block in self.blocks:
            nn.init.zeros_(block.attn_face.to_out[0].weight)
            nn.init.zeros_(block.attn_reference.to_out[0].weight)
        nn.init.zeros_(self.pose_embedding.weight)
        nn.init.zeros_(self.reference_embedding)
        nn.init.normal_(self.motion_order, std=0.1)

    def initialise(self) -> None:
        """Random weights to train from nothing, as Wan began: Xavier's, an answer of zero; what is added to Wan is awake.

        The face attention says nothing at first. What it said at random would be noise, of which a model can rid itself by
        looking at the sink alone, from where little gradient leads back.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv3d):
                nn.init.xavier_uniform_(module.weight.flatten(1))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in (self.condition_embedder.time_embedder.linear_1, self.condition_embedder.time_embedder.linear_2):
            nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(self.proj_out.weight)
        for block in self.blocks:
            block.scale_shift_table.data[:, [2, 5]] = _AWAKE
            nn.init.zeros_(block.attn_face.to_out[0].weight)
            nn.init.constant_(block.attn_face.norm_q.weight, _SHARP)

    def _grid(self, states: Tensor) -> tuple[int, int, int]:
        """Frames, rows and columns of the tokens of (B, C, F, H, W)."""
        _, patch_height, patch_width = self.config.patch_size
        num_frames, height, width = states.shape[2:]
        if height % patch_height or width % patch_width:
            raise ValueError(f"a latent of {width}x{height} cannot be cut into patches of {patch_width}x{patch_height}")
        return num_frames, height // patch_height, width // patch_width

    def _embed(self, states: Tensor, pose_states: Tensor | None) -> Tensor:
        """(B, C, F, H, W) and its pose latent to tokens (B, L, D)."""
        embedded = self.patch_embedding(states)
        if pose_states is not None:
            embedded = embedded + self.pose_embedding(pose_states)
        return embedded.flatten(2).transpose(1, 2).contiguous()

    def _embed_time(self, timestep: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """(B,) or (B, F) to (B, F or 1, D) and the modulation of the blocks (B, F or 1, 6, D)."""
        if timestep.ndim == 1:
            timestep = timestep[:, None]
        embedder = self.condition_embedder
        waves = embedder.timesteps_proj(timestep.flatten()).unflatten(0, timestep.shape)
        weights = next(iter(embedder.time_embedder.parameters())).dtype
        temb = embedder.time_embedder(waves.to(weights) if weights != torch.int8 else waves).to(dtype)
        return temb, embedder.time_proj(embedder.act_fn(temb)).unflatten(2, (6, -1))

    def _embed_text(self, text: Tensor | None) -> Tensor | None:
        embedder = self.condition_embedder.text_embedder
        return None if text is None or embedder is None else embedder(text)

    def _face_tokens(self, tokens: Tensor | None, motion_frames: Tensor | None, frames: Tensor) -> FaceTokens | None:
        if tokens is None:
            return None
        if motion_frames is None or motion_frames.shape[-1] != tokens.shape[1]:
            raise ValueError("every motion token needs the frame it belongs to: motion_frames (M,) or (B, M)")
        motion_frames = motion_frames.to(frames.device).reshape(-1, tokens.shape[1])
        together = motion_frames[:, :, None] == motion_frames[:, None, :]
        order = together.tril(-1).sum(-1).clamp(max=MOTION_ORDER - 1)
        return FaceTokens(self.motion_embedder(tokens) + self.motion_order[order], face_mask(frames, motion_frames))

    def _run(self, block: nn.Module, *arguments: object) -> Tensor | tuple[Tensor, ...]:
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(block, *arguments)
        return block(*arguments)

    def _unpatchify(self, tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """(B, L, p p C) to (B, C, F, H, W)."""
        patches = tokens.unflatten(1, grid).unflatten(-1, (*self.config.patch_size[1:], -1))
        return patches.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)

    @contextmanager
    def _without_step_cache(self) -> Iterator[None]:
        """A step cache hooks the blocks, and would take the references for a step."""
        config = self._cache_config
        if config is not None:
            self.disable_cache()
        try:
            yield
        finally:
            if config is not None:
                self.enable_cache(config)


def _velocity(noised: Tensor, clean: Tensor, timestep: Tensor) -> Tensor:
    """From what is noised to what is clean, over the level of noise, (B, C, F, H, W); times (B,) or (B, F), 0..1000."""
    level = (timestep.float() / TIME).clamp(min=_LEAST_NOISE)
    return ((noised.float() - clean.float()) / level.reshape(len(level), 1, -1, 1, 1)).to(clean.dtype)
