"""
INT8, FP8 and INT4 weights for the language model's products, by torchao.

Embeddings, norms and biases, both encoders and both memories keep their dtype. INT8 and FP8 have a
scale per output channel and, on a GPU, multiply with activations of their kind, with a scale per
token; INT4 has a scale and a zero point per group of input channels. On CUDA two INT4 weights lie
in a byte and are unpacked for each product, but for the head, of which few rows are wanted at a
time: it has torch's own INT4 kernel. Elsewhere the same sixteen levels lie in bytes, which shows
what INT4 decides but not what it saves.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

KINDS = ('int8', 'fp8', 'int4')
GROUP_SIZES = 128, 64, 32  # input channels that share a scale; the first that divides


def belongs(name: str, kind: str | None) -> bool:
    """
    Whether a tensor of the checkpoint is a weight that is quantised.

    INT8 and FP8 leave the head as it is: of INT8 weights torchao may make a copy in the input's
    dtype, which would take more room than the head's save.
    """
    layer = name.startswith('model.layers.') and name.endswith('_proj.weight')
    return kind is not None and (layer or kind == 'int4' and name == 'lm_head.weight')


def group_size(channels: int) -> int:
    """Input channels that share a scale; ValueError when there is no fitting size."""
    for size in GROUP_SIZES:
        if channels % size == 0:
            return size
    raise ValueError(f'{channels} input channels do not divide into groups of {GROUP_SIZES}')


def weight_bytes(weight_shape: tuple[int, int], kind: str) -> int:
    """Bytes of a weight (out, in) when quantised, as they are on CUDA."""
    out, channels = weight_shape
    if kind != 'int4':
        return out * (channels + 4)
    return out * channels // 2 + out * channels // group_size(channels) * 4


class PackedLinear(nn.Linear):
    """A linear layer whose weight is unpacked for each product."""

    packed: torch.Tensor  # (out, in / 2) uint8: of two neighbours the first in the low bits
    scale: torch.Tensor  # (out, groups)
    zero: torch.Tensor  # (out, groups): the level, 0 to 15, of zero

    @classmethod
    def pack(cls, linear: nn.Linear) -> None:
        """Make a layer one of these, whose weight torchao has quantised."""
        weight: Any = linear.weight
        levels = (weight.qdata + 8).to(torch.uint8)
        linear.__class__ = cls
        linear.register_buffer('packed', levels[:, ::2] | levels[:, 1::2] << 4)
        linear.register_buffer('scale', weight.scale)
        linear.register_buffer('zero', (weight.zero_point + 8).to(weight.scale.dtype))
        del linear.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = torch.stack((self.packed & 15, self.packed >> 4), dim=-1).to(self.scale.dtype)
        grouped = levels.flatten(1).unflatten(1, (self.scale.shape[1], -1))
        weight = (grouped - self.zero[..., None]) * self.scale[..., None]
        return functional.linear(x, weight.flatten(1), self.bias)


def quantize(linear: nn.Linear, kind: str, few_rows: bool = False) -> None:
    """
    Replace a layer's weight, which lies on its device, by a quantised one.

    few_rows: the layer has a handful of rows at a time, as the head has. Raises ImportError
    without torchao, ValueError for what it cannot do.
    """
    try:
        from torchao.quantization import (
            Float8DynamicActivationFloat8WeightConfig,
            Int4WeightOnlyConfig,
            Int8DynamicActivationInt8WeightConfig,
            Int8WeightOnlyConfig,
            IntxWeightOnlyConfig,
            MappingType,
            PerGroup,
            PerRow,
            quantize_,
        )
    except ImportError as error:
        raise ImportError(f'{kind} weights need torchao: pip install torchao==0.18.0') from error
    cuda = linear.weight.device.type == 'cuda'
    if kind == 'fp8':
        if not cuda or torch.cuda.get_device_capability(linear.weight.device) < (8, 9):
            raise ValueError('fp8 weights need a GPU that has FP8: Ada, Hopper or later')
        config = Float8DynamicActivationFloat8WeightConfig(
            granularity=PerRow(), set_inductor_config=False
        )
    elif kind == 'int8':
        activations = Int8DynamicActivationInt8WeightConfig(set_inductor_config=False)
        config = activations if cuda else Int8WeightOnlyConfig()
    elif cuda and few_rows:
        if linear.weight.dtype != torch.bfloat16:
            raise ValueError(f'int4 weights need bfloat16 on CUDA, not {linear.weight.dtype}')
        config = Int4WeightOnlyConfig(
            group_size=group_size(linear.in_features),
            int4_packing_format='tile_packed_to_4d',
            set_inductor_config=False,
        )
    else:
        config = IntxWeightOnlyConfig(
            getattr(torch, kind), PerGroup(group_size(linear.in_features)), MappingType.ASYMMETRIC
        )
    quantize_(linear, config)
    if kind == 'int4' and cuda and not few_rows:
        PackedLinear.pack(linear)
