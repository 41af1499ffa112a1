"""
The paper's ablations in one go: what a checkpoint loses without parts of its memory.

Rows as in the paper's tables 3 (memories) and 5 (windows, weight of geometry). Only what may be
remembered changes; the checkpoint stays the same, or each row has one that was trained for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
import json
from pathlib import Path
from typing import Any

from janusvln_ros.evaluation.agents import AgentSpec
from janusvln_ros.evaluation.report import cell
from janusvln_ros.imaging.page import data_url, render
import numpy as np

ROW = '{row}'  # in the name of a checkpoint's folder
# Name of the row: changes to the agent.
ROWS: Mapping[str, Mapping[str, Any]] = {
    'sampled': {'memory': {'mode': 'sampled'}},
    'windowed': {'memory': {'mode': 'windowed'}},
    'no_spatial_memory': {'forget_spatial': True},
    'no_semantic_memory': {'forget_semantic': True},
    'neither_memory': {'forget_spatial': True, 'forget_semantic': True},
    'no_initial_window': {'memory': {'initial_frames': 0}},
    'recent_8': {'memory': {'recent_frames': 8}},
    'recent_16': {'memory': {'recent_frames': 16}},
    'recent_32': {'memory': {'recent_frames': 32}},
    'geometry_off': {'lam': 0.0},
    'lambda_0.1': {'lam': 0.1},
    'lambda_0.5': {'lam': 0.5},
}


def agent_of(row: str, agent: AgentSpec) -> AgentSpec:
    """Give the agent of a row; ValueError for a row that there is none of."""
    if row not in ROWS:
        raise ValueError(f'no ablation {row!r}; there are {", ".join(ROWS)}')
    return agent.changed(**ROWS[row])


def write_ablations(folder: Path, summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """
    Write ablations.json, .md and .html and return the Markdown table.

    summaries: by row, as metrics.summarise gives them.
    """
    (folder / 'ablations.json').write_text(json.dumps(summaries, indent=2), encoding='utf-8')
    lines = ['| row | episodes | NE [m] | OS | SR | SPL |', '| --- ' * 6 + '|']
    for row, summary in summaries.items():
        cells = [' '.join(filter(None, cell(m, summary))) for m in ('ne', 'os', 'sr', 'spl')]
        lines.append(f'| {row} | {summary["episodes"]["mean"]} | ' + ' | '.join(cells) + ' |')
    table = '\n'.join(lines) + '\n'
    (folder / 'ablations.md').write_text(table, encoding='utf-8')
    page = render(
        'evaluation/ablations.html', chart=data_url('image/svg+xml', plot(summaries)), table=table
    )
    (folder / 'ablations.html').write_text(page, encoding='utf-8')
    return table


def plot(summaries: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Draw SR and SPL of each row with their intervals, as an SVG file."""
    from matplotlib.figure import Figure

    figure = Figure((8.5, 1.0 + 0.45 * len(summaries)), layout='constrained')
    axes = figure.subplots()
    for metric, offset, colour in (('sr', -0.19, '#2654be'), ('spl', 0.19, '#c8862e')):
        for place, summary in enumerate(summaries.values()):
            value = summary[metric]
            ends = [[value['mean'] - value['low']], [value['high'] - value['mean']]]
            axes.barh(
                place + offset,
                value['mean'],
                0.34,
                xerr=np.maximum(ends, 0.0),
                capsize=3,
                color=colour,
                label=metric.upper() if place == 0 else None,
            )
            text = f'{value["mean"]:.3f}'
            axes.text(1.02, place + offset, text, va='center', color=colour, fontsize=9)
    axes.set_yticks(range(len(summaries)), list(summaries))
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.1)
    axes.set_xticks(np.linspace(0.0, 1.0, 6))
    axes.grid(axis='x', color='#ccc')
    axes.set_axisbelow(True)
    axes.legend(loc='lower center', bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    content = BytesIO()
    figure.savefig(content, format='svg')
    return content.getvalue()
