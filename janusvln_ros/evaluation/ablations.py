"""
The paper's ablations in one go: what a checkpoint loses without parts of its memory.

Rows as in the paper's tables 3 (memories) and 5 (windows, weight of geometry). The checkpoint
stays the same; only what it may remember changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
import json
from pathlib import Path
from typing import Any

from janusvln_ros.evaluation.agents import AgentSpec

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
        rates = [
            f'{summary[m]["mean"]:.3f} ({summary[m]["low"]:.3f}–{summary[m]["high"]:.3f})'
            for m in ('os', 'sr', 'spl')
        ]
        lines.append(
            f'| {row} | {summary["episodes"]["mean"]} | {summary["ne"]["mean"]:.2f} | '
            + ' | '.join(rates)
            + ' |'
        )
    table = '\n'.join(lines) + '\n'
    (folder / 'ablations.md').write_text(table, encoding='utf-8')
    (folder / 'ablations.html').write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Ablations</title><body>'
        f'<h1>Ablations</h1>{plot(summaries)}<pre>{escape(table)}</pre></body></html>',
        encoding='utf-8',
    )
    return table


def plot(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw SR and SPL of each row with their intervals, as an SVG."""
    left, width, high = 190, 560, 44
    parts = []
    for i, (row, summary) in enumerate(summaries.items()):
        top = 40 + i * high
        parts.append(
            f'<text x="{left - 10}" y="{top + 20}" text-anchor="end">{escape(row)}</text>'
        )
        for metric, offset, colour in (('sr', 0, '#2654be'), ('spl', 15, '#c8862e')):
            value = summary[metric]
            low, high_end = (left + width * value[key] for key in ('low', 'high'))
            middle = top + offset + 6
            parts.append(
                f'<rect x="{left}" y="{top + offset}" width="{width * value["mean"]:.1f}" '
                f'height="12" fill="{colour}"/>'
                f'<path d="M{low:.1f} {middle}H{high_end:.1f}M{low:.1f} {middle - 4}v8'
                f'M{high_end:.1f} {middle - 4}v8" stroke="#222" fill="none"/>'
                f'<text x="{left + width + 12}" y="{middle + 5}">{metric.upper()} '
                f'{value["mean"]:.3f}</text>'
            )
    for share in range(0, 101, 20):
        x = left + width * share / 100
        parts.append(
            f'<path d="M{x} 30V{40 + len(summaries) * high}" stroke="#ccc" fill="none"/>'
            f'<text x="{x}" y="22" text-anchor="middle">{share / 100:.1f}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 120}" '
        f'height="{60 + len(summaries) * high}" font-family="sans-serif" font-size="13">'
        f'{"".join(reversed(parts))}</svg>'
    )
