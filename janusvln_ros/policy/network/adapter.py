"""
Low-rank adapters in PEFT's layout, added to the language model's weights as these are loaded.

Hu et al., LoRA, arXiv 2106.09685: W + alpha / r * B A. Once added they cost a step nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

from janusvln_ros.policy.network.config import CheckpointError, read_json
from safetensors import safe_open, SafetensorError
import torch

CONFIG = 'adapter_config.json'
WEIGHTS = 'adapter_model.safetensors'
_PREFIX = 'base_model.model.'
_ENDS = {'.lora_A.weight': 0, '.lora_B.weight': 1}
# What PEFT can do besides and we do not: its value where it is off.
_OFF: dict[str, tuple[Any, ...]] = {
    'alora_invocation_tokens': (None,),
    'alpha_pattern': (None, {}),
    'arrow_config': (None,),
    'bias': (None, 'none'),
    'fan_in_fan_out': (None, False),
    # The others change the checkpoint's own weights.
    'init_lora_weights': (None, True, False, 'gaussian', 'eva', 'orthogonal'),
    'kasa_config': (None,),
    'layer_replication': (None, []),
    'lora_bias': (None, False),
    'modules_to_save': (None, []),
    'monteclora_config': (None,),
    'rank_pattern': (None, {}),
    'target_parameters': (None, []),
    'trainable_token_indices': (None, [], {}),
    'use_bdlora': (None, False),
    'use_dora': (None, False),
    'use_qalora': (None, False),
    'velora_config': (None,),
}


@dataclass(frozen=True)
class Adapter:
    """
    What is added to weights: by a weight's name, A (r, in) and B (out, r), float32.

    origin: its folder, for messages.
    """

    origin: str
    scale: float
    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]]

    def check(self, wanted: Mapping[str, tuple[int, ...]]) -> None:
        """Raise CheckpointError unless all of it fits a model's language model."""
        for name, (a, b) in self.pairs.items():
            if not name.startswith(('model.layers.', 'lm_head.')) or name not in wanted:
                raise CheckpointError(
                    f'{self.origin} is an adapter of another architecture: the checkpoint has '
                    f'no {name} in its language model'
                )
            if wanted[name] != (b.shape[0], a.shape[1]):
                raise CheckpointError(
                    f'{self.origin} is an adapter of another architecture: {name} is '
                    f'{wanted[name]} in the checkpoint, {(b.shape[0], a.shape[1])} in the adapter'
                )

    def add(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight, float32 where something was added: the file may have less."""
        if name not in self.pairs:
            return weight
        a, b = (part.to(weight.device) for part in self.pairs[name])
        return weight.float() + (b @ a) * self.scale


def read_adapter(folder: str | Path) -> Adapter:
    """Read an adapter's folder; CheckpointError where it is missing, damaged or no plain LoRA."""
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f'{folder} is no adapter: it has no {CONFIG}')
    config = read_json(folder / CONFIG)
    scale = _scale(config, folder / CONFIG)
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f'no file {path}; an adapter is read from safetensors only')
    try:
        with safe_open(path, 'pt', device='cpu') as file:
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f'{path} is damaged or no safetensors file: {error}') from error
    return Adapter(str(folder), scale, _pairs(tensors, config['r'], path))


def _scale(config: Mapping[str, Any], path: Path) -> float:
    """Return alpha / r (rsLoRA: alpha / sqrt(r)) of an adapter that is plain LoRA."""
    if config.get('peft_type') != 'LORA':
        raise CheckpointError(f'{path}: peft_type is {config.get("peft_type")!r}, not "LORA"')
    for name, values in _OFF.items():
        if config.get(name) not in values:
            raise CheckpointError(
                f'{path}: {name} is {config[name]!r}; only plain LoRA is read, without such'
            )
    rank, alpha = config.get('r'), config.get('lora_alpha')
    if not isinstance(rank, int) or rank < 1:
        raise CheckpointError(f'{path}: r is {rank!r}, not a rank of at least 1')
    if not isinstance(alpha, (int, float)) or not math.isfinite(alpha):
        raise CheckpointError(f'{path}: lora_alpha is {alpha!r}, not a number')
    return alpha / (math.sqrt(rank) if config.get('use_rslora') else rank)


def _pairs(
    tensors: Mapping[str, torch.Tensor], rank: int, path: Path
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Put A and B of each weight together; CheckpointError for what is not a whole pair."""
    halves: dict[str, dict[int, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        end = next((end for end in _ENDS if name.endswith(end)), '')
        if not end or not name.startswith(_PREFIX):
            raise CheckpointError(f'{path}: {name} is no A or B of a low-rank adapter')
        if tensor.ndim != 2 or tensor.shape[_ENDS[end]] != rank:
            raise CheckpointError(
                f'{path}: {name} is {tuple(tensor.shape)}; {CONFIG} says rank {rank}'
            )
        if not tensor.isfinite().all():
            raise CheckpointError(f'{path} is damaged: {name} has numbers that are not finite')
        weight = name.removeprefix(_PREFIX).removesuffix(end) + '.weight'
        halves.setdefault(weight, {})[_ENDS[end]] = tensor
    if not halves:
        raise CheckpointError(f'{path} is empty: there is no adapter in it')
    for weight, parts in halves.items():
        if len(parts) < 2:
            raise CheckpointError(f'{path} is damaged: {weight} has only one of A and B')
    return {weight: (parts[0], parts[1]) for weight, parts in halves.items()}
