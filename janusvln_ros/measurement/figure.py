"""Time of a step against the length of the sequence, as the paper's Figure 3 shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, path: Path
) -> None:
    """
    Write a PNG of lines {name: (frames, seconds)}: linear in frames, logarithmic in time.

    Raises ValueError without a point to draw.
    """
    if not any(len(seconds) for _, seconds in lines.values()):
        raise ValueError('there is nothing to draw')
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    figure = Figure((10, 6), dpi=120, layout='constrained')
    axes = figure.subplots()
    for name, (frames, seconds) in lines.items():
        if len(frames):
            axes.semilogy(frames, [1000 * value for value in seconds], label=name)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter('{x:g}'))
    axes.set_xlim(left=0)
    axes.set(title=title, xlabel='frames of the episode so far', ylabel='ms')
    axes.grid(color='#ddd')
    axes.legend()
    figure.savefig(path)
