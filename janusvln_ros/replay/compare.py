"""Compare two series of decisions step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from janusvln_ros.actions import ACTION_NAMES
from janusvln_ros.replay.decisions import DecisionRecord, format_stamp


@dataclass(frozen=True)
class Difference:
    """A step where two series differ; one side is None where it has no such step."""

    episode: int
    step: int
    ours: DecisionRecord | None
    theirs: DecisionRecord | None


@dataclass
class Comparison:
    """
    Agreement of two series, aligned by episode and step.

    `differences` are steps with different actions, or that one side lacks. `other_frames` counts
    steps that were decided from images with different stamps, `largest_gap` is the largest
    difference of any probability over the steps that both have.
    """

    steps: int = 0
    differences: list[Difference] = field(default_factory=list)
    other_frames: int = 0
    largest_gap: float = 0.0

    @property
    def agreeing(self) -> int:
        """Return the number of steps with the same action."""
        return self.steps - len(self.differences)

    @property
    def percentage(self) -> float:
        """Share of agreeing steps in percent; 100 for two empty series."""
        return 100.0 * self.agreeing / self.steps if self.steps else 100.0

    def summary(self) -> str:
        """Say how well they agree, in one or two lines."""
        exact = 'exactly equal' if self.largest_gap == 0 else f'at most {self.largest_gap:.2g} off'
        text = (
            f'{self.agreeing} of {self.steps} actions agree ({self.percentage:.2f} %), '
            f'probabilities {exact}'
        )
        if self.other_frames:
            text += f'; {self.other_frames} steps were decided from other frames'
        if self.differences:
            first = self.differences[0]
            text += f'\nfirst divergence: episode {first.episode}, step {first.step}'
        return text

    def table(self) -> str:
        """List the differences, one a line, both probabilities of both answers beside them."""
        rows = [('episode', 'step', 'stamp', 'ours', 'p', 'other', 'p')]
        for d in self.differences:
            known = d.ours or d.theirs
            stamp = '-' if known is None or known.stamp is None else format_stamp(known.stamp)
            rows.append((str(d.episode), str(d.step), stamp, *_side(d.ours), *_side(d.theirs)))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return '\n'.join(
            '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows
        )


def _side(decision: DecisionRecord | None) -> tuple[str, str]:
    if decision is None:
        return ('(none)', '-')
    p = decision.probabilities[ACTION_NAMES.index(decision.action)]
    return (decision.action, f'{p:.4f}')


def compare(ours: Sequence[DecisionRecord], theirs: Sequence[DecisionRecord]) -> Comparison:
    """Align two series by episode and step and compare them."""
    left = {(d.episode, d.step): d for d in ours}
    right = {(d.episode, d.step): d for d in theirs}
    result = Comparison()
    for key in sorted(left.keys() | right.keys()):
        a, b = left.get(key), right.get(key)
        result.steps += 1
        if a is None or b is None or a.action != b.action:
            result.differences.append(Difference(*key, a, b))
        if a is not None and b is not None:
            result.other_frames += a.stamp != b.stamp
            gaps = (abs(p - q) for p, q in zip(a.probabilities, b.probabilities))
            result.largest_gap = max(result.largest_gap, *gaps)
    return result
