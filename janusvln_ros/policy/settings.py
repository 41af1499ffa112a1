"""
What a policy runs with, as text by name: enough to see why two runs decide differently.

The navigator publishes it, so that a recording holds it; a replay takes its defaults from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
import hashlib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import janusvln_ros
from janusvln_ros.parameters import values_of
from janusvln_ros.policy.interface import Policy
from janusvln_ros.policy.options import PolicyOptions

# A replay on another computer chooses these for itself.
_OF_THE_COMPUTER = ('checkpoint', 'device', 'threads')
_LIBRARIES = ('torch', 'transformers', 'numpy')
_WHOLE = 1 << 26  # bytes; of a larger file blocks are read: training changes all of it
_BLOCKS, _BLOCK = 64, 1 << 16


def settings_of(options: PolicyOptions, policy: Policy) -> dict[str, str]:
    """Return the options a policy was loaded with, its checkpoint's hash, and versions."""
    settings = values_of(options)
    if options.pruning != 'voxels':
        del settings['geometry_heads']  # decisions are the same
    model = getattr(policy, 'model', None)  # other policies than ours have none
    if model is not None:
        import torch

        settings['device'] = model.device.type
        settings['threads'] = torch.get_num_threads()
        settings['dtype'] = str(model.dtype).removeprefix('torch.')
    if Path(options.checkpoint).is_dir():
        settings['checkpoint'] = Path(options.checkpoint).resolve()
    settings['checkpoint_hash'] = checkpoint_hash(options.checkpoint)
    if options.adapter:
        settings['adapter'] = Path(options.adapter).resolve()
        settings['adapter_hash'] = checkpoint_hash(options.adapter)
    settings['janusvln_ros'] = janusvln_ros.version()
    for name in _LIBRARIES:
        try:
            settings[name] = version_of(name)
        except PackageNotFoundError:
            continue
    return {name: str(value) for name, value in settings.items()}


def options_of(settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the values by name of PolicyOptions in settings that hold on any computer."""
    kinds: dict[str, type] = {e.name: type(e.default) for e in fields(PolicyOptions)}
    return {
        name: kind(settings[name])
        for name, kind in kinds.items()
        if name in settings and name not in _OF_THE_COMPUTER
    }


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Say what differs between settings; checkpoints go by their hashes where both have one."""
    names = [*dict.fromkeys([*ours, *theirs])]
    if ours.get('checkpoint_hash') and theirs.get('checkpoint_hash'):
        names.remove('checkpoint')
    return [
        f'{name} {ours.get(name) or "unknown"} instead of {theirs.get(name) or "unknown"}'
        for name in names
        if ours.get(name) != theirs.get(name)
    ]


def checkpoint_hash(folder: str) -> str:
    """Return 16 hexadecimal digits that tell checkpoints apart; '' for what is no folder."""
    if not Path(folder).is_dir():
        return ''
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.suffix in ('.json', '.safetensors', '.txt'):
            digest.update(f'{path.name} {path.stat().st_size} '.encode())
            for block in _blocks(path):
                digest.update(block)
    return digest.hexdigest()[:16]


def _blocks(path: Path) -> Iterator[bytes]:
    """Give a small file whole, of a large one blocks from its start to its end."""
    size = path.stat().st_size
    if size <= _WHOLE:
        yield path.read_bytes()
        return
    with path.open('rb') as file:
        for number in range(_BLOCKS):
            file.seek(number * (size - _BLOCK) // (_BLOCKS - 1))
            yield file.read(_BLOCK)
