"""
INT8 and INT4 weights for the language model's products: weight-only, by torchao.

Embeddings, norms and biases, both encoders and both memories keep their dtype. INT8 has a scale
per output channel; INT4 a scale and a zero point per group of input channels. On CUDA the INT4
weights lie packed for torch's own INT4 kernel, which computes in bfloat16; elsewhere the same
sixteen levels lie in bytes, which shows what INT4 decides but not what it saves.
"""

from __future__ import annotations

import torch
from torch import nn

KINDS = ('int8', 'int4')
GROUP_SIZES = 128, 64, 32  # input channels that share a scale; the first that divides


def belongs(name: str, kind: str | None) -> bool:
    """
    Whether a tensor of the checkpoint is a weight that is quantised.

    INT8 leaves the head as it is: torchao multiplies by a copy in the input's dtype, which would
    take more room than the head's INT8 weights save.
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
    if kind == 'int8':
        return out * (channels + 4)
    return out * channels // 2 + out * channels // group_size(channels) * 4


def quantize(linear: nn.Linear, kind: str) -> None:
    """
    Replace a layer's weight, which lies on its device, by a quantised one.

    Raises ImportError without torchao, ValueError for what it cannot do.
    """
    try:
        from torchao.quantization import (
            Int4WeightOnlyConfig,
            Int8WeightOnlyConfig,
            IntxWeightOnlyConfig,
            MappingType,
            PerGroup,
            quantize_,
        )
    except ImportError as error:
        raise ImportError(f'{kind} weights need torchao: pip install torchao==0.18.0') from error
    if kind == 'int8':
        config = Int8WeightOnlyConfig()
    elif linear.weight.device.type == 'cuda':
        if linear.weight.dtype != torch.bfloat16:
            raise ValueError(f'int4 weights need bfloat16 on CUDA, not {linear.weight.dtype}')
        config = Int4WeightOnlyConfig(
            group_size=group_size(linear.in_features), int4_packing_format='tile_packed_to_4d'
        )
    else:
        config = IntxWeightOnlyConfig(
            getattr(torch, kind), PerGroup(group_size(linear.in_features)), MappingType.ASYMMETRIC
        )
    quantize_(linear, config)
