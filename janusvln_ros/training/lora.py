"""
Low-rank adapters of the language model: what learns them, and the folder that they are kept in.

Hu et al., LoRA, arXiv 2106.09685, by PEFT. The weights themselves stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
import shutil
from typing import TYPE_CHECKING

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.network.adapter import WEIGHTS
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.training.imitation import ImitationNetwork
from safetensors.torch import save_file
import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import _CHECKPOINT_PREFIX

if TYPE_CHECKING:
    from peft import LoraConfig

TARGETS = ('q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj')
CARD = 'README.md'
_NAME = 'default'  # what PEFT calls an adapter that is given no name


def lora_config(rank: int, alpha: int, dropout: float, targets: Sequence[str]) -> LoraConfig:
    """Describe an adapter as PEFT does; ValueError for what it cannot be, or where PEFT lacks."""
    if not isinstance(rank, int) or rank < 1 or not alpha > 0 or not 0.0 <= dropout < 1.0:
        raise ValueError(
            'rank is a whole number of at least 1, alpha above 0, dropout 0 to below 1; '
            f'got {rank}, {alpha}, {dropout}'
        )
    if isinstance(targets, str):
        raise ValueError(f'targets is a list of names, not {targets!r}: [{targets}]')
    if unknown := sorted({*targets} - {*TARGETS}):
        raise ValueError(f'no targets {", ".join(unknown)}; there are {", ".join(TARGETS)}')
    if not targets:
        raise ValueError(f'an adapter needs targets: some of {", ".join(TARGETS)}')
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise ValueError(
            f"adapters are trained by PEFT ({error}): pip install 'janusvln_ros[lora]'"
        ) from error
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=rf'(model\.)?layers\.\d+\.\w+\.({"|".join(targets)})',  # not the encoders'
    )


class LoraNetwork(ImitationNetwork):
    """A model that stays as it is, and an adapter of its language model that learns."""

    def __init__(self, model: JanusModel, config: LoraConfig, memory: MemoryConfig) -> None:
        """Add the adapter, which does nothing yet: its B is zero, its A drawn at random."""
        from peft import inject_adapter_in_model

        super().__init__(model, trained=(), memory=memory, auxiliary=0.0)
        self.config = config
        inject_adapter_in_model(config, model.model)
        for parameter in self.adapter().values():
            parameter.data = parameter.data.float()  # small steps are lost in bfloat16

    def adapter(self) -> dict[str, torch.nn.Parameter]:
        """Give A (r, in) and B (out, r) of each target, by PEFT's names in a file."""
        return {
            # Layers that are recomputed stand in a module of torch's, whose name is not PEFT's.
            'base_model.model.model.'
            + name.replace(f'.{_NAME}.', '.').replace(_CHECKPOINT_PREFIX, ''): parameter
            for name, parameter in self.model.model.named_parameters()
            if '.lora_' in name
        }

    def groups(self) -> list[dict]:
        """Give the adapter."""
        return [{'params': list(self.adapter().values())}]


def write_adapter(network: LoraNetwork, folder: Path, base: Path, card: str) -> None:
    """Write an adapter in PEFT's layout, float32, with a model card; replace what is there."""
    fresh = folder.with_name(folder.name + '.new')
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    network.config.base_model_name_or_path = str(base)
    network.config.save_pretrained(str(fresh))
    whole = {name: value.detach().cpu().contiguous() for name, value in network.adapter().items()}
    save_file(whole, fresh / WEIGHTS, {'format': 'pt'})
    (fresh / CARD).write_text(card, encoding='utf-8')
    folder.mkdir(exist_ok=True)
    for file in fresh.iterdir():
        os.replace(file, folder / file.name)
    fresh.rmdir()
