"""What a run measures: a CSV file, TensorBoard, and a picture of the curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
import csv
import os
from pathlib import Path
from typing import Any

import torch

CSV = 'log.csv'
PLOT = 'log.svg'
_COLUMNS = 3  # of panels in the picture


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
        # A run that begins anew measures anew what is before its first step.
        kept = [line for line in lines[1:] if start and int(line.split(',', 1)[0]) <= start]
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


def _board(folder: Path, start: int) -> Any:
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
    from matplotlib.figure import Figure

    curves = read(path)
    rows = max(1, -(-len(curves) // _COLUMNS))
    # A layout of matplotlib's own draws everything once more.
    width, height = 4 * _COLUMNS, 2.6 * rows  # inches
    figure = Figure((width, height))
    figure.subplots_adjust(
        0.6 / width, 0.4 / height, 1 - 0.1 / width, 1 - 0.3 / height, wspace=0.2, hspace=0.35
    )
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).flat
    for panel in panels[len(curves) :]:
        panel.remove()
    for panel, (name, points) in zip(panels, curves.items()):
        panel.plot(*zip(*points))
        panel.set_title(name, fontsize=10)
        panel.grid(color='#ddd')
    target = path.with_name(PLOT)
    figure.savefig(target)
    return target
