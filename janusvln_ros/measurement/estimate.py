"""
What a step needs, from the configuration alone: exact storage, and a roofline model of its time.

Every part of a step has operations to do and bytes to move; it takes at least the longer of the
two at the computer's sustained rates (Williams et al., Roofline, 2009). Real steps take longer:
small products, norms and launches are not in the model. Nothing here allocates weights: modules
and memories are built on the meta device by the code that the policy itself uses.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
import time
from typing import Any, NamedTuple

from janusvln_ros import share
from janusvln_ros.policy import random_checkpoint as tiny
from janusvln_ros.policy.context import geometry_memory, head_levels, language_memory
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network import checkpoint, quantization
from janusvln_ros.policy.network.config import FULL_SIZE, JanusConfig
from janusvln_ros.policy.network.heads import FINEST
from janusvln_ros.policy.network.language import LEAST_ROWS
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.preprocessing import Grid, patch_grid
from janusvln_ros.policy.prompt import Prompt
import torch
from torch import nn
import yaml

PIXEL_PASSES = 8  # times that preprocessing reads or writes the resized float32 frame


class Part(NamedTuple):
    """Work of one part of a step."""

    operations: float  # of multiply-adds two each
    traffic: float  # bytes read and written

    def seconds(self, computer: Computer) -> float:
        """Least time that it takes."""
        return max(self.operations / computer.operations, self.traffic / computer.bandwidth)


@dataclass(frozen=True)
class Computer:
    """Sustained rates of a computer, in the dtype of the weights."""

    name: str
    operations: float  # per second, in large matrix products
    bandwidth: float  # bytes per second, read and written


@dataclass(frozen=True)
class Workload:
    """A policy as it is configured, and the frames it gets."""

    config: JanusConfig = FULL_SIZE
    memory: MemoryConfig = MemoryConfig()
    dtype: torch.dtype = torch.bfloat16
    language_weights: str | None = None
    frame_size: tuple[int, int] = (640, 480)  # pixels
    image_width: int | None = None  # pixels; by default the configuration's
    prefix_tokens: int = 60
    suffix_tokens: int = 90  # of an instruction of usual length
    answer_tokens: int = 8  # in the tree of answers
    heads: tuple[str, ...] = ()  # dense ones of the geometry encoder

    @property
    def grid(self) -> Grid:
        """Patches of a frame."""
        return patch_grid(*self.frame_size, self.image_width or self.config.image_width)

    @property
    def prompt(self) -> Prompt:
        """Prompt of the right lengths."""
        block = (0,) * (self.grid.tokens + 2)
        return Prompt((0,) * self.prefix_tokens, block, (0,) * self.suffix_tokens, self.grid)

    def model(self) -> JanusModel:
        """Build the network without storage, in the dtype of the weights."""
        return _network(self.config, self.dtype, self.heads)


@lru_cache(maxsize=8)
def _network(config: JanusConfig, dtype: torch.dtype, heads: tuple[str, ...]) -> JanusModel:
    model = checkpoint.build(config, heads).to(dtype)
    for head in model.heads.values():
        head.float()
    return model


def storage(work: Workload) -> dict[str, int]:
    """
    Bytes on the device by what they hold, once the window is full.

    Weights and memories are exact; the work space of a step's largest part is counted by its
    largest tensors. Embeddings stay in host memory and are not in it.
    """
    model = work.model()
    weights, copy = {'encoders': 0, 'language model': 0}, 0
    for name, tensor in model.state_dict().items():
        if name == 'model.embed_tokens.weight':
            continue
        if work.language_weights == 'int8' and quantization.belongs(name, 'int8'):
            copy = max(copy, tensor.nbytes)  # what is multiplied by
        part = 'language model' if name.startswith(('model.', 'lm_head.')) else 'encoders'
        weights[part] += _stored_bytes(name, tensor, work.language_weights)
    config, item = work.config, work.dtype.itemsize
    levels = head_levels(model, work.grid)
    held = {
        'geometry memory': geometry_memory(model, work.grid, work.memory).nbytes,
        'language memory': language_memory(
            model, work.prompt, work.memory, work.answer_tokens
        ).nbytes,
    }
    if levels is not None:
        held['dense heads'] = levels.nbytes
    if work.memory.mode == 'sampled':
        features = work.grid.tokens * config.language.hidden_size * item
        held['vision features'] = work.memory.resident_frames * features
    tokens = new_tokens(work)
    language = tokens * (3 * config.language.intermediate_size + 4 * config.language.hidden_size)
    frame = frame_tokens(work) * config.geometry.embed_dim * (4 * item + 12)
    logits = (1 + work.answer_tokens) * config.language.vocab_size * 12
    maps = 4 * sum(_largest_maps(work)) if work.heads else 0
    return {**weights, **held, 'work space': max(language * item + copy, frame, maps) + logits}


def of_heads(work: Workload) -> dict[str, int]:
    """Bytes on the device that would not be there without the dense heads; {} without them."""
    if not work.heads:
        return {}
    ours, without = storage(work), storage(replace(work, heads=()))
    grown = {name: size - without.get(name, 0) for name, size in ours.items()}
    weights = grown.pop('encoders') + grown.pop('language model')
    return {'weights': weights, **{name: size for name, size in grown.items() if size}}


def _largest_maps(work: Workload) -> tuple[int, int]:
    """Numbers in the last two large maps of a dense head, which are there at once."""
    features, pixels = work.config.geometry.head_features, 14**2 * work.grid.rows
    return features // 2 * pixels * work.grid.columns, FINEST * pixels * work.grid.columns


def _stored_bytes(name: str, tensor: torch.Tensor, kind: str | None) -> int:
    if kind is not None and quantization.belongs(name, kind):
        rows, columns = tensor.shape
        return quantization.weight_bytes((rows, columns), kind)
    return tensor.nbytes


def frame_tokens(work: Workload) -> int:
    """Tokens of a frame in the geometry encoder."""
    return work.config.geometry.num_special_tokens + work.grid.rows * work.grid.columns


def new_tokens(work: Workload) -> int:
    """Tokens that the language model reads in a step of a full window."""
    if work.memory.mode == 'windowed':
        return len(work.prompt.block) + work.suffix_tokens + work.answer_tokens
    return len(work.prompt.ids(work.memory.history_frames + 1)) + work.answer_tokens


def products(*modules: nn.Module) -> int:
    """Multiplications per token in all linear layers of some modules."""
    return sum(
        layer.weight.numel()
        for module in modules
        for layer in module.modules()
        if isinstance(layer, nn.Linear)
    )


def step(work: Workload, past: int, recompute: bool = False) -> dict[str, Part]:
    """
    Work of one step, by part, with so many frames before it.

    recompute: without any memory, all frames are encoded and read anew.
    """
    model, memory = work.model(), work.memory
    attended = past if recompute else min(past, memory.initial_frames + memory.recent_frames)
    item = work.dtype.itemsize
    pixels = work.grid.rows * work.grid.columns * 14 * 14 * 3 * 4
    frames = range(past + 1) if recompute else (attended,)
    geometry = [_geometry(work, model, before, item) for before in frames]
    return {
        'preprocess': Part(0, PIXEL_PASSES * pixels),
        'geometry': Part(*(sum(numbers) for numbers in zip(*geometry))),
        'vision': Part(*(len(frames) * number for number in _vision(work, model, item))),
        'prefill': _language(work, model, past, attended, item, recompute),
        'decode': Part(0, 3 * (1 + work.answer_tokens) * work.config.language.vocab_size * 4),
    }


def _geometry(work: Workload, model: JanusModel, past: int, item: int) -> Part:
    config, aggregator = work.config.geometry, model.vggt.aggregator
    tokens, width, used = frame_tokens(work), config.embed_dim, config.num_used_blocks
    patches = work.grid.rows * work.grid.columns
    blocks = products(
        aggregator.patch_embed.blocks,
        aggregator.frame_blocks[:used],
        aggregator.global_blocks[:used],
    )
    embed = aggregator.patch_embed.patch_embed.proj.weight.numel()
    merger = products(model.merger)
    linear = 2 * (blocks * tokens + embed * patches + merger * work.grid.tokens)
    within = 4 * tokens**2 * width * (config.dino_depth + used)
    over = 4 * tokens * (past + 1) * tokens * width * used
    memory = (past + 3) * tokens * 2 * width * used * item  # read, and the new frame moved
    return Part(linear + within + over, (blocks + embed + merger) * item + memory)


def _vision(work: Workload, model: JanusModel, item: int) -> Part:
    config, tower = work.config.vision, model.visual
    rows, columns = work.grid.vision
    patches = rows * columns
    embed = tower.patch_embed.proj.weight.numel()
    blocks, merger = products(tower.blocks), products(tower.merger)
    full = len(config.full_attention_blocks)
    window = min(patches, (config.window_size // config.patch_size) ** 2)
    attention = (
        4 * patches * config.hidden_size * (full * patches + (config.depth - full) * window)
    )
    linear = 2 * ((blocks + embed) * patches + merger * patches // 4)
    return Part(linear + attention, (blocks + embed + merger) * item)


def _language(
    work: Workload, model: JanusModel, past: int, attended: int, item: int, recompute: bool
) -> Part:
    config, memory, prompt = work.config.language, work.memory, work.prompt
    tree = work.answer_tokens
    if recompute:
        tokens, window = len(prompt.ids(past + 1)) + tree, 0
    elif memory.mode == 'sampled':
        tokens, window = len(prompt.ids(min(past, memory.history_frames) + 1)) + tree, 0
    else:
        tokens = len(prompt.block) + work.suffix_tokens + tree
        kept = language_memory(model, prompt, memory, tree)
        kept.seen = attended
        window = kept.end
    weights = 0
    for name, tensor in model.state_dict().items():
        if name.startswith(('model.layers.', 'lm_head.')):
            weights += _stored_bytes(name, tensor, work.language_weights)
    width = config.num_heads * config.head_dim
    attention = 4 * width * config.num_layers * (tokens * window + tokens**2 // 2)
    last = model.model.layers[-1]  # behind its attention only what is read goes on
    unread = max(0, tokens - max(1 + tree, LEAST_ROWS)) * products(
        last.get_submodule('mlp'), last.get_submodule('self_attn.o_proj')
    )
    linear = 2 * (products(model.model.layers) * tokens + products(model.lm_head) * (1 + tree))
    linear -= 2 * unread
    cache = 2 * config.num_key_value_heads * config.head_dim * config.num_layers * item
    return Part(linear + attention, weights + cache * (window + 2 * tokens))


def measure(device: torch.device, dtype: torch.dtype) -> Computer:
    """Measure what a device sustains: large products, and copies beyond its caches."""
    cuda = device.type == 'cuda'
    side, elements = (8192, 2**29) if cuda else (1024, 2**25)
    a, b = torch.randn(2, side, side, device=device, dtype=dtype)
    source = torch.ones(elements, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def best(function: Any) -> float:
        seconds = []
        for _ in range(7):
            begin = time.perf_counter()
            function()
            if cuda:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
        return min(seconds)

    threads = torch.get_num_threads()
    name = torch.cuda.get_device_name(device) if cuda else f'CPU, threads: {threads}'
    return Computer(
        name, 2 * side**3 / best(lambda: a @ b), 2 * elements / best(lambda: target.copy_(source))
    )


def profile_path(name: str) -> Path:
    """Read the name of a profile of config/computers, or a file's path."""
    ours = {path.stem: path for path in sorted((share() / 'config' / 'computers').glob('*.yaml'))}
    if name in ours:
        return ours[name]
    if not Path(name).is_file():
        raise argparse.ArgumentTypeError(f'{name!r} is no file, nor one of {", ".join(ours)}')
    return Path(name)


def read_profile(path: Path) -> tuple[Workload, Computer, float]:
    """
    Read a computer's file of parameters: the policy it is for, its rates, its memory in bytes.

    Raises ValueError naming what is missing in it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not readable as YAML: {error}') from error
    try:
        parameters = content['/**']['ros__parameters']
        hardware = content['/hardware']['ros__parameters']
        memory = {
            name: parameters[name]
            for name in ('initial_frames', 'recent_frames', 'history_frames', 'kept_fraction')
            if name in parameters
        }
        weights = parameters.get('language_weights', 'dtype')  # the navigator's default
        work = Workload(
            dtype=getattr(torch, parameters['dtype']),
            language_weights=None if weights == 'dtype' else weights,
            memory=MemoryConfig(parameters.get('memory_mode', 'sampled'), **memory),
        )
        computer = Computer(hardware['name'], hardware['operations'], hardware['bandwidth'])
        if hardware['policy'] == 'tiny':  # the small random checkpoint
            work = replace(work, config=tiny_config(), frame_size=(224, 168))
        return work, computer, hardware['memory']
    except (KeyError, TypeError) as error:
        raise ValueError(f'{path} is no computer profile: {error} is missing') from error


def tiny_config() -> JanusConfig:
    """Return the configuration of the small random checkpoint."""
    config = {
        'model_type': 'qwen2_5_vl',
        **tiny.COMMON_LANGUAGE,
        **tiny.LANGUAGE,
        'vision_config': {**tiny.COMMON_VISION, **tiny.VISION},
        'vggt_merger_hidden_dim': 256,
        'image_width': 224,
    }
    return JanusConfig.from_dicts(config, tiny.GEOMETRY)


def tell(profiles: list[Path]) -> None:
    """Print memory and least times of the computers that the profiles describe."""
    for path in profiles:
        work, computer, limit = read_profile(path)
        held = storage(work)
        total = sum(held.values())
        memory = work.memory
        print(
            f'{path.stem}: {computer.name}, {str(work.dtype).removeprefix("torch.")}, language '
            f'model {work.language_weights or "not quantised"}, {memory.mode}, '
            f'{memory.initial_frames} + {memory.recent_frames} frames of '
            f'{work.frame_size[0]}x{work.frame_size[1]}'
        )
        print(
            '  '
            + ', '.join(f'{name} {size / 1e9:.2f}' for name, size in held.items())
            + f': {total / 1e9:.2f} GB of {limit / 1e9:.0f} GB'
        )
        totals = [
            sum(storage(replace(work, language_weights=kind)).values()) / 1e9
            for kind in (None, *quantization.KINDS)
        ]
        print(
            f'  with language weights as loaded, {", ".join(quantization.KINDS)}: '
            + ', '.join(f'{size:.2f}' for size in totals)
            + ' GB'
        )
        past = memory.initial_frames + memory.recent_frames
        for mode in ('sampled', 'windowed'):
            parts = step(replace(work, memory=replace(memory, mode=mode)), past)
            seconds = {name: part.seconds(computer) for name, part in parts.items()}
            shares = ', '.join(f'{name} {1000 * value:.1f}' for name, value in seconds.items())
            print(f'  {mode}: at least {1000 * sum(seconds.values()):.1f} ms a step ({shares})')
