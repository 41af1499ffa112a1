"""
Attention over the memories, by the kernels that are fastest.

Nothing long has a mask. Where tokens see the past and, by a mask, each other, each of the two is
attended to by itself; so is each part of keys so long that their queries alone do not fill a GPU.
What was attended to apart is merged by the logarithms of the weights' sums.
"""

from __future__ import annotations

import math

from janusvln_ros.policy.memory import KeyValueMemory
from janusvln_ros.policy.network.layers import rotate
from janusvln_ros.policy.network.regions import Region
import torch
from torch.nn import functional

MOST_PARTS = 8  # of keys
TILE = 128  # queries that a processor has at a time
ALIGNED = 64  # numbers in a row of a mask, or a multiple

Pair = tuple[torch.Tensor, torch.Tensor]


class MemoryAttention:
    """
    Attention of a step's tokens over the memory, which they join, and causally over themselves.

    The last of them may form a tree that hangs on the token before.
    """

    def __init__(
        self,
        memory: KeyValueMemory,
        rotation: Pair,
        group: int,
        tree: torch.Tensor | None = None,
        offset: int = 0,
    ) -> None:
        """
        Prepare one forward pass.

        rotation: of the new tokens, from `Rotary`. group: heads of queries that share their keys.
        tree: (n, n) bool, which of the last n tokens see which others of them, on the device.
        offset: tokens that are in the memory behind the retained frames already.
        """
        self.memory, self.rotation, self.group, self.offset = memory, rotation, group, offset
        past, count = memory.end + offset, len(rotation[0])
        branches = 0 if tree is None else len(tree)
        self._head = 0 if past else count - branches  # tokens that see no others than themselves
        self._before = past + self._head  # tokens that all others, the tail, see without a mask
        tail = count - self._head
        self._parts = 1
        if group * tail > TILE and _has_kernels(memory.keys):
            tiles = -(-group * tail // TILE) * memory.keys.shape[1]
            self._parts = parts(tiles, 0, _processors(memory.keys.device))
        left = self._before % self._parts  # what makes the parts unequal goes with the tail
        self._before -= left
        hidden = torch.ones(tail, left + tail, dtype=torch.bool, device=memory.keys.device)
        hidden.triu_(1 + left)
        if tree is not None:
            hidden[tail - branches :, left + tail - branches :] = ~tree
        mask = memory.keys.new_zeros(group * tail, -(-(left + tail) // ALIGNED) * ALIGNED)
        self._mask = mask[:, : left + tail].masked_fill_(hidden.repeat(group, 1), -torch.inf)

    def __call__(
        self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:
        count, head = q.shape[2], self._head
        keys, values = self.memory.room(layer, count, self.offset)
        room = keys[:, :, -count:], values[:, :, -count:]
        q, tail = _turn(q, k, v, self.rotation, room, self.group, head)
        if head:  # and behind it what is written over
            out = functional.scaled_dot_product_attention(
                q, keys, values, is_causal=True, enable_gqa=True
            )
        if head == count:
            return out
        (past, own), (past_values, own_values) = (
            x.tensor_split((self._before,), dim=2) for x in (keys, values)
        )
        apart = (
            *_attend_apart(self._parts, tail, past, past_values),
            *attend(tail, own, own_values, self._mask),
        )
        return _put(out, head, self.group, *apart) if head else merge(self.group, *apart)


def attend_to_frames(
    memory: KeyValueMemory, block: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    """Attend to remembered frames and the new one, (1, heads, P, head_dim), which joins them."""
    remember_frame(memory, block, q, k, v)
    keys, values = memory.room(block, k.shape[2])
    if not _has_kernels(q):
        return functional.scaled_dot_product_attention(q, keys, values)
    n = parts(-(-q.shape[2] // TILE) * q.shape[1], keys.shape[2], _processors(q.device))
    return attend_in_parts(n, q, keys, values)


def remember_frame(
    memory: KeyValueMemory, block: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    """Let a frame, (1, heads, P, head_dim), join those remembered, where nobody attends yet."""
    keys, values = memory.room(block, k.shape[2])
    keys[:, :, -k.shape[2] :], values[:, :, -k.shape[2] :] = k, v
    return q


def attend_in_parts(
    n: int, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Attend to keys (1, heads, S, head_dim), S a multiple of n, in n parts; as q's shape."""
    return merge(1, *_attend_apart(n, q, keys, values))


def _attend_apart(n: int, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> Pair:
    """Attend to each of n equal parts of the keys: (n, heads, L, head_dim), sums (n, heads, L)."""
    keys, values = (x[0].unflatten(1, (n, -1)).transpose(0, 1) for x in (keys, values))
    return attend(q.expand(n, -1, -1, -1), keys, values)


def _has_kernels(x: torch.Tensor) -> bool:
    """Whether there are fast kernels for what is like x."""
    return x.is_cuda and x.dtype != torch.float32 and x.shape[-1] % 8 == 0


def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count


def parts(tiles: int, keys: int, processors: int) -> int:
    """
    Into how many parts of keys tiles of queries go to leave the fewest processors idle.

    All parts are alike: n divides `keys`, which are 0 where what is left over goes elsewhere.
    """
    turns = {n: n * tiles / processors for n in range(1, MOST_PARTS + 1) if keys % n == 0}
    return max(turns, key=lambda n: turns[n] / math.ceil(turns[n]))


def attend(
    q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None = None
) -> Pair:
    """
    Attend from q (n, heads, L, head_dim) to all keys, or by a mask (L, S) that is added.

    Returns q's shape, and the logarithm of the weights' sum (n, heads, L) in float32.
    """
    aten = torch.ops.aten
    if not q.is_cuda:
        return aten._scaled_dot_product_flash_attention_for_cpu(q, keys, values, attn_mask=mask)
    if mask is not None or q.dtype == torch.float32:
        mask = None if mask is None else mask.expand(*q.shape[:2], -1, -1)
        out, sums = aten._scaled_dot_product_efficient_attention(q, keys, values, mask, True)[:2]
        return out, sums[..., : q.shape[2]]
    planned = torch.backends.cuda.cudnn_sdp_enabled() and q.shape[2] > TILE
    if planned and torch.cuda.get_device_capability(q.device) >= (9, 0):
        out, sums = aten._scaled_dot_product_cudnn_attention(q, keys, values, None, True)[:2]
        return out, sums.reshape(out.shape[:3])
    return aten._scaled_dot_product_flash_attention(q, keys, values)[:2]


@Region
def merge(group: int, *attended: torch.Tensor) -> torch.Tensor:
    """
    Merge what the same queries attended to apart: what `attend` returned, one after the other.

    group: heads that stood one behind another as one head's L. Returns (1, heads, L, head_dim).
    """
    out = _merged(group, *attended)
    return out.transpose(0, 1).contiguous().transpose(0, 1)[None]


@Region
def _put(out: torch.Tensor, head: int, group: int, *attended: torch.Tensor) -> torch.Tensor:
    """Put what `merge` gives in the place of out's tokens behind the first `head`."""
    out[0, :, head:].copy_(_merged(group, *attended))
    return out


def _merged(group: int, *attended: torch.Tensor) -> torch.Tensor:
    outs, sums = ([x for parts in attended[i::2] for x in parts.unbind()] for i in (0, 1))
    most = torch.stack(sums).amax(0)
    weights = [(x - most).exp()[..., None] for x in sums]
    weighed = [x.float() * weight for x, weight in zip(outs, weights)]
    out = sum(weighed[1:], weighed[0]) / sum(weights[1:], weights[0])
    return out.to(outs[0].dtype).unflatten(1, (group, -1)).flatten(0, 1)


@Region
def _turn(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    rotation: Pair,
    room: Pair,
    group: int,
    head: int,
) -> Pair:
    """
    Return q rotated; write k, rotated, and v to where there is room for them.

    The tail, behind the first `head` tokens, comes apart: heads of a group one behind another.
    """
    room[0].copy_(rotate(k, *rotation))
    room[1].copy_(v)
    if head:  # token by token, as it comes and as it is read behind attention
        q = rotate(q.transpose(1, 2), *(x[:, None] for x in rotation)).transpose(1, 2)
    else:
        q = rotate(q, *rotation).contiguous()
    return q, q[:, :, head:].unflatten(1, (-1, group)).flatten(2, 3)
