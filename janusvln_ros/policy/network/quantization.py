"""
INT8, FP8 and INT4 weights for the language model's products, by torchao.

Embeddings, norms and biases, both encoders and both memories keep their dtype. INT8 and FP8 have a
scale per output channel and, on a GPU, multiply with activations of their kind, with a scale per
token; INT4 has a scale and a zero point per group of input channels. On CUDA two INT4 weights lie
in a byte and are unpacked for each product, but for the head, of which few rows are wanted at a
time: it has torch's own INT4 kernel. Elsewhere the same sixteen levels lie in bytes, which shows
what INT4 decides but not what it saves.

While an adapter is trained, gradients pass through weights that stay as they are. Then, on every
device, INT8 weights lie in bytes and two INT4 weights in one, and are unpacked for each product.
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


class _Product(torch.autograd.Function):
    """A product whose weight is unpacked for either pass, and kept for neither."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, layer: UnpackedLinear) -> torch.Tensor:
        context.layer = layer
        return functional.linear(x, layer.unpack(), layer.bias)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = gradients
        return gradient @ context.layer.unpack().to(gradient.dtype), None


class UnpackedLinear(nn.Linear):
    """
    A linear layer whose weight is unpacked for each product; gradients pass to its input.

    `weight` holds the levels, whole numbers.
    """

    def unpack(self) -> torch.Tensor:
        """Make what is multiplied by (out, in)."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad:
            return _Product.apply(x, self)
        return functional.linear(x, self.unpack(), self.bias)

    @classmethod
    def _become(cls, linear: nn.Linear, levels: torch.Tensor, **buffers: torch.Tensor) -> None:
        linear.__class__ = cls
        linear.weight = nn.Parameter(levels, requires_grad=False)
        for name, tensor in buffers.items():
            linear.register_buffer(name, tensor, persistent=False)  # no part of training's state


class BytesLinear(UnpackedLinear):
    """A linear layer of INT8 weights, (out, in) int8."""

    scale: torch.Tensor  # (out, 1) float32
    dtype: torch.dtype  # of what is unpacked

    @classmethod
    def pack(cls, linear: nn.Linear) -> None:
        """Make a layer one of these, whose weight torchao has quantised."""
        weight: Any = linear.weight
        cls._become(linear, weight.qdata, scale=weight.scale)
        linear.dtype = weight.dtype

    def unpack(self) -> torch.Tensor:
        whole = torch.empty_like(self.weight, dtype=self.dtype)
        return torch.mul(self.weight, self.scale, out=whole)


class PackedLinear(UnpackedLinear):
    """
    A linear layer of INT4 weights, (out, in / 2) uint8.

    Of two neighbours the first lies in the low bits.
    """

    scale: torch.Tensor  # (out, groups)
    zero: torch.Tensor  # (out, groups): the level, 0 to 15, of zero

    @classmethod
    def pack(cls, linear: nn.Linear) -> None:
        """Make a layer one of these, whose weight torchao has quantised."""
        weight: Any = linear.weight
        levels = (weight.qdata + 8).to(torch.uint8)
        packed = levels[:, ::2] | levels[:, 1::2] << 4
        zero = (weight.zero_point + 8).to(weight.scale.dtype)
        cls._become(linear, packed, scale=weight.scale, zero=zero)

    def unpack(self) -> torch.Tensor:
        levels = torch.stack((self.weight & 15, self.weight >> 4), dim=-1).to(self.scale.dtype)
        grouped = levels.flatten(1).unflatten(1, (self.scale.shape[1], -1))
        return grouped.sub_(self.zero[..., None]).mul_(self.scale[..., None]).flatten(1)


def unpacked_sizes(network: nn.Module) -> list[int]:
    """Numbers in each weight of a network that is unpacked for its products."""
    return [layer.in_features * layer.out_features for layer in _unpacked(network)]


def count(network: nn.Module) -> int:
    """Parameters of a network, however they lie in memory."""
    levels = sum(layer.weight.numel() for layer in _unpacked(network))
    return sum(p.numel() for p in network.parameters()) - levels + sum(unpacked_sizes(network))


def _unpacked(network: nn.Module) -> list[UnpackedLinear]:
    return [layer for layer in network.modules() if isinstance(layer, UnpackedLinear)]


def quantize(
    linear: nn.Linear, kind: str, few_rows: bool = False, gradients: bool = False
) -> None:
    """
    Replace a layer's weight, which lies on its device, by a quantised one.

    few_rows: the layer has a handful of rows at a time, as the head has. gradients: they pass to
    the layer's input; not with FP8. Raises ImportError without torchao, ValueError for what it
    cannot do.
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
        config = activations if cuda and not gradients else Int8WeightOnlyConfig()
    elif cuda and few_rows and not gradients:
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
    if kind == 'int4' and (gradients or cuda and not few_rows):
        PackedLinear.pack(linear)
    elif kind == 'int8' and gradients:
        BytesLinear.pack(linear)
