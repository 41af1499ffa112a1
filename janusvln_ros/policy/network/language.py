"""
Language model: Qwen2.5's decoder with multimodal rotary positions.

Qwen2.5, arXiv 2412.15115; multimodal positions, Qwen2-VL, arXiv 2409.12191, section 2.1.

The modules hold weights only. Where keys, values and positions come from is the business of the
`attend` that is passed in. Letters in shapes: B batch, L new tokens, S attended tokens.
"""

from __future__ import annotations

from collections.abc import Callable

from janusvln_ros.policy.network.config import LanguageConfig
from janusvln_ros.policy.network.layers import GatedMLP, RMSNorm
from janusvln_ros.policy.network.regions import Region
import torch
from torch import nn

LEAST_ROWS = 32  # of a product in INT8
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

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, L, hidden) to queries, keys, values (B, heads, L, head_dim); `o_proj` is left."""
        return tuple(
            projection(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )


class DecoderLayer(nn.Module):
    """Pre-norm block: attention, gated MLP."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size, bias=False)

    def forward(
        self, x: torch.Tensor, layer: int, attend: Attend, read: int | None = None
    ) -> torch.Tensor:
        """(B, L, hidden) to the same, or of no fewer than the last `read` tokens."""
        attended = attend(layer, *self._open(x))
        if read is not None:
            rows = max(read, LEAST_ROWS)
            x, attended = x[:, -rows:], attended[:, :, -rows:]
        return self._close(x, attended)

    @Region
    def _open(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.self_attn(self.input_layernorm(x))

    @Region
    def _close(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn.o_proj(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.post_attention_layernorm(x))


class LanguageModel(nn.Module):
    """Embeddings to hidden states."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        # To draw numbers on the meta device, torch would load its compiler first: a second.
        table = torch.empty(config.vocab_size, config.hidden_size)
        self.embed_tokens = nn.Embedding.from_pretrained(table, freeze=False)
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
        x, last = embeddings, len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            x = layer(x, index, attend, read if index == last else None)
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
