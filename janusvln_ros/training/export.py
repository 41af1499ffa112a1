"""The published layout, written from what is being trained."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import os
from pathlib import Path
import shutil

from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import read_json
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.training.parallel import agree, rank, tensors, world
from safetensors.torch import save_file
import torch
from torch import nn
from torch.distributed.tensor import DTensor


def export(network: nn.Module, folder: Path, source: Path) -> None:
    """
    Write the model, without auxiliary heads, in the published layout; replace what is there.

    Its tensors are float32; those that are not trained are copied from `source`, but for dense
    heads where the geometry encoder that they read was trained: they would tell lies. Every
    process writes some of the files, one tensor of which is whole on a GPU at a time; all are
    there for all processes on return.
    """
    state = tensors(network)
    moved = any(
        parameter.requires_grad
        for name, parameter in network.named_parameters()
        if name.startswith('model.vggt.aggregator.')
    )
    left = tuple({*checkpoint.UNUSED} - {*(checkpoint.HEAD_PREFIXES if moved else ())})
    unused = {
        name: (path, torch.Size(shape))
        for path, names in checkpoint.tensor_files(source).items()
        for name, shape in names.items()
        if name.startswith(left)
    }
    count = {name: tensor.numel() for name, tensor in state.items()}
    count |= {name: shape.numel() for name, (_, shape) in unused.items()}
    shards = _shards({name: 4 * numbers for name, numbers in count.items()})
    fresh = folder.with_name(folder.name + '.new')
    if rank() == 0:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
    agree()
    with ThreadPoolExecutor(1) as writer:
        written = []
        for number, names in enumerate(shards):
            mine = number % world() == rank()
            own = {}
            for name in names:
                if name in state:
                    whole = _whole(state[name])  # by all processes together
                elif mine:
                    with checkpoint.open_shard(unused[name][0], 'cpu') as shard:
                        whole = shard.get_tensor(name)
                if mine:
                    own[name] = whole.to('cpu', torch.float32).contiguous()
            if mine:
                path = fresh / checkpoint.shard_name(number, len(shards))
                written.append(writer.submit(save_file, own, path, {'format': 'pt'}))
        for file in written:
            file.result()
    agree()
    if rank() == 0:
        config = {**read_json(source / 'config.json'), 'torch_dtype': 'float32'}
        sizes = [(names, sum(4 * count[name] for name in names)) for names in shards]
        checkpoint.describe(fresh, config, sizes, [source])
        _replace(folder, fresh)
    agree()


def replace_checkpoint(model: JanusModel, folder: Path, source: Path) -> None:
    """Write a model in the published layout; files that are no part of it stay (a model card)."""
    fresh = folder.with_name(folder.name + '.new')
    shutil.rmtree(fresh, ignore_errors=True)
    checkpoint.save(model, fresh, source)
    _replace(folder, fresh)


def _replace(folder: Path, fresh: Path) -> None:
    """Move a checkpoint to where another one may be; no file of weights of that one stays."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {file.name for file in fresh.iterdir()}
    for name in names:
        os.replace(fresh / name, folder / name)
    fresh.rmdir()
    for old in (*folder.glob('model*.safetensors'), folder / checkpoint.INDEX):
        if old.name not in names:
            old.unlink(missing_ok=True)


def _shards(nbytes: dict[str, int]) -> list[list[str]]:
    """Divide tensors among files, in order."""
    shards: list[list[str]] = []
    room = 0
    for name, size in nbytes.items():
        if not shards or size > room:
            shards.append([])
            room = checkpoint.SHARD_BYTES
        shards[-1].append(name)
        room -= size
    return shards


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
