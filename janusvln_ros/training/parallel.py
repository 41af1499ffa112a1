"""
Several processes, started by torchrun: torch's fully sharded data parallel (FSDP2).

Nothing here is needed for one process. `torchrun --nproc_per_node=8 -m janusvln_ros.cli train …`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
import os
from pathlib import Path

from janusvln_ros.policy.network import checkpoint, quantization
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.network.geometry import Block as GeometryBlock
from janusvln_ros.policy.network.language import DecoderLayer
from janusvln_ros.policy.network.semantics import Block as VisionBlock
import torch
from torch import distributed, nn
from torch.distributed.algorithms._checkpoint import checkpoint_wrapper
from torch.distributed.checkpoint import HuggingFaceStorageReader, load
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, MixedPrecisionPolicy

UNITS = (DecoderLayer, VisionBlock, GeometryBlock)  # sharded one by one
_GIB = 2**30
_MODEL = 'model.'
_waiting: list[distributed.ProcessGroup] = []  # in which all processes wait for each other


def rank() -> int:
    """Give this process's number."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world() -> int:
    """Give how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


@contextmanager
def processes(device: str) -> Iterator[torch.device]:
    """Join the processes that torchrun started, if it did; give the device of this one."""
    started = int(os.environ.get('WORLD_SIZE', '1')) > 1
    if device == 'cuda' and not torch.cuda.is_available():
        raise RuntimeError("no CUDA device was found; use device 'cpu'")
    local = torch.device(device)
    if device == 'cuda':
        local = torch.device('cuda', int(os.environ.get('LOCAL_RANK', '0')))
    if local.type == 'cuda':
        torch.cuda.set_device(local)
    if started:
        distributed.init_process_group('nccl' if local.type == 'cuda' else 'gloo')
        # Others may wait for hours for what one of them collects or measures.
        _waiting.append(distributed.new_group(backend='gloo', timeout=timedelta(days=7)))
    try:
        yield local
    finally:
        if started:
            _waiting.clear()
            distributed.destroy_process_group()


def checkpoint_activations(network: nn.Module) -> None:
    """Recompute the language model's layers in the backward pass instead of keeping them."""
    checkpoint_wrapper.apply_activation_checkpointing(
        network, check_fn=lambda module: isinstance(module, DecoderLayer)
    )


def shard(network: nn.Module, device: torch.device, dtype: str) -> None:
    """
    Shard a network over all processes, block by block; the rest with the whole.

    What is on the meta device stays there.
    """
    mesh = init_device_mesh(device.type, (world(),))
    # The geometry encoder's residual stream is float32 also where weights are not.
    policy = MixedPrecisionPolicy(cast_forward_inputs=False)
    if dtype == 'bfloat16' and device.type == 'cuda':
        policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
    for module in network.modules():
        if isinstance(module, UNITS):
            fully_shard(module, mesh=mesh, mp_policy=policy)
    fully_shard(network, mesh=mesh, mp_policy=policy)


def tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """Give the tensors of the network's model, without auxiliary heads, by the model's names."""
    return {
        name.removeprefix(_MODEL): tensor
        for name, tensor in get_model_state_dict(network).items()
        if name.startswith(_MODEL) and isinstance(tensor, torch.Tensor)
    }


def read_weights(network: nn.Module, device: torch.device, folder: Path) -> None:
    """
    Fill the model of a sharded network, which is on the meta device, from a checkpoint.

    A process reads only what it keeps. CheckpointError as of `checkpoint.load`.
    """
    for module in network.modules():
        if any(parameter.is_meta for parameter in module.parameters(recurse=False)):
            module.to_empty(device=device, recurse=False)
    state = tensors(network)
    wanted = {name: tuple(tensor.shape) for name, tensor in state.items()}
    checkpoint.check(wanted, checkpoint.tensor_files(folder), origin=str(folder))
    load(state, storage_reader=HuggingFaceStorageReader(str(folder)))


def agree(flag: bool = False) -> bool:
    """Wait for all processes, for as long as it takes; tell whether one of them said true."""
    if not distributed.is_initialized():
        return flag
    value = torch.tensor(float(flag))
    distributed.all_reduce(value, distributed.ReduceOp.MAX, group=_waiting[0])
    return bool(value)


def estimate(
    network: nn.Module, config: JanusConfig, *, tokens: int, processes: int, recompute: bool
) -> dict[str, float]:
    """
    Estimate the memory of one process in GiB, by part.

    tokens: of the language model in one forward pass. Weights, in their dtypes, float32 gradients
    and AdamW's two moments are sharded; activations are bfloat16. Where PEFT's adapters learn,
    products with frozen weights keep no input, each adapter keeps its own and dropout's mask. The
    network may be on the meta device.
    """
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in network.parameters() if not p.requires_grad)
    units = [
        sum(p.numel() for p in module.parameters())
        for module in network.modules()
        if isinstance(module, UNITS)
    ]
    rest = trained + frozen - sum(units)
    language = config.language
    adapters = [p.shape[1] for name, p in network.named_parameters() if '.lora_A.' in name]
    states = 16 * language.hidden_size if adapters else 20 * language.hidden_size
    read = 3 * sum(adapters) / language.num_layers
    layer = tokens * (states + 6 * language.intermediate_size + read)
    layers = (
        tokens * language.hidden_size * 2 * language.num_layers + layer
        if recompute
        else layer * language.num_layers
    )
    logits = 64 * language.vocab_size * 4 * 3
    weights = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
    weights += 2 * max(quantization.unpacked_sizes(network), default=0)  # bfloat16, one at a time
    parts = {
        'weights': weights / processes,
        'gradients and moments': 12 * trained / processes,
        'gathered block and rest': 2 * (2 * max(units, default=0) + rest) if processes > 1 else 0,
        'activations': layers + logits,
    }
    return {name: size / _GIB for name, size in parts.items()}
