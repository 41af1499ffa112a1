"""
What a person has mended on an episode's page, applied to trajectories.

A file of edits is {"edits": {NAME: {"steps": how many it had, "drop": true, "instruction": TEXT,
"first": N, "last": N, "actions": {N: ACTION}}}}: all but "steps" may be missing, numbers are those
of the pictures, from 0; the last picture is that of STOP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
import json
from pathlib import Path
from typing import Any

from janusvln_ros.actions import Action
from janusvln_ros.training.data.layout import Trajectory


@dataclass(frozen=True)
class Edit:
    """What changes of one trajectory; `where` names the file, for messages."""

    where: str
    steps: int
    drop: bool = False
    instruction: str | None = None
    first: int = 0
    last: int | None = None
    actions: dict[int, int] = field(default_factory=dict)

    def apply(self, trajectory: Trajectory) -> Trajectory | None:
        """Give what is left, None for one that is dropped; ValueError where it does not fit."""
        if len(trajectory.pictures) != self.steps:
            raise ValueError(
                f'{self.where} was made for {self.steps} steps, and there are '
                f'{len(trajectory.pictures)}: it is of another version of them'
            )
        if self.drop:
            return None
        keep = slice(self.first, None if self.last is None else self.last + 1)
        actions = [self.actions.get(i, a) for i, a in enumerate(trajectory.actions)][keep]
        return replace(
            trajectory,
            instructions=(self.instruction,) if self.instruction else trajectory.instructions,
            pictures=trajectory.pictures[keep],
            actions=(*actions[:-1], int(Action.STOP)),
        )


def read_edits(paths: Sequence[Path]) -> dict[str, Edit]:
    """Read files of edits, by trajectory, where the last counts; ValueError names a bad file."""
    edits: dict[str, Edit] = {}
    for path in paths:
        try:
            told = json.loads(path.read_text(encoding='utf-8'))['edits']
            edits |= {name: _edit(f'{path}, {name}', about) for name, about in told.items()}
        except (OSError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise ValueError(f'{path} is no file of edits: {error!r}') from error
        except json.JSONDecodeError as error:
            raise ValueError(f'{path} is not readable as JSON: {error}') from error
    return edits


def _edit(where: str, about: dict[str, Any]) -> Edit:
    known = {'steps', 'drop', 'instruction', 'first', 'last', 'actions'}
    if set(about) - known:
        raise ValueError(f'{where}: no {", ".join(sorted(set(about) - known))} can be edited')
    steps, first = about['steps'], about.get('first', 0)
    last = about.get('last', steps - 1 if isinstance(steps, int) else None)
    if not all(type(n) is int for n in (steps, first, last)) or not 0 <= first < last < steps:
        raise ValueError(
            f'{where}: pictures {first} to {last} of {steps} are no trajectory; at least two are'
        )
    text = about.get('instruction')
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise ValueError(f'{where}: the instruction is empty')
    actions = {int(number): action for number, action in about.get('actions', {}).items()}
    moves = set(Action) - {Action.STOP}
    for number, action in actions.items():
        if not 0 <= number < steps or action not in moves:
            raise ValueError(f'{where}: action {action!r} of picture {number} is none')
    drop = about.get('drop', False) is True
    return Edit(where, steps, drop, text and text.strip(), first, last, actions)


def edited(trajectories: Iterable[Trajectory], edits: dict[str, Edit]) -> Iterator[Trajectory]:
    """Apply edits as trajectories pass; ValueError at the end for one that fits none."""
    left = dict(edits)
    for trajectory in trajectories:
        edit = left.pop(trajectory.name, None)
        mended = trajectory if edit is None else edit.apply(trajectory)
        if mended is not None:
            yield mended
    if left:
        raise ValueError(f'{next(iter(left.values())).where}: there is no such trajectory')
