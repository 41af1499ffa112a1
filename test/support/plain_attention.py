"""The language model's attention written down plainly: the oracle of what the package does."""

from __future__ import annotations

from janusvln_ros.policy.network.layers import rotate
import torch
from torch.nn import functional


class PlainAttention:
    """Causal attention over one sequence, without a memory."""

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
