"""Tables, and an HTML page with maps that needs no other file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
import json
from pathlib import Path
from typing import Any

from janusvln_ros.episodes.scene import house_of
from janusvln_ros.episodes.splits import find_split
from janusvln_ros.episodes.store import stored_episode
from janusvln_ros.episodes.tasks import SUCCESS_RADIUS
from janusvln_ros.episodes.vln_ce import floor_points
from janusvln_ros.evaluation.metrics import METRICS, summarise, summarise_by
from janusvln_ros.imaging.page import picture, STYLE
from janusvln_ros.sim.map import draw_map
from janusvln_ros.sim.map import Path as DrawnPath
import numpy as np

HEADINGS = {
    'ne': 'NE [m]',
    'os': 'OS',
    'sr': 'SR',
    'spl': 'SPL',
    'ndtw': 'nDTW',
    'sdtw': 'SDTW',
    'steps': 'steps',
    'collisions': 'collisions',
    'path_length': 'path [m]',
}
_SHOWN = 12  # maps of successes, and as many of failures
_GROUPS = ('category', 'form', 'rooms', 'held_out_phrasing', 'held_out_pair')


def tables(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Give summaries: of all records, and by each of what they can be grouped by."""
    result = {'all': {'all': summarise(records)}}
    for group in _GROUPS:
        if records and all(group in record for record in records):
            result[group] = summarise_by(records, group)
    return result


def markdown(summaries: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Write summaries as Markdown tables; intervals (95 %) behind the rates."""
    parts = []
    for group, rows in summaries.items():
        parts.append('\n'.join(_markdown_rows(group, rows)))
    return '\n\n'.join(parts) + '\n'


def _markdown_rows(group: str, rows: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    yield f'| {group} | episodes | ' + ' | '.join(HEADINGS[name] for name in METRICS) + ' |'
    yield '| --- ' * (len(METRICS) + 2) + '|'
    for name, row in rows.items():
        cells = [_cell(metric, row) for metric in METRICS]
        yield f'| {name} | {row["episodes"]["mean"]} | ' + ' | '.join(cells) + ' |'


def _cell(metric: str, row: Mapping[str, Any]) -> str:
    if metric not in row:
        return '-'
    value = row[metric]
    if metric in ('os', 'sr', 'spl', 'ndtw', 'sdtw'):
        return f'{value["mean"]:.3f} ({value["low"]:.3f}–{value["high"]:.3f})'
    return f'{value["mean"]:.2f}'


def write_report(folder: Path, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """
    Write summary.json, summary.md and report.html into a run's folder and return the summaries.

    A map per shown episode, in our houses only.
    """
    settings = json.loads((folder / 'run.json').read_text(encoding='utf-8'))
    summaries = tables(records)
    (folder / 'summary.json').write_text(
        json.dumps(
            settings | {'success_radius': SUCCESS_RADIUS, 'summary': summaries},
            indent=2,
            ensure_ascii=False,
        ),
        encoding='utf-8',
    )
    (folder / 'summary.md').write_text(markdown(summaries), encoding='utf-8')
    (folder / 'report.html').write_text(_page(settings, summaries, records), encoding='utf-8')
    return summaries


def _page(
    settings: Mapping[str, Any], summaries: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> str:
    agent, environment = settings['agent'], settings['environment']
    ours = environment['habitat_config'] is None
    body = [
        f'<h1>{escape(agent["policy"])} on {escape(environment["split"])}</h1>',
        f'<p>{len(records)} episodes; success: STOP at a geodesic distance below '
        f'{SUCCESS_RADIUS if ours else 3.0} m from the goal. Behind rates: 95 % confidence '
        f'(bootstrap).</p>',
        f'<details><summary>Settings</summary><pre>{escape(json.dumps(settings, indent=2))}</pre>'
        '</details>',
    ]
    for group, rows in summaries.items():
        body.append(_html_table(group, rows))
    if ours:
        for title, wanted in (('Failures', 0.0), ('Successes', 1.0)):
            some = [record for record in records if record['sr'] == wanted]
            shown = _spread(some, _SHOWN)
            body.append(f'<h2>{title}</h2><p>{len(shown)} of {len(some)}.</p><div class="cards">')
            body += [_card(environment['split'], record) for record in shown]
            body.append('</div>')
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Evaluation</title>'
        f'<style>{STYLE}</style><body>{"".join(body)}</body></html>'
    )


def _html_table(group: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    head = ''.join(f'<th>{HEADINGS[name]}</th>' for name in METRICS)
    lines = []
    for name, row in rows.items():
        cells = ''.join(
            '<td>'
            + _cell(metric, row).replace(' (', '<br><small>').replace(')', '</small>')
            + '</td>'
            for metric in METRICS
        )
        lines.append(f'<tr><td>{escape(name)}</td><td>{row["episodes"]["mean"]}</td>{cells}</tr>')
    return (
        f'<table><tr><th>{escape(group)}</th><th>episodes</th>{head}</tr>{"".join(lines)}</table>'
    )


def _spread(records: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """Choose some records evenly."""
    if len(records) <= count:
        return list(records)
    return [records[i] for i in np.linspace(0, len(records) - 1, count).astype(int)]


def _card(split: str, record: Mapping[str, Any]) -> str:
    _, truth = stored_episode(find_split(split), int(record['key']))
    reference = floor_points(truth.locations)
    path = np.array(record['path'])
    image = draw_map(
        house_of(record['scene_id']),
        paths=[
            DrawnPath(reference, (120, 120, 120), 'expert', dashed=True),
            DrawnPath(path[:, :2], (38, 84, 190), 'policy'),
        ],
        start=tuple(path[0]),
        goal=tuple(reference[-1]),
        goal_radius=0.25,
        robot=tuple(path[-1]),
        width=560,
    )
    how = 'stopped' if record['stopped'] else 'did not stop'
    return (
        f'<div class="card {"good" if record["sr"] else "bad"}">'
        f'{picture(image, record["instruction"])}'
        f'<p><b>{escape(record["instruction"])}</b></p>'
        f'<p>Episode {record["key"]}, {escape(record["category"])}: {how} '
        f'{record["ne"]:.2f} m from the goal after {record["steps"]} steps, '
        f'SPL {record["spl"]:.2f}, {record["collisions"]} collisions.</p></div>'
    )
