"""
The published checkpoint layout: safetensors shards to modules, and back.

No pickle, no remote code. Tensors that inference never reads are not loaded.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open, SafetensorError
import torch

from janusvln_ros.policy.config import CheckpointError, JanusConfig, read_json
from janusvln_ros.policy.model import JanusModel

UNUSED = ('vggt.point_head.', 'vggt.depth_head.', 'vggt.aggregator.patch_embed.mask_token')


def build(config: JanusConfig) -> JanusModel:
    """Build the modules on the meta device: names and shapes, no storage."""
    with torch.device('meta'):
        return JanusModel(config)


def load(folder: str | Path, config: JanusConfig, device: torch.device, dtype: torch.dtype) -> JanusModel:
    """
    Load a folder's tensors straight to the device, one by one.

    Raises CheckpointError that names every missing, unexpected and misshapen key.
    """
    model = build(config)
    index = tensor_index(folder)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    problems = [f'missing {name}' for name in wanted if name not in index]
    problems += [f'unexpected {name}' for name in index if name not in wanted and not name.startswith(UNUSED)]
    tensors = {}
    for path in sorted(set(index.values())):
        with open_shard(path, device) as shard:
            for name in shard.keys():
                if name not in wanted:
                    continue
                shape = tuple(shard.get_slice(name).get_shape())
                if shape != wanted[name]:
                    problems.append(f'misshapen {name}: {shape} instead of {wanted[name]}')
                elif not problems:
                    tensors[name] = shard.get_tensor(name).to(dtype, copy=True)
    if problems:
        raise CheckpointError(f'{folder} is no complete JanusVLN checkpoint; {len(problems)} tensors are wrong:\n'
                              + '\n'.join(problems))
    model.load_state_dict(tensors, assign=True)
    return model


def tensor_index(folder: str | Path) -> dict[str, Path]:
    """Find which file of a folder holds which tensor; CheckpointError when files are missing or damaged."""
    folder = Path(folder)
    if (folder / 'model.safetensors.index.json').exists():
        paths = {folder / name for name in read_json(folder / 'model.safetensors.index.json')['weight_map'].values()}
    else:
        paths = {folder / 'model.safetensors'}
    index = {}
    for path in sorted(paths):
        with open_shard(path, 'cpu') as shard:
            index.update((name, path) for name in shard.keys())
    return index


def open_shard(path: Path, device: torch.device | str) -> safe_open:
    """Open a safetensors file; CheckpointError with its path when it is missing or damaged."""
    if not path.exists():
        raise CheckpointError(f'no file {path}; the weights come as safetensors')
    try:
        return safe_open(path, 'pt', device=str(device))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f'{path} is damaged: {error}') from error


def read_vision_colours(folder: str | Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read mean and deviation of the vision tower's pixels from ``preprocessor_config.json``."""
    config = read_json(Path(folder) / 'preprocessor_config.json')
    return tuple(config['image_mean']), tuple(config['image_std'])
