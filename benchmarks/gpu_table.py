"""
Put what `janusvln benchmark --output` wrote into one table: modes x weights x robots.

    python benchmarks/gpu_table.py FOLDER...

FOLDER: each with a benchmark.json. Times are medians in ms; the roofline is the least that a step
takes at the rates of large products and copies, measured beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import json
from pathlib import Path


def rows(folder: Path) -> Iterator[str]:
    """Give a folder's rows."""
    report = json.loads((folder / 'benchmark.json').read_text(encoding='utf-8'))
    weights = report['language_weights'].replace('dtype', report['dtype'])
    for mode, result in report['modes'].items():
        total = result['seconds']['total']
        least = 1000 * sum(result['least_seconds'].values())
        peak = f'{result["peak_bytes"] / 1e9:.1f}' if 'peak_bytes' in result else ''
        yield (
            f'| {mode} | {weights} | 1 | {1000 * total["median"]:.1f} | {1000 * total["p99"]:.1f} '
            f'| {least:.1f} | {1 / total["median"]:.2f} | | {peak} '
            f'| {result["first_decision_seconds"]:.1f} |'
        )
        for shared in result.get('robots', []):
            spread = f'{min(shared["shares"]):.2f} to {max(shared["shares"]):.2f}'
            peak = f'{shared["peak_bytes"] / 1e9:.1f}' if 'peak_bytes' in shared else ''
            yield (
                f'| {mode} | {weights} | {shared["robots"]} | | | | {shared["rate"]:.2f} '
                f'| {spread} | {peak} | |'
            )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('folders', nargs='+', type=Path, metavar='FOLDER')
    print(
        '| mode | weights | robots | step | p99 | roofline | steps a second, all | share of each '
        '| peak GB | first decision, s |\n|---|---|--:|--:|--:|--:|--:|---|--:|--:|'
    )
    for folder in parser.parse_args().folders:
        for row in rows(folder):
            print(row)


if __name__ == '__main__':
    main()
