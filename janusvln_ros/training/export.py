"""The published layout, written from what is being trained."""

from __future__ import annotations

import os
from pathlib import Path
import shutil

from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.training.parallel import rank
from torch import nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict, StateDictOptions


def export(network: nn.Module, folder: Path, source: Path) -> None:
    """Write the model, without auxiliary heads, in the published layout; replace what is there."""
    state = get_model_state_dict(
        network, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
    )
    if rank() > 0:
        return
    model = checkpoint.build(JanusConfig.from_folder(source))
    model.load_state_dict(
        {
            name.removeprefix('model.'): value
            for name, value in state.items()
            if name.startswith('model.')
        },
        assign=True,
    )
    replace_checkpoint(model, folder, source)


def replace_checkpoint(model: JanusModel, folder: Path, source: Path) -> None:
    """Write a model in the published layout; files that are no part of it stay (a model card)."""
    fresh = folder.with_name(folder.name + '.new')
    shutil.rmtree(fresh, ignore_errors=True)
    checkpoint.save(model, fresh, source)
    folder.mkdir(parents=True, exist_ok=True)
    for file in fresh.iterdir():
        os.replace(file, folder / file.name)
    fresh.rmdir()
