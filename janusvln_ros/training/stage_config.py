"""
The configuration file of a run.

    output: runs/tiny
    stages:
      NAME: {kind: KIND, …}

    KIND: fresh, words, views, walks, rollouts, pretrain, heads, imitate, lora, dagger, rft or
    ship

Further fields of a stage are those of its class in `stages`, `walk_stages`, `rft_stage` or
`collecting`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.training.loop import LoopConfig
from janusvln_ros.training.stage import Stage
from janusvln_ros.training.stages import KINDS
from janusvln_ros.training.validation import ValidationConfig
from janusvln_ros.training.walk_stages import Imitate
import yaml


def read_config(path: Path) -> tuple[str, dict[str, Stage]]:
    """Read a configuration: output folder, stages by name. ValueError says what is wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is not readable as YAML: {error}') from error
    if not isinstance(content, dict) or {*content} != {'output', 'stages'}:
        raise ValueError(f'{path}: expected the fields output and stages')
    if not isinstance(content['stages'], dict) or not content['stages']:
        raise ValueError(f'{path}: stages is {content["stages"]!r}, not stages by name')
    stages = {}
    for name, values in content['stages'].items():
        if not isinstance(values, dict):
            raise ValueError(f'{path}, stage {name}: {values!r} is not fields by name')
        values = dict(values)
        kind = values.pop('kind', None)
        if kind not in KINDS:
            raise ValueError(
                f'{path}, stage {name}: kind is {kind!r}, not one of {", ".join(KINDS)}'
            )
        stages[name] = _fill(KINDS[kind], values, f'{path}, stage {name}')
    return content['output'], stages


def _fill(kind: type, values: Mapping[str, Any], where: str) -> Any:
    nested = {
        'loop': LoopConfig,
        'memory': MemoryConfig,
        'imitate': Imitate,
        'validation': ValidationConfig,
    }
    known = {item.name for item in fields(kind)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(
            f'{where}: no field {", ".join(unknown)}; there are {", ".join(sorted(known))}'
        )
    filled = {}
    for name, value in values.items():
        if name in nested:
            if not isinstance(value, dict):
                raise ValueError(f'{where}, {name}: {value!r} is not fields by name')
            value = _fill(nested[name], value, f'{where}, {name}')
        filled[name] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**filled)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{where}: {error}') from error
