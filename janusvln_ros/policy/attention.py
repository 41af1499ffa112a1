"""Attention of the language model over its memory: what `LanguageModel` calls for each layer."""

from __future__ import annotations

from janusvln_ros.policy.memory import KeyValueMemory
from janusvln_ros.policy.network.layers import rotate
import torch
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right


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
