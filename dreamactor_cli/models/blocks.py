"""What the transformer is made of: Wan's block with two more attentions, and positions that reach before the first frame.

Letters in shapes: B batch, F latent frames, L tokens, R tokens of all references, D width, S tokens of text.
"""

from __future__ import annotations

import torch
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformerBlock
from torch import Tensor

from dreamactor_cli.models.attention import (
    FaceAttnProcessor,
    FaceTokens,
    LayerReference,
    ReferenceAttnProcessor,
    Rotary,
    SelfAttnProcessor,
    added_attention,
    split_heads,
)


class DreamActorBlock(WanTransformerBlock):
    """A block of Wan with face attention and reference attention between its text attention and its feed-forward.

    Args:
        dim: width D.
        ffn_dim: of the feed-forward.
        num_heads: of the self-attention and the text attention.
        condition_heads: of the face and reference attention, of the same width as the others.
        text: whether there is a text attention.
        cross_attn_norm: as in Wan.
        eps: of the norms.
    """

    def __init__(
        self, dim: int, ffn_dim: int, num_heads: int, condition_heads: int, text: bool, cross_attn_norm: bool, eps: float
    ) -> None:
        super().__init__(dim, ffn_dim, num_heads, cross_attn_norm=cross_attn_norm, eps=eps)
        self.attn1.set_processor(SelfAttnProcessor())
        if not text:
            self.attn2 = self.norm2 = None
        head_dim = dim // num_heads
        self.norm_face = FP32LayerNorm(dim, eps)
        self.attn_face = added_attention(dim, condition_heads, head_dim, eps, FaceAttnProcessor())
        self.norm_reference = FP32LayerNorm(dim, eps)
        self.attn_reference = added_attention(dim, condition_heads, head_dim, eps, ReferenceAttnProcessor())

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None,
        temb: Tensor,
        rotary_emb: Rotary,
        frames: Tensor,
        face: FaceTokens | None = None,
        reference: LayerReference | None = None,
        encode: bool = False,
    ) -> Tensor | tuple[Tensor, ...]:
        """Noise, or references.

        Args:
            hidden_states: (B, L, D).
            encoder_hidden_states: (B, S, D) text; None skips the text attention.
            temb: (B, F, 6, D) modulation of each frame, or (B, 1, 6, D).
            rotary_emb: position of the tokens.
            frames: (1, L) latent frame of the tokens.
            face: motion tokens; None skips the face attention.
            reference: None skips the reference attention.
            encode: the tokens are references, and what the noise needs of them is returned too.

        Returns:
            (B, L, D); with ``encode`` the fields of `LayerReference` follow.
        """
        modulation = (self.scale_shift_table[:, None] + temb.float()).unbind(2)
        shift_msa, scale_msa, gate_msa, shift_ffn, scale_ffn, gate_ffn = (of_tokens(x, frames) for x in modulation)

        normed = (self.norm1(hidden_states.float()) * (1 + scale_msa) + shift_msa).type_as(hidden_states)
        attended, key, value = self.attn1(normed, rotary_emb=rotary_emb, reference=reference)
        hidden_states = (hidden_states.float() + attended * gate_msa).type_as(hidden_states)
        if encode:
            kept = (key, value, *self._cross_keys(hidden_states))

        if self.attn2 is not None and encoder_hidden_states is not None:
            normed = self.norm2(hidden_states.float()).type_as(hidden_states)
            hidden_states = hidden_states + self.attn2(normed, encoder_hidden_states)
        if face is not None:
            hidden_states = hidden_states + self.attn_face(self.norm_face(hidden_states), face.tokens, face.mask)
        if reference is not None:
            hidden_states = hidden_states + self.attn_reference(self.norm_reference(hidden_states), reference=reference)

        normed = (self.norm3(hidden_states.float()) * (1 + scale_ffn) + shift_ffn).type_as(hidden_states)
        hidden_states = (hidden_states.float() + self.ffn(normed).float() * gate_ffn).type_as(hidden_states)
        return (hidden_states, *kept) if encode else hidden_states

    def _cross_keys(self, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of references for the reference attention, (B, R, H', E)."""
        attn, normed = self.attn_reference, self.norm_reference(hidden_states)
        return split_heads(attn.norm_k(attn.to_k(normed)), attn), split_heads(attn.to_v(normed), attn)


TransformerBlockRegistry.register(DreamActorBlock, TransformerBlockMetadata(return_hidden_states_index=0))


class FrameRotaryPosEmbed(WanRotaryPosEmbed):
    """Wan's positions, and frames before the first: the n-th reference stands at frame -n."""

    def forward(self, num_frames: int, height: int, width: int, before: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of a grid of tokens.

        Args:
            num_frames: of the grid.
            height: of the grid.
            width: of the grid.
            before: the frames are -1, -2, ... instead of 0, 1, ...

        Returns:
            Cosine and sine (1, L, 1, head_dim / 2), and the frame of each token, (1, L) int64.
        """
        device = self.freqs_cos.device
        sizes = [self.t_dim, self.h_dim, self.w_dim]
        steps = torch.arange(int(before), num_frames + int(before), device=device)
        places = [steps, torch.arange(height, device=device), torch.arange(width, device=device)]
        parts = []
        for table, odd in ((self.freqs_cos, False), (self.freqs_sin, True)):
            time, rows, columns = (part[at, ::2] for part, at in zip(table.split(sizes, dim=1), places))
            time = -time if odd and before else time
            grids = (time[:, None, None], rows[None, :, None], columns[None, None, :])
            spread = [grid.expand(num_frames, height, width, -1) for grid in grids]
            parts.append(torch.cat(spread, dim=-1).reshape(1, num_frames * height * width, 1, -1))
        frames = (-steps if before else steps).repeat_interleave(height * width)
        return parts[0], parts[1], frames[None]


def of_tokens(of_frames: Tensor, frames: Tensor) -> Tensor:
    """(B, F, D) to (B, L, D) by the frame of each token (1, L); (B, 1, D) is the same for all and stays."""
    return of_frames if of_frames.shape[1] == 1 else of_frames[:, frames[0]]
