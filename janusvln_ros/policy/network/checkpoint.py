"""
The published checkpoint layout: safetensors shards to modules, and back.

No pickle, no remote code. Tensors that nobody asked for (VGGT's dense heads, DINOv2's mask token)
are not loaded; `save` copies them over from the folder that the model came from, so that the
published code finds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
import json
from pathlib import Path
import shutil
from typing import Any

from janusvln_ros.policy.network import quantization
from janusvln_ros.policy.network.adapter import Adapter
from janusvln_ros.policy.network.config import (
    CheckpointError,
    GeometryConfig,
    JanusConfig,
    read_json,
)
from janusvln_ros.policy.network.fusion import GeometryMerger
from janusvln_ros.policy.network.heads import HEADS
from janusvln_ros.policy.network.model import JanusModel
from safetensors import safe_open, SafetensorError
from safetensors.torch import save_file
import torch
from torch import nn

HEAD_PREFIXES = tuple(f'vggt.{name}.' for name in HEADS)
UNUSED = (*HEAD_PREFIXES, 'vggt.aggregator.patch_embed.mask_token')
INDEX = 'model.safetensors.index.json'
SINGLE = 'model.safetensors'
# As safetensors names them.
DTYPES = {'BF16': torch.bfloat16, 'F16': torch.float16, 'F32': torch.float32}
SHARD_BYTES = 5_000_000_000


def build(config: JanusConfig, heads: Iterable[str] = ()) -> JanusModel:
    """Build the modules on the meta device: names and shapes, no storage."""
    with torch.device('meta'):
        return JanusModel(config, heads)


def load(
    folder: str | Path,
    config: JanusConfig,
    device: torch.device,
    dtype: torch.dtype,
    language_weights: str | None = None,
    host: frozenset[str] = frozenset(),
    heads: Iterable[str] = (),
    adapter: Adapter | None = None,
    gradients: bool = False,
) -> JanusModel:
    """
    Load a folder's tensors straight to the device in `dtype`, one by one.

    language_weights: one of `quantization.KINDS`; each weight is quantised as it arrives, so that
    there is never room needed for all of them. host: names of tensors that stay in host memory.
    heads: dense heads that are loaded too, in float32, as the published code runs them.
    adapter: is added to the weights as they arrive, before they are quantised.
    gradients: pass through what is quantised.
    Raises CheckpointError that names every missing, unexpected and misshapen key.
    """
    files = tensor_files(folder)
    for head in heads:
        config = replace(config, geometry=_with_sizes(config.geometry, head, files, str(folder)))
    model = build(config, heads)
    wanted = shapes(model)
    check(wanted, files, origin=str(folder))
    if adapter is not None:
        adapter.check(wanted)

    def tensors() -> Iterator[tuple[str, torch.Tensor]]:
        for path, names in files.items():
            with open_shard(path, device) as shard, open_shard(path, 'cpu') as host_shard:
                for name in filter(wanted.__contains__, names):
                    tensor = (host_shard if name in host else shard).get_tensor(name)
                    kind = torch.float32 if name.startswith(HEAD_PREFIXES) else dtype
                    if adapter is not None:
                        tensor = adapter.add(name, tensor)
                    yield name, tensor.to(kind, copy=True)

    return fill(model, tensors(), language_weights, gradients)


def _with_sizes(
    config: GeometryConfig,
    head: str,
    files: Mapping[Path, Mapping[str, tuple[int, ...]]],
    origin: str,
) -> GeometryConfig:
    """Take a head's sizes, which no configuration has to state, from its tensors' shapes."""
    found = {name: shape for names in files.values() for name, shape in names.items()}
    try:
        features = found[f'vggt.{head}.scratch.layer1_rn.weight'][0]
        sizes = [found[f'vggt.{head}.projects.{level}.weight'][0] for level in range(4)]
    except KeyError as error:
        raise CheckpointError(
            f'{origin} has no whole {head}: {error} is missing; geometry_heads "none" would do'
        ) from error
    return replace(config, head_features=features, head_out_channels=tuple(sizes))


def fill(
    model: JanusModel,
    tensors: Iterable[tuple[str, torch.Tensor]],
    language_weights: str | None = None,
    gradients: bool = False,
) -> JanusModel:
    """
    Give a model its tensors one by one, quantised as they arrive; return it.

    gradients: pass through what is quantised. The head is not, then: it would be unpacked whole
    for each product, in more room than it would save.
    """
    for name, tensor in tensors:
        parent, _, leaf = name.rpartition('.')
        module = model.get_submodule(parent)
        setattr(module, leaf, nn.Parameter(tensor))
        if not language_weights or not isinstance(module, nn.Linear):
            continue
        head = module is model.lm_head
        if quantization.belongs(name, language_weights) and not (gradients and head):
            quantization.quantize(module, language_weights, head, gradients)
    return model


def shapes(model: JanusModel) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's tensors."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def check(
    wanted: Mapping[str, tuple[int, ...]],
    files: Mapping[Path, Mapping[str, tuple[int, ...]]],
    origin: str,
) -> None:
    """Raise CheckpointError naming every difference between a model and what files hold."""
    found = {name: shape for names in files.values() for name, shape in names.items()}
    missing = sorted(wanted.keys() - found.keys())
    unexpected = sorted(
        name for name in found.keys() - wanted.keys() if not name.startswith(UNUSED)
    )
    misshapen = sorted(
        name for name in found.keys() & wanted.keys() if found[name] != wanted[name]
    )
    if not (missing or unexpected or misshapen):
        return
    lines = [
        f'{origin} does not hold the tensors that its config.json describes: '
        f'{len(missing)} missing, {len(unexpected)} unexpected, {len(misshapen)} misshapen'
    ]
    if not any(name.startswith('vggt.') for name in found):
        lines.append('there is no geometry encoder (vggt.*) in it: a plain Qwen2.5-VL checkpoint?')
    lines += [f'missing: {name} {wanted[name]}' for name in missing]
    lines += [f'unexpected: {name} {found[name]}' for name in unexpected]
    lines += [
        f'misshapen: {name} is {found[name]}, should be {wanted[name]}' for name in misshapen
    ]
    raise CheckpointError('\n'.join(lines))


def tensor_files(folder: str | Path) -> dict[Path, dict[str, tuple[int, ...]]]:
    """
    List a folder's safetensors files with names and shapes of what they hold.

    Raises CheckpointError when the folder or a file is missing or damaged, or holds numbers of
    another kind.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f'no folder {folder}; a checkpoint is a folder with config.json and {SINGLE}'
        )
    weight_map = (
        read_json(folder / INDEX).get('weight_map') if (folder / INDEX).exists() else {'': SINGLE}
    )
    if not isinstance(weight_map, dict):
        raise CheckpointError(f'{folder / INDEX} has no weight_map')
    files = {}
    for path in sorted({folder / name for name in weight_map.values()}):
        with open_shard(path, 'cpu') as shard:
            slices = {name: shard.get_slice(name) for name in shard.keys()}
            for name, tensor in slices.items():
                if tensor.get_dtype() not in DTYPES:
                    raise CheckpointError(
                        f'{path}: {name} is stored as {tensor.get_dtype()}; only '
                        f'{", ".join(DTYPES)} are read'
                    )
            files[path] = {name: tuple(tensor.get_shape()) for name, tensor in slices.items()}
    return files


def stored_dtype(folder: str | Path) -> torch.dtype:
    """Tell the dtype of a checkpoint's embeddings; CheckpointError as of `tensor_files`."""
    name = 'model.embed_tokens.weight'
    for path, names in tensor_files(folder).items():
        if name in names:
            with open_shard(path, 'cpu') as shard:
                return DTYPES[shard.get_slice(name).get_dtype()]
    raise CheckpointError(f'{folder} has no {name}')


def open_shard(path: Path, device: torch.device | str) -> safe_open:
    """Open a safetensors file; CheckpointError with its path when it is missing or damaged."""
    if not path.exists():
        raise CheckpointError(f'no file {path}; weights are read from safetensors only')
    try:
        return safe_open(path, 'pt', device=str(device))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f'{path} is damaged or no safetensors file: {error}') from error


def unused(folder: str | Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Read the tensors that decisions do not need, dense heads among them, one by one."""
    for path, names in tensor_files(folder).items():
        with open_shard(path, 'cpu') as shard:
            for name in names:
                if name.startswith(UNUSED):
                    yield name, shard.get_tensor(name)


def save(model: JanusModel, folder: str | Path, source: str | Path) -> Path:
    """
    Write a model in the published layout to a new folder.

    source: the folder that it was loaded from; configuration, tokenizer and the tensors that
    inference does not read are copied from there. Raises FileExistsError rather than overwrite.
    """

    def tensors() -> Iterator[tuple[str, torch.Tensor]]:
        yield from model.state_dict().items()
        for name, tensor in unused(source):
            yield name, tensor.to(model.dtype)

    config = {
        **read_json(Path(source) / 'config.json'),
        'torch_dtype': str(model.dtype).removeprefix('torch.'),
    }
    return write(folder, config, tensors(), companions=[source])


def start(
    qwen: str | Path, vggt: str | Path, folder: str | Path, dtype: torch.dtype = torch.bfloat16
) -> Path:
    """
    Write the model that training starts from: Qwen2.5-VL's and VGGT's weights, a fresh merger.

    qwen: folder of Qwen2.5-VL-7B-Instruct; vggt: folder of VGGT-1B (keys ``aggregator.*``), both
    safetensors. Raises CheckpointError when the two do not make up a complete model,
    FileExistsError rather than overwrite.
    """
    description = {
        **read_json(Path(qwen) / 'config.json'),
        'lam': 0.2,
        'reference_frame': 'first',
        'architectures': ['Qwen2_5_VLForConditionalGenerationForJanusVLN'],
        'torch_dtype': str(dtype).removeprefix('torch.'),
    }
    geometry = Path(vggt) / 'vggt_config.json'
    config = JanusConfig.from_dicts(
        description, read_json(geometry) if geometry.exists() else None, str(qwen)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        merger = GeometryMerger(
            2 * config.geometry.embed_dim, config.merger_hidden_dim, config.language.hidden_size
        )
    fresh = {f'merger.{name}': tensor for name, tensor in merger.state_dict().items()}
    sources = {path: {name: name for name in names} for path, names in tensor_files(qwen).items()}
    for path, names in tensor_files(vggt).items():
        sources[path] = {
            name: f'vggt.{name}'
            for name in names
            if name.startswith(('aggregator.', 'point_head.', 'depth_head.'))
        }
    found = {
        path: {
            sources[path][name]: shape for name, shape in names.items() if name in sources[path]
        }
        for path, names in (tensor_files(qwen) | tensor_files(vggt)).items()
    }
    found[Path('merger')] = {name: tuple(tensor.shape) for name, tensor in fresh.items()}
    check(shapes(build(config)), found, origin=f'{qwen} with {vggt}')

    def tensors() -> Iterator[tuple[str, torch.Tensor]]:
        for path, names in sources.items():
            with open_shard(path, 'cpu') as shard:
                for name, published in names.items():
                    yield published, shard.get_tensor(name).to(dtype)
        for name, tensor in fresh.items():
            yield name, tensor.to(dtype)

    return write(folder, description, tensors(), companions=[qwen, vggt])


def write(
    folder: str | Path,
    config: Mapping[str, Any],
    tensors: Iterable[tuple[str, torch.Tensor]],
    companions: Iterable[str | Path] = (),
) -> Path:
    """
    Write a checkpoint folder: config.json, safetensors, the small files of other folders.

    The folder appears complete or not at all. Raises FileExistsError rather than overwrite.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f'{folder} exists; a checkpoint is written to a new folder')
    partial = folder.with_name(folder.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shards = list(_write_shards(partial, tensors))
    for number, (path, _, _) in enumerate(shards):
        path.rename(partial / shard_name(number, len(shards)))
    describe(partial, config, [(names, nbytes) for _, names, nbytes in shards], companions)
    partial.rename(folder)
    return folder


def shard_name(number: int, count: int) -> str:
    """Name one of `count` files of tensors, counted from 0."""
    return SINGLE if count == 1 else f'model-{number + 1:05}-of-{count:05}.safetensors'


def describe(
    folder: Path,
    config: Mapping[str, Any],
    shards: Sequence[tuple[Sequence[str], int]],
    companions: Iterable[str | Path],
) -> None:
    """Write what stands beside the files of tensors: each has some names and bytes."""
    for companion in companions:
        for file in Path(companion).iterdir():
            if file.suffix in ('.json', '.jinja', '.txt') and file.name not in (
                INDEX,
                'config.json',
            ):
                shutil.copyfile(file, folder / file.name)
    (folder / 'config.json').write_text(json.dumps(config, indent=2) + '\n', encoding='utf-8')
    if len(shards) > 1:
        weight_map = {
            name: shard_name(number, len(shards))
            for number, (names, _) in enumerate(shards)
            for name in names
        }
        size = sum(nbytes for _, nbytes in shards)
        index = {'metadata': {'total_size': size}, 'weight_map': weight_map}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + '\n', encoding='utf-8')


def _write_shards(
    folder: Path, tensors: Iterable[tuple[str, torch.Tensor]]
) -> Iterator[tuple[Path, list[str], int]]:
    """Write tensors to files of at most `SHARD_BYTES`; tell path, names and bytes of each."""
    shard: dict[str, torch.Tensor] = {}
    number = 0

    def flush() -> tuple[Path, list[str], int]:
        nonlocal number, shard
        path = folder / f'{number}.safetensors'
        save_file(shard, path, metadata={'format': 'pt'})
        done = path, list(shard), sum(t.nbytes for t in shard.values())
        number, shard = number + 1, {}
        return done

    for name, tensor in tensors:
        if shard and sum(t.nbytes for t in shard.values()) + tensor.nbytes > SHARD_BYTES:
            yield flush()
        shard[name] = tensor.detach().cpu().contiguous()
    yield flush()
