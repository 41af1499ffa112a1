"""Whether policies fit into the memory of the computer that is to run them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from janusvln_ros.measurement.estimate import storage, tiny_config, Workload
from janusvln_ros.policy.load import choose_device, choose_dtype
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.network.heads import HEADS_OF
from janusvln_ros.policy.options import AS_LOADED, PolicyOptions
import torch

_WEIGHTS = 'encoders', 'language model'
_SPACE = 'work space'


def needed(work: Workload, device: torch.device) -> dict[str, int]:
    """Bytes by what they hold, as `storage` tells; on a CPU embeddings are among them."""
    held = storage(work)
    if device.type == 'cpu':
        language = work.config.language
        held['language model'] += language.vocab_size * language.hidden_size * work.dtype.itemsize
    return held


def free(device: torch.device) -> int:
    """Bytes that nobody uses, on the GPU or in the computer's memory."""
    if device.type == 'cuda' and not torch.cuda.get_device_properties(device).is_integrated:
        return torch.cuda.mem_get_info(device)[0]
    lines = Path('/proc/meminfo').read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith('MemAvailable:'))
    return int(kilobytes) * 1024


def held(device: torch.device) -> int:
    """Bytes that this process holds of what `free` counts."""
    if device.type == 'cuda':
        return torch.cuda.memory_reserved(device)
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096


def check(robots: Sequence[tuple[PolicyOptions, tuple[int, int]]]) -> None:
    """
    Raise ValueError if the policies of all robots of this process do not fit together.

    Each with the size (width, height) of its frames. Those that have been loaded count as well.
    """
    weights: dict[tuple[str, ...], int] = {}  # those that can be are shared
    memories, space, device = [], 0, torch.device('cpu')
    for options, frame_size in robots:
        device = choose_device(options.device)
        work = workload(options, frame_size, device)
        parts = needed(work, device)
        weights[options.network] = sum(parts.pop(name) for name in _WEIGHTS)
        space = max(space, parts.pop(_SPACE))
        memories.append(sum(parts.values()))
    total, room = sum((*weights.values(), *memories, space)), free(device) + held(device)
    if total <= room:
        return
    counted = ' + '.join(f'{size / 1e9:.2f}' for size in memories)
    raise ValueError(
        f'the memory does not suffice: {total / 1e9:.2f} GB are needed (weights '
        f'{sum(weights.values()) / 1e9:.2f}, memory of each robot {counted}, work space '
        f'{space / 1e9:.2f}), {room / 1e9:.2f} GB are there: serve fewer robots, let them keep '
        'fewer frames (recent_frames), or take other language_weights'
    )


def workload(
    options: PolicyOptions, frame_size: tuple[int, int], device: torch.device
) -> Workload:
    """Describe the policy that options name, for frames (width, height)."""
    weights = options.language_weights
    return Workload(
        tiny_config()
        if options.checkpoint == 'random'
        else JanusConfig.from_folder(options.checkpoint),
        options.memory(),
        choose_dtype(options.dtype, device),
        None if weights == AS_LOADED else weights,
        frame_size,
        options.image_width or None,
        heads=HEADS_OF[options.geometry_heads],
    )
