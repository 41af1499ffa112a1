"""Time of a step against the length of the sequence, as the paper's Figure 3 shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from pathlib import Path

import cv2
import numpy as np

SIZE = 1200, 720  # pixels
LEFT, RIGHT, TOP, BOTTOM = 110, 190, 70, 90  # pixels around the plot
COLOURS = (198, 60, 45), (40, 120, 190), (40, 150, 70)  # RGB, one for each line
INK, GRID = (30, 30, 30), (222, 222, 222)
DECADE = 1, 2, 5


def ticks(most: float) -> list[float]:
    """Round values from 0 to just above `most`, six at most."""
    scale = 10 ** math.floor(math.log10(most / 5))
    step = next(factor * scale for factor in (1, 2, 5, 10) if 5 * factor * scale >= most)
    return [index * step for index in range(6) if (index - 1) * step < most]


def log_ticks(least: float, most: float) -> list[float]:
    """Values 1, 2, 5 times a power of ten that enclose a range."""
    values = [factor * 10.0**power for power in range(-7, 5) for factor in DECADE]
    first = max(index for index, value in enumerate(values) if value <= least)
    last = min(index for index, value in enumerate(values) if value >= most)
    return values[first : last + 1]


def draw(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, path: Path
) -> None:
    """
    Write a PNG of lines {name: (frames, seconds)}: linear in frames, logarithmic in time.

    Raises ValueError without a point to draw.
    """
    points = [second for _, seconds in lines.values() for second in seconds]
    if not points:
        raise ValueError('there is nothing to draw')
    x_ticks = ticks(max(max(frames) for frames, _ in lines.values() if len(frames)))
    y_ticks = log_ticks(min(points) * 1000, max(points) * 1000)
    canvas = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)

    def place(frames: float, milliseconds: float) -> tuple[int, int]:
        x = frames / x_ticks[-1]
        y = math.log(milliseconds / y_ticks[0]) / math.log(y_ticks[-1] / y_ticks[0])
        width, height = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM
        return round(LEFT + x * width), round(SIZE[1] - BOTTOM - y * height)

    def write(
        text: str,
        x: int,
        y: int,
        size: float = 0.6,
        colour: tuple[int, int, int] = INK,
        align: float = 0.0,
    ) -> None:
        width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0]
        cv2.putText(
            canvas,
            text,
            (round(x - align * width), y),
            cv2.FONT_HERSHEY_SIMPLEX,
            size,
            colour,
            1,
            cv2.LINE_AA,
        )

    for value in x_ticks:
        x, y = place(value, y_ticks[0])
        cv2.line(canvas, (x, y), (x, TOP), GRID, 1)
        write(f'{value:g}', x, y + 26, align=0.5)
    for value in y_ticks:
        x, y = place(0, value)
        cv2.line(canvas, (x, y), (SIZE[0] - RIGHT, y), GRID, 1)
        write(f'{value:g}', x - 12, y + 6, align=1)
    write(title, LEFT, 40, 0.7)
    write('frames of the episode so far', (LEFT + SIZE[0] - RIGHT) // 2, SIZE[1] - 28, align=0.5)
    write('ms', LEFT - 12, TOP - 14, align=1)
    labels: list[int] = []
    for colour, (name, (frames, seconds)) in zip(COLOURS, lines.items()):
        if not len(frames):
            continue
        path_points = [place(x, 1000 * y) for x, y in zip(frames, seconds)]
        cv2.polylines(canvas, [np.array(path_points)], False, colour, 2, cv2.LINE_AA)
        x, y = path_points[-1]
        while any(abs(y - other) < 20 for other in labels):
            y += 4
        labels.append(y)
        write(name, x + 10, y + 6, colour=colour)
    cv2.imwrite(str(path), cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))
