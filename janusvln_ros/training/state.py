"""
The state of training on disk: weights and moments, from which a run goes on with the same bits.

FOLDER/latest names the folder of the last complete one.
"""

from __future__ import annotations

import os
from pathlib import Path
import shutil
from typing import Any
import warnings

from janusvln_ros.training.parallel import rank, world
import torch
from torch import nn
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
    StateDictOptions,
)

# One process is what `no_dist` says; torch warns of it at every save.
warnings.filterwarnings('ignore', 'torch.distributed is disabled, unavailable or uninitialized')

LATEST = 'latest'
_NETWORK = 'network.'
# What is not trained is read from where it came from.
_TRAINED = StateDictOptions(ignore_frozen_params=True, strict=False)
# Files and threads of a process that saves: one thread is busier with sums of bytes than a disk.
_WRITERS = 8


def save_state(
    network: nn.Module, optimiser: torch.optim.Optimizer, folder: Path, step: int
) -> None:
    """Write a checkpoint to a new folder, then name it as the latest, then drop the one before."""
    model, moments = get_state_dict(network, optimiser, options=_TRAINED)
    target = folder / f'step_{step:08}'
    if rank() == 0:
        shutil.rmtree(target, ignore_errors=True)
    checkpoint.save(
        {'network': model, 'optimiser': moments, 'step': step},
        storage_writer=checkpoint.FileSystemWriter(target, thread_count=_WRITERS),
        no_dist=world() == 1,
    )
    if rank() == 0:
        part = folder / (LATEST + '.part')
        part.write_text(target.name)
        os.replace(part, folder / LATEST)
        for old in folder.glob('step_*'):
            if old != target:
                shutil.rmtree(old)


def load_state(network: nn.Module, optimiser: torch.optim.Optimizer, folder: Path) -> int:
    """
    Load the latest checkpoint, if there is one; give the number of steps done.

    ValueError where it is of a network that has other parameters.
    """
    if not (folder / LATEST).exists():
        return 0
    model, moments = get_state_dict(network, optimiser, options=_TRAINED)
    source = folder / (folder / LATEST).read_text()
    _check(network, model, source)
    state: dict[str, Any] = {'network': model, 'optimiser': moments, 'step': 0}
    checkpoint.load(state, checkpoint_id=source, no_dist=world() == 1)
    set_state_dict(
        network,
        optimiser,
        model_state_dict=state['network'],
        optim_state_dict=state['optimiser'],
        options=_TRAINED,
    )
    return state['step']


def _check(network: nn.Module, trained: dict[str, Any], source: Path) -> None:
    saved = {
        name.removeprefix(_NETWORK): tuple(getattr(entry, 'size', ()))
        for name, entry in checkpoint.FileSystemReader(source)
        .read_metadata()
        .state_dict_metadata.items()
        if name.startswith(_NETWORK)
    }
    # Runs that were begun by an earlier release saved what is not trained as well.
    other = saved.keys() - get_model_state_dict(network).keys()
    other |= {name for name, value in trained.items() if saved.get(name) != tuple(value.shape)}
    if other:
        raise ValueError(
            f'{source} is the state of another network: {min(other)} differs; go on with the '
            'settings that it was begun with, or give another output'
        )
