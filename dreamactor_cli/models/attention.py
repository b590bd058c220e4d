"""The three attentions of a block: processors for diffusers' `WanAttention`, which holds the weights.

Letters in shapes: B batch, L tokens of the noise (this rank's share under context parallelism), R tokens of all references,
M motion tokens, D width, H heads, E width of a head.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_wan import WanAttention
from torch import Tensor, nn
from torch.nn import functional

Rotary: TypeAlias = tuple[Tensor, Tensor]  # cosine and sine, (1, L, 1, E / 2)


class LayerReference(NamedTuple):
    """What one block keeps of the references; heads of the second pair are those of the reference attention.

    Attributes:
        key, value: (B, R, H, E) of the self-attention, the keys turned to where the references stand.
        cross_key, cross_value: (B, R, H', E) of the reference attention.
    """

    key: Tensor
    value: Tensor
    cross_key: Tensor
    cross_value: Tensor


ReferenceCache: TypeAlias = tuple[LayerReference, ...]  # one a block


class FaceTokens(NamedTuple):
    """Motion tokens as the blocks take them.

    Attributes:
        tokens: (B, M, D).
        mask: (B or 1, 1, L, M + 1) bool, which tokens of the noise see which motion token; the last column is the sink.
    """

    tokens: Tensor
    mask: Tensor


class SelfAttnProcessor:
    """Self-attention over the concatenation of noise and references, or of references alone; else Wan's own."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,  # noqa: ARG002 - the order is that of WanAttention.forward
        attention_mask: Tensor | None = None,
        rotary_emb: Rotary | None = None,
        reference: LayerReference | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend.

        Args:
            attn: the weights.
            hidden_states: (B, L, D).
            encoder_hidden_states: unused.
            attention_mask: as in Wan; None.
            rotary_emb: of the tokens.
            reference: is attended to as well; its batch is B or 1.

        Returns:
            (B, L, D), and the keys and values of ``hidden_states`` alone, (B, L, H, E).
        """
        query = rotate(split_heads(attn.norm_q(attn.to_q(hidden_states)), attn), rotary_emb)
        own_key = key = rotate(split_heads(attn.norm_k(attn.to_k(hidden_states)), attn), rotary_emb)
        own_value = value = split_heads(attn.to_v(hidden_states), attn)
        if reference is not None:
            key, value = with_reference(key, reference.key), with_reference(value, reference.value)
        attended = dispatch_attention_fn(
            query, key, value, attn_mask=attention_mask, backend=self._attention_backend, parallel_config=self._parallel_config
        )
        return leave(attn, attended, query), own_key, own_value


class ReferenceAttnProcessor:
    """Cross-attention to the references of the same depth, without position: what, wherever it stands."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,  # noqa: ARG002
        attention_mask: Tensor | None = None,
        rotary_emb: Rotary | None = None,  # noqa: ARG002
        reference: LayerReference | None = None,
    ) -> Tensor:
        """(B, L, D) to (B, L, D); ``reference`` is needed, its batch is B or 1."""
        assert reference is not None
        query = split_heads(attn.norm_q(attn.to_q(hidden_states)), attn)
        key, value = (x.expand(len(query), -1, -1, -1) for x in (reference.cross_key, reference.cross_value))
        attended = dispatch_attention_fn(
            query, key, value, attn_mask=attention_mask, backend=self._attention_backend, parallel_config=self._parallel_config
        )
        return leave(attn, attended, query)


class FaceAttnProcessor:
    """Cross-attention to the motion tokens of a token's own frame.

    Which tokens those are is told by a mask and not by a reshape to frames, so that a rank may hold any stretch of tokens.
    A sink, a key and value of zeros, is always in sight: a frame without a face gets exactly nothing, and a token that the
    face does not concern can look away. There are few motion tokens, so every rank has all of them: no parallel config.
    """

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: Rotary | None = None,  # noqa: ARG002
    ) -> Tensor:
        """(B, L, D) and motion tokens (B, M, D), mask (B or 1, 1, L, M + 1), to (B, L, D)."""
        query = split_heads(attn.norm_q(attn.to_q(hidden_states)), attn)
        key = split_heads(attn.norm_k(attn.to_k(encoder_hidden_states)), attn)
        value = split_heads(attn.to_v(encoder_hidden_states), attn)
        key, value = (functional.pad(x, (0, 0, 0, 0, 0, 1)) for x in (key, value))
        query_, key, value = (x.transpose(1, 2) for x in (query, key, value))
        attended = functional.scaled_dot_product_attention(query_, key, value, attn_mask=attention_mask)
        return leave(attn, attended.transpose(1, 2), query)


def added_attention(dim: int, heads: int, head_dim: int, eps: float, processor: object) -> WanAttention:
    """A cross-attention that Wan does not have: without a bias at its end it adds nothing where it attends to nothing."""
    attn = WanAttention(
        dim=dim, heads=heads, dim_head=head_dim, eps=eps, cross_attention_dim_head=head_dim, processor=processor
    )  # fmt: skip
    attn.to_out[0] = nn.Linear(heads * head_dim, dim, bias=False)
    return attn


def face_mask(frames: Tensor, motion_frames: Tensor) -> Tensor:
    """Who sees which motion token.

    Args:
        frames: (1, L) latent frame of each token of the noise.
        motion_frames: (B or 1, M) latent frame of each motion token; one that is in no frame, such as -1, is seen by nobody.

    Returns:
        (B or 1, 1, L, M + 1) bool; the last column, the sink, is True.
    """
    return functional.pad(frames[:, :, None] == motion_frames[:, None, :], (0, 1), value=True)[:, None]


def split_heads(x: Tensor, attn: WanAttention) -> Tensor:
    """(B, L, H E) to (B, L, H, E)."""
    return x.unflatten(2, (attn.heads, -1))


def with_reference(own: Tensor, reference: Tensor) -> Tensor:
    """Keys or values of the noise, followed by those of the references; the order is nothing to attention."""
    return torch.cat([own, reference.expand(len(own), -1, -1, -1)], dim=1)


def leave(attn: WanAttention, attended: Tensor, query: Tensor) -> Tensor:
    """(B, L, H, E) through the output projection."""
    return attn.to_out[1](attn.to_out[0](attended.flatten(2, 3).type_as(query)))


def rotate(x: Tensor, rotary_emb: Rotary | None) -> Tensor:
    """Rotary position embedding (Su et al. 2021) of neighbouring pairs of channels.

    Args:
        x: (B, L, H, E).
        rotary_emb: cosine and sine of the pairs; None leaves ``x`` as it is.
    """
    if rotary_emb is None:
        return x
    cos, sin = rotary_emb
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2).type_as(x)
