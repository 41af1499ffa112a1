"""Tables, and an HTML page with maps that needs no other file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import json
from pathlib import Path
from typing import Any

from janusvln_ros.episodes.scene import house_of
from janusvln_ros.episodes.splits import find_split
from janusvln_ros.episodes.store import stored_episode
from janusvln_ros.episodes.tasks import SUCCESS_RADIUS
from janusvln_ros.episodes.vln_ce import floor_points
from janusvln_ros.evaluation.metrics import METRICS, RATES, summarise, summarise_by
from janusvln_ros.imaging.page import png_url, render
from janusvln_ros.sim.map import draw_map
from janusvln_ros.sim.map import Path as DrawnPath
import numpy as np

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
    parts = ['\n'.join(_markdown_rows(group, rows)) for group, rows in summaries.items()]
    return '\n\n'.join(parts) + '\n'


def _markdown_rows(group: str, rows: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    yield f'| {group} | episodes | ' + ' | '.join(METRICS.values()) + ' |'
    yield '| --- ' * (len(METRICS) + 2) + '|'
    for name, row in rows.items():
        cells = [' '.join(filter(None, cell(metric, row))) for metric in METRICS]
        yield f'| {name} | {row["episodes"]["mean"]} | ' + ' | '.join(cells) + ' |'


def cell(metric: str, row: Mapping[str, Any]) -> tuple[str, str]:
    """Give a mean, and a rate's interval."""
    if metric not in row:
        return '-', ''
    value = row[metric]
    if metric in RATES:
        return f'{value["mean"]:.3f}', f'({value["low"]:.3f}–{value["high"]:.3f})'
    return f'{value["mean"]:.2f}', ''


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
    split = settings['environment']['split']
    ours = settings['environment']['habitat_config'] is None
    return render(
        'evaluation/report.html',
        settings=settings,
        settings_text=json.dumps(settings, indent=2),
        count=len(records),
        radius=SUCCESS_RADIUS if ours else 3.0,
        headings=list(METRICS.values()),
        tables={
            group: {
                name: {
                    'episodes': row['episodes']['mean'],
                    'cells': [cell(metric, row) for metric in METRICS],
                }
                for name, row in rows.items()
            }
            for group, rows in summaries.items()
        },
        galleries=list(_galleries(split, records)) if ours else [],
    )


def _galleries(
    split: str, records: Sequence[Mapping[str, Any]]
) -> Iterable[tuple[str, int, list[dict[str, Any]]]]:
    """Give titles, numbers of all such episodes, and some of them with their maps."""
    for title, wanted in (('Failures', 0.0), ('Successes', 1.0)):
        some = [record for record in records if record['sr'] == wanted]
        cards = [{'record': r, 'map': png_url(_map(split, r))} for r in _spread(some, _SHOWN)]
        yield title, len(some), cards


def _spread(records: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """Choose some records evenly."""
    if len(records) <= count:
        return list(records)
    return [records[i] for i in np.linspace(0, len(records) - 1, count).astype(int)]


def _map(split: str, record: Mapping[str, Any]) -> np.ndarray:
    _, truth = stored_episode(find_split(split), int(record['key']))
    reference = floor_points(truth.locations)
    path = np.array(record['path'])
    return draw_map(
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
