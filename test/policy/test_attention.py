"""Attention in parts against attention as a whole."""

from janusvln_ros.policy import attention
from janusvln_ros.policy.attention import attend, attend_in_parts, MemoryAttention, merge, parts
from janusvln_ros.policy.memory import KeyValueMemory
from janusvln_ros.policy.network.layers import rotate
import pytest
import torch
from torch.nn import functional

HEADS, DIM = 2, 8


@pytest.fixture
def qkv():
    torch.manual_seed(0)
    return torch.randn(1, HEADS, 6, DIM), *torch.randn(2, 1, HEADS, 30, DIM)


@pytest.mark.parametrize('n', [1, 3, 5])
def test_keys_in_parts_are_as_one(qkv, n):
    whole = functional.scaled_dot_product_attention(*qkv)
    assert torch.allclose(attend_in_parts(n, *qkv), whole, atol=1e-6)


def test_masked_and_unmasked_keys_are_merged(qkv):
    q, keys, values = qkv
    mask = torch.full((6, 10), -torch.inf).triu_(1)
    whole = functional.scaled_dot_product_attention(
        q, keys, values, attn_mask=torch.cat((torch.zeros(6, 20), mask), dim=1)
    )
    past = attend(q, keys[:, :, :20], values[:, :, :20])
    own = attend(q, keys[:, :, 20:], values[:, :, 20:], mask)
    assert torch.allclose(merge(1, *past, *own), whole, atol=1e-6)


def test_parts_leave_few_processors_idle():
    assert parts(13 * 16, 57 * 1615, processors=132) == 5  # 98 % of them work, not 79 %
    assert parts(132, 57 * 1615, processors=132) == 1
    assert parts(13 * 16, 97, processors=132) == 1  # a prime has no parts


@pytest.mark.parametrize('processors', [0, 3, 5])  # 8 keys of the past in 1, 3 and 5 parts
@pytest.mark.parametrize('branches', [0, 3])
@pytest.mark.parametrize('frames', [0, 2])
def test_new_tokens_see_the_past_and_by_the_tree_each_other(
    frames, branches, processors, monkeypatch
):
    """Three heads share their keys; the tree is one of two branches."""
    if processors:  # as a GPU has
        monkeypatch.setattr(attention, '_has_kernels', lambda x: True)
        monkeypatch.setattr(attention, '_processors', lambda device: processors)
        monkeypatch.setattr(attention, 'TILE', 20)
    torch.manual_seed(0)
    memory = KeyValueMemory(
        layers=1,
        heads=HEADS,
        head_dim=DIM,
        frame_tokens=4,
        recent=2,
        scratch=5,
        dtype=torch.float32,
        device=torch.device('cpu'),
    )
    memory.keys.normal_()
    memory.values.normal_()
    memory.seen, past, count = frames, 4 * frames, 7
    q, k, v = torch.randn(1, 3 * HEADS, count, DIM), *torch.randn(2, 1, HEADS, count, DIM)
    angles = torch.randn(count, DIM // 2)
    rotation = angles.cos(), angles.sin()
    tree = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1]]).bool() if branches else None
    seen = torch.ones(count, past + count).tril(past).bool()
    if branches:
        seen[-branches:, -branches:] = tree
    old = memory.keys[:, :, :past].clone(), memory.values[:, :, :past].clone()
    out = MemoryAttention(memory, rotation, 3, tree)(0, q, k, v)
    keys, values = (
        torch.cat(parts, dim=2).repeat_interleave(3, 1)
        for parts in zip(old, (rotate(k, *rotation), v))
    )
    want = functional.scaled_dot_product_attention(
        rotate(q, *rotation), keys, values, attn_mask=seen
    )
    assert torch.allclose(out, want, atol=1e-6)
    assert torch.equal(memory.values[0, :, past : past + count], v[0])
