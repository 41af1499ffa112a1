"""
Decision files: JSON Lines, one decision a line, the same bytes for the same decisions.

A line holds the episode and its instruction, the step in it, the frame's number in the source and
its stamp, the action, and the four probabilities as the shortest decimals that give the same
float32. What differs from run to run, such as latency, is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path

from janusvln_ros.actions import ACTION_NAMES
import numpy as np


class DecisionFileError(ValueError):
    """A decision file that cannot be read; names the file and the line."""


@dataclass(frozen=True)
class DecisionRecord:
    """
    One decision of a replay.

    `frame` counts the images of the source from 0, `stamp` is the image's in ns (None where the
    source has no times), `probabilities` are those of ACTION_NAMES, exact float32 values.
    """

    episode: int
    instruction: str
    step: int
    frame: int
    stamp: int | None
    action: str
    probabilities: tuple[float, ...]

    def to_line(self) -> str:
        """Format as one line of JSON without the newline."""
        stamp = 'null' if self.stamp is None else f'"{format_stamp(self.stamp)}"'
        probabilities = ', '.join(
            f'"{name}": {np.float32(p)!s}' for name, p in zip(ACTION_NAMES, self.probabilities)
        )
        return (
            f'{{"episode": {self.episode}, "instruction": {json.dumps(self.instruction)}, '
            f'"step": {self.step}, "frame": {self.frame}, "stamp": {stamp}, '
            f'"action": "{self.action}", "probabilities": {{{probabilities}}}}}'
        )

    @classmethod
    def from_line(cls, line: str) -> DecisionRecord:
        """Parse what `to_line` made. ValueError, KeyError or TypeError for anything else."""
        values = json.loads(line)
        if values['action'] not in ACTION_NAMES:
            raise ValueError(f'action {values["action"]!r} is none of {", ".join(ACTION_NAMES)}')
        return cls(
            episode=int(values['episode']),
            instruction=str(values['instruction']),
            step=int(values['step']),
            frame=int(values['frame']),
            stamp=None if values['stamp'] is None else parse_stamp(values['stamp']),
            action=values['action'],
            probabilities=tuple(
                float(np.float32(values['probabilities'][a])) for a in ACTION_NAMES
            ),
        )


def format_stamp(stamp: int) -> str:
    """Write ns as seconds with nine decimals, exactly."""
    sign = '-' if stamp < 0 else ''
    return f'{sign}{abs(stamp) // 10**9}.{abs(stamp) % 10**9:09d}'


def parse_stamp(text: str) -> int:
    """Read what `format_stamp` wrote."""
    seconds, _, rest = text.partition('.')
    value = int(seconds.lstrip('-')) * 10**9 + int(rest.ljust(9, '0'))
    return -value if seconds.startswith('-') else value


def read_decisions(path: Path) -> list[DecisionRecord]:
    """Read a decision file. DecisionFileError names the line that is no decision."""
    decisions = []
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DecisionFileError(f'{path} cannot be read: {error}') from None
    for number, line in enumerate(lines, 1):
        try:
            decisions.append(DecisionRecord.from_line(line))
        except (ValueError, KeyError, TypeError) as error:
            raise DecisionFileError(
                f'{path}, line {number} is no decision as `janusvln replay` writes it ({error})'
            ) from None
    return decisions
