"""What a run measures: a CSV file, TensorBoard, and a picture of the curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
import csv
import os
from pathlib import Path

import torch

CSV = 'log.csv'
PLOT = 'log.svg'
_WIDTH, _HEIGHT, _COLUMNS, _EDGE = 320, 180, 3, 40  # pixels of a panel


class Log:
    """
    Means of numbers over some steps.

    log.csv has lines `step,name,value`. Lines behind `start` are from a run that was killed after
    its last checkpoint; they are dropped. TensorBoard files are written where it is installed.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self.path = folder / CSV
        self._sums: dict[str, float | torch.Tensor] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
        kept = [line for line in lines[1:] if int(line.split(',', 1)[0]) <= start]
        self.path.write_text(''.join(['step,name,value\n', *kept]))
        self._board = _board(folder, start)

    def add(self, values: Mapping[str, float | torch.Tensor]) -> None:
        """Take note of one step's numbers; tensors stay where they are until `flush`."""
        for name, value in values.items():
            self._sums[name] += value.detach() if isinstance(value, torch.Tensor) else value
            self._counts[name] += 1

    def flush(self, step: int) -> str:
        """Write the means since the last time; give them as text."""
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums.clear()
        self._counts.clear()
        with self.path.open('a', newline='') as file:
            csv.writer(file).writerows(
                [step, name, f'{value:.6g}'] for name, value in means.items()
            )
        if self._board is not None:
            for name, value in means.items():
                self._board.add_scalar(name, value, step)
        return ' '.join(f'{name} {value:.3g}' for name, value in means.items())

    def close(self) -> None:
        """Draw the curves; end TensorBoard's file."""
        plot(self.path)
        if self._board is not None:
            self._board.close()


def _board(folder: Path, start: int):  # noqa: ANN202, a SummaryWriter or None
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / 'tensorboard'), purge_step=start + 1)


def read(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read log.csv: (step, value) by name."""
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with path.open(newline='') as file:
        for row in csv.DictReader(file):
            curves[row['name']].append((int(row['step']), float(row['value'])))
    return dict(curves)


def plot(path: Path) -> Path:
    """Draw the curves of a log.csv into log.svg beside it."""
    curves = read(path)
    rows = -(-len(curves) // _COLUMNS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH * _COLUMNS}" '
        f'height="{_HEIGHT * max(rows, 1)}" font-family="sans-serif" font-size="11">'
    ]
    for number, (name, points) in enumerate(curves.items()):
        x0, y0 = number % _COLUMNS * _WIDTH, number // _COLUMNS * _HEIGHT
        steps, values = zip(*points)
        low, high = min(values), max(values)
        across = (_WIDTH - 1.5 * _EDGE) / max(max(steps) - min(steps), 1)
        up = (_HEIGHT - 1.5 * _EDGE) / (high - low or 1.0)
        line = ' '.join(
            f'{x0 + _EDGE + (step - min(steps)) * across:.1f},'
            f'{y0 + _HEIGHT - 0.7 * _EDGE - (value - low) * up:.1f}'
            for step, value in points
        )
        parts += [
            f'<text x="{x0 + _EDGE}" y="{y0 + 14}">{name}</text>',
            f'<text x="{x0 + 2}" y="{y0 + 30}">{high:.3g}</text>',
            f'<text x="{x0 + 2}" y="{y0 + _HEIGHT - 28}">{low:.3g}</text>',
            f'<text x="{x0 + _EDGE}" y="{y0 + _HEIGHT - 12}">{min(steps)}</text>',
            f'<text x="{x0 + _WIDTH - 60}" y="{y0 + _HEIGHT - 12}">{max(steps)}</text>',
            f'<polyline points="{line}" fill="none" stroke="#1f77b4"/>',
        ]
    target = path.with_name(PLOT)
    target.write_text('\n'.join([*parts, '</svg>']) + '\n')
    return target
