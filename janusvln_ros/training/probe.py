"""How well a checkpoint walks, measured while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from janusvln_ros.episodes.grammar import CATEGORIES
from janusvln_ros.episodes.splits import find_split
from janusvln_ros.evaluation.agents import AgentSpec
from janusvln_ros.evaluation.metrics import summarise
from janusvln_ros.evaluation.report import cell
from janusvln_ros.evaluation.runner import EnvironmentSpec, evaluate, read_records, Run


def closed_loop(
    checkpoint: Path, adapter: Path | None, folder: Path, probe: Mapping[str, Any], processes: int
) -> dict[str, float]:
    """
    Let a checkpoint walk some episodes, recorded in `folder`; give its mean scores.

    adapter: is added to its weights. probe: split, episodes, categories, max_steps, and mode of
    the memory, each with a default.
    """
    run = Run(
        folder,
        AgentSpec(
            str(checkpoint),
            str(adapter) if adapter else None,
            memory={'mode': probe.get('mode', 'windowed')},
        ),
        EnvironmentSpec(
            find_split(probe.get('split', 'val_seen')).full_name,
            max_steps=probe.get('max_steps', 100),
        ),
        tuple(probe.get('categories', CATEGORIES)),
        probe.get('episodes', 20),
    )
    records = evaluate(run, processes=processes, quiet=True, share=(0, 1))
    return {
        f'closed_loop_{name}': sum(record[name] for record in records) / len(records)
        for name in ('sr', 'spl', 'ne')
    }


def walked_table(folder: Path) -> str:
    """
    Tell the first and the last of a stage's probes in Markdown, for an adapter's card.

    folder: has one of `closed_loop` for each number of steps; with none there is nothing to tell.
    """
    probes = sorted(folder.glob('*/run.json'))
    if not probes:
        return ''
    rows = ['| steps | episodes | SR | SPL |', '| --- | --- | --- | --- |']
    for file in dict.fromkeys((probes[0], probes[-1])):
        scores = summarise(read_records(file.parent))
        cells = (' '.join(cell(metric, scores)).strip() for metric in ('sr', 'spl'))
        rows.append(
            f'| {int(file.parent.name)} | {scores["episodes"]["mean"]} | {" | ".join(cells)} |'
        )
    split = json.loads(probes[0].read_text(encoding='utf-8'))['environment']['split']
    return (
        f'\n## How it walks\n\nIn the simulator, split {split}, by the steps of training; after '
        'none it is the base. Intervals are of 95 %.\n\n' + '\n'.join(rows) + '\n'
    )
