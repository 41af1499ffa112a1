"""
Language model: Qwen2.5's decoder with multimodal rotary positions.

Qwen2.5, arXiv 2412.15115; multimodal positions, Qwen2-VL, arXiv 2409.12191, section 2.1.

The modules hold weights only. Where keys, values and positions come from is the business of the
`attend` that is passed in: `PlainAttention` for a pass over one sequence, `MemoryAttention` for a
step against the memory. Letters in shapes: B batch, L new tokens, S attended tokens.
"""

from __future__ import annotations

from collections.abc import Callable

from janusvln_ros.policy.config import LanguageConfig
from janusvln_ros.policy.layers import GatedMLP, RMSNorm, rotate
from janusvln_ros.policy.memory import KeyValueMemory
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right

# (layer, q, k, v), not rotated, to q's shape (B, heads, L, head_dim); k and v have fewer heads
Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Attention(nn.Module):
    """Grouped-query attention."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        heads = config.num_heads * config.head_dim
        kv_heads = config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, heads)
        self.k_proj = nn.Linear(config.hidden_size, kv_heads)
        self.v_proj = nn.Linear(config.hidden_size, kv_heads)
        self.o_proj = nn.Linear(heads, config.hidden_size, bias=False)

    def forward(self, x: torch.Tensor, layer: int, attend: Attend) -> torch.Tensor:
        q, k, v = (
            projection(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.o_proj(attend(layer, q, k, v).transpose(1, 2).flatten(2))


class DecoderLayer(nn.Module):
    """Pre-norm block: attention, gated MLP."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size, bias=False)

    def forward(self, x: torch.Tensor, layer: int, attend: Attend) -> torch.Tensor:
        x = x + self.self_attn(self.input_layernorm(x), layer, attend)
        return x + self.mlp(self.post_attention_layernorm(x))


class LanguageModel(nn.Module):
    """Embeddings to hidden states."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, embeddings: torch.Tensor, attend: Attend, read: int | None = None
    ) -> torch.Tensor:
        """
        Run the layers over embeddings (B, L, hidden).

        Returns the final hidden states (B, read, hidden), normed, of the last `read` tokens, or
        of all.
        """
        x = embeddings
        for index, layer in enumerate(self.layers):
            x = layer(x, index, attend)
        return self.norm(x if read is None else x[:, -read:])


class Rotary:
    """
    Multimodal rotary embedding: channels turn with time, with the row or with the column.

    Angles are computed in float64, so that positions may grow for as long as an episode lasts.
    """

    def __init__(self, config: LanguageConfig, device: torch.device) -> None:
        exponents = torch.arange(0, config.head_dim, 2).float() / config.head_dim
        frequencies = 1.0 / config.rope_theta**exponents  # in float32, as trained
        self.frequencies = frequencies.double().to(device)  # (head_dim / 2)
        sections = torch.tensor(config.mrope_section)
        self.axis = torch.arange(3).repeat_interleave(sections).to(device)  # (head_dim / 2)

    def __call__(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions (time, row, column) (3, L) to cos and sin (L, head_dim / 2), float32."""
        angles = positions.to(self.frequencies.device).double()[self.axis].T * self.frequencies
        return angles.cos().float(), angles.sin().float()


class PlainAttention:
    """Causal attention over one sequence, without a memory: differentiable, for training."""

    def __init__(
        self, rotation: tuple[torch.Tensor, torch.Tensor], mask: torch.Tensor | None = None
    ) -> None:
        """
        Take `rotation` from `Rotary`.

        mask: bool, broadcastable to (B, heads, L, L), true where attention is allowed; causal by
        default.
        """
        self.rotation, self.mask = rotation, mask

    def __call__(
        self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        return functional.scaled_dot_product_attention(
            rotate(q, *self.rotation),
            rotate(k, *self.rotation),
            v,
            attn_mask=self.mask,
            is_causal=self.mask is None,
            enable_gqa=True,
        )


class MemoryAttention:
    """
    Attention of a step's tokens over the memory, which they join, and causally over themselves.

    The last of them may form a tree that hangs on the token before. Nothing long has a mask, so
    that flash attention can take it: on CUDA the causal part is its own, and a tree's tokens all
    see what lies before the tree; what they see of each other is added to that afterwards.
    """

    def __init__(
        self,
        memory: KeyValueMemory,
        rotation: tuple[torch.Tensor, torch.Tensor],
        tree: torch.Tensor | None = None,
        offset: int = 0,
    ) -> None:
        """
        Prepare one forward pass.

        rotation: of the new tokens, from `Rotary`. tree: (n, n) bool, which of the last n tokens
        see which others of them, on the device. offset: tokens that are in the memory behind the
        retained frames already.
        """
        self.memory, self.rotation, self.offset = memory, rotation, offset
        past = memory.end + offset
        self._chain = len(rotation[0]) - (0 if tree is None else len(tree))
        self._end = past + self._chain
        if memory.keys.is_cuda:
            self._causal = causal_lower_right(self._chain, self._end)
        else:
            shape = self._chain, self._end
            self._causal = memory.keys.new_full(shape, -torch.inf).triu_(past + 1)
        self._hidden = None if tree is None else ~tree

    def __call__(
        self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        q = rotate(q, *self.rotation)
        keys, values = self.memory.extend(layer, rotate(k, *self.rotation), v, self.offset)
        chain, end = self._chain, self._end
        out = functional.scaled_dot_product_attention(
            q[:, :, :chain],
            keys[:, :, :end],
            values[:, :, :end],
            attn_mask=self._causal,
            enable_gqa=True,
        )
        if chain == q.shape[2]:
            return out
        return torch.cat((out, self._tree(q[:, :, chain:], keys, values)), dim=2)

    def _tree(self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Attend from the tree (1, heads, n, head_dim) to all before it and to its branches."""
        group = q.shape[1] // keys.shape[1]
        q = q.unflatten(1, (-1, group)).flatten(2, 3)  # the heads of a group as more queries
        past, past_weight = _attend_all(q, keys[:, :, : self._end], values[:, :, : self._end])
        scores = q.float() @ keys[:, :, self._end :].float().mT * q.shape[-1] ** -0.5
        scores.masked_fill_(self._hidden.repeat(group, 1), -torch.inf)
        own = scores.softmax(-1) @ values[:, :, self._end :].float()
        share = torch.sigmoid(scores.logsumexp(-1) - past_weight)[..., None]
        out = torch.lerp(past.float(), own, share).to(q.dtype)
        return out.unflatten(2, (group, -1)).flatten(1, 2)


def _attend_all(
    q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention without a mask, and the logarithm of its weights' sum, float32 (B, heads, L)."""
    if not q.is_cuda:
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, keys, values)
    if q.dtype != torch.float32 and q.shape[-1] % 8 == 0:
        return torch.ops.aten._scaled_dot_product_flash_attention(q, keys, values)[:2]
    scores = q.float() @ keys.float().mT * q.shape[-1] ** -0.5  # flash attention cannot do it
    return scores.softmax(-1) @ values.float(), scores.logsumexp(-1)
