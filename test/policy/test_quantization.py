"""INT8 and INT4 weights of the language model."""

from importlib.util import find_spec

from janusvln_ros.policy import JanusPolicy, MemoryConfig
from janusvln_ros.policy.network import quantization
import pytest
import torch
from torch import nn

# Not imported to see whether it is there: that takes seconds, of every process that runs tests.
pytestmark = pytest.mark.skipif(
    find_spec('torchao') is None, reason='torchao is missing: quantised weights are optional'
)


def layer(channels=128, out=64):
    torch.manual_seed(0)
    return nn.Linear(channels, out, bias=False, dtype=torch.bfloat16).requires_grad_(False)


# INT4's zero point is rounded too, so that the outermost value may be off by a whole level
@pytest.mark.parametrize('kind, levels, part', [('int8', 127, 0.5), ('int4', 7.5, 1)])
def test_product_is_off_by_the_last_level_at_most(kind, levels, part):
    linear, x = layer(), torch.eye(128, dtype=torch.bfloat16)
    exact = linear(x).float()
    quantization.quantize(linear, kind)
    error = (linear(x).float() - exact).abs().max()
    rounding = 2**-8  # of bfloat16, on top
    assert 0 < error < exact.abs().max() * (part / levels + rounding)


LAYERS = 'model.layers.0.self_attn.q_proj.weight', 'model.layers.27.mlp.down_proj.weight'
OTHERS = (
    'model.layers.0.self_attn.q_proj.bias',
    'model.embed_tokens.weight',
    'model.norm.weight',
    'model.layers.0.input_layernorm.weight',
    'visual.merger.mlp.0.weight',
    'visual.blocks.0.mlp.gate_proj.weight',
    'merger.mlp.0.weight',
    'vggt.aggregator.frame_blocks.0.attn.proj.weight',
)


@pytest.mark.parametrize(
    'kind, wanted',
    [(None, ()), ('int8', LAYERS), ('fp8', LAYERS), ('int4', (*LAYERS, 'lm_head.weight'))],
)
def test_what_belongs_to_the_language_model(kind, wanted):
    names = (*LAYERS, 'lm_head.weight', *OTHERS)
    assert tuple(name for name in names if quantization.belongs(name, kind)) == wanted


def test_bytes_of_a_weight():
    linear = layer()
    quantization.quantize(linear, 'int8')
    stored = sum(getattr(linear.weight, name).nbytes for name in ('qdata', 'scale'))
    assert quantization.weight_bytes((64, 128), 'int8') == stored
    assert quantization.weight_bytes((64, 256), 'int4') == 64 * 128 + 64 * 2 * 2 * 2


def test_channels_that_do_not_divide_are_refused():
    assert quantization.group_size(3584) == 128
    assert quantization.group_size(96) == 32
    with pytest.raises(ValueError, match='100 input channels'):
        quantization.group_size(100)


def test_packed_levels_are_those_in_bytes():
    """What CUDA multiplies with, on a CPU."""
    linear, x = layer(256), torch.randn(3, 256, dtype=torch.bfloat16)
    quantization.quantize(linear, 'int4')
    wanted = linear(x)
    quantization.PackedLinear.pack(linear)
    assert torch.equal(linear(x), wanted)
    stored = sum(x.nbytes for x in (*linear.parameters(), *linear.buffers()))
    assert stored == quantization.weight_bytes((64, 256), 'int4')


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('kind', ['int8', 'int4'])
def test_gradients_pass_to_the_input(kind, dtype):
    """Through the same levels that a policy has; nothing of a weight's size is kept for them."""
    linear, plain = layer(256).to(dtype), layer(256).to(dtype)
    linear.bias = plain.bias = nn.Parameter(torch.randn(64, dtype=dtype), requires_grad=False)
    quantization.quantize(linear, kind, gradients=True)
    quantization.quantize(plain, kind)
    x = torch.randn(2, 3, 256, dtype=dtype, requires_grad=True)
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = linear(x)
    assert not any(tensor.numel() >= 64 * 256 for tensor in kept)
    with torch.no_grad():
        torch.testing.assert_close(linear(x), y, rtol=0, atol=0)
        torch.testing.assert_close(y, plain(x), rtol=0.02, atol=0.01)
    upstream = torch.randn_like(y)
    y.backward(upstream)
    whole = linear.unpack()
    assert whole.dtype == dtype and torch.equal(whole, plain.weight.dequantize())
    assert torch.equal(x.grad, upstream @ whole)
    assert all(parameter.grad is None for parameter in linear.parameters())
    stored = sum(tensor.nbytes for tensor in (linear.weight, *linear.buffers()))
    assert stored == quantization.weight_bytes((64, 256), kind) or dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize('kind, tolerance', [('int8', 0.1), ('int4', 0.7)])
def test_policy_runs_on_them(checkpoint_folder, make_frames, kind, tolerance):
    def logits(weights):
        policy = JanusPolicy.from_pretrained(
            checkpoint_folder,
            device='cpu',
            dtype='bfloat16',
            language_weights=weights,
            memory=MemoryConfig('windowed', initial_frames=1, recent_frames=2),
        )
        policy.reset('Go to the sofa.')
        return torch.stack([policy.step(frame).logits for frame in make_frames(5)])

    exact, quantised = logits(None), logits(kind)
    assert 0 < (quantised - exact).norm() / exact.norm() < tolerance


def test_unknown_kind_is_refused(checkpoint_folder):
    with pytest.raises(ValueError, match="'fp4': neither"):
        JanusPolicy.from_pretrained(checkpoint_folder, device='cpu', language_weights='fp4')


def test_fp8_is_refused_where_there_is_none():
    with pytest.raises(ValueError, match='fp8 weights need a GPU that has FP8'):
        quantization.quantize(layer(), 'fp8')
