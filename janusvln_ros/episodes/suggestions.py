"""Instructions that fit a place in a house, and words that fit nothing there."""

from __future__ import annotations

from collections.abc import Iterator
import math
import re

from janusvln_ros.episodes import grammar
from janusvln_ros.episodes.scene import HALF_VIEW, Scene
from janusvln_ros.episodes.splits import reachable
from janusvln_ros.episodes.tasks import FORMS, possible, Task
from janusvln_ros.sim.house import CATEGORIES, COLOURS, House


def suggestions(scene: Scene, x: float, y: float, yaw: float, count: int = 3) -> list[str]:
    """
    Give instructions for a robot that stands at a pose (m, rad), of different forms if there are.

    Of the sort that episodes have: each fits one thing or place only. Those whose landmarks are
    in view come first; the others say where to turn first. There may be fewer, or none.
    """
    if scene.house.room_at(x, y) is None:
        return []
    found = []
    for forms in FORMS.values():
        for form, propose in forms.items():
            if possible(scene.house, form):
                said = _say(scene, form, propose(scene, x, y), x, y, yaw)
                found += [(turn is not None, rank, text) for rank, (turn, text) in enumerate(said)]
    return [text for _, _, text in sorted(found, key=lambda item: item[:2])[:count]]


def _say(
    scene: Scene, form: str, tasks: Iterator[Task], x: float, y: float, yaw: float
) -> Iterator[tuple[str | None, str]]:
    """Put tasks into words, each with the turn that it begins with."""
    for task in tasks:
        if reachable(scene, form, task, x, y) is None:
            continue
        landmarks = task.facing if task.together else task.facing[:1]
        turns = [
            math.remainder(scene.bearing(x, y, tuple(point)) - yaw, math.tau)
            for point in landmarks
        ]
        hidden = [turn for turn in turns if abs(turn) > HALF_VIEW]
        if hidden and (min(turns) < 0.0 < max(turns)):
            continue  # no turn brings all into view
        turn = None if not hidden else ('left' if hidden[0] > 0.0 else 'right')
        yield turn, grammar.say(form, task.slots, language='en', phrasing=0, turn=turn)


def missing(house: House, instruction: str) -> list[str]:
    """
    Give the things that an English instruction names and the house does not have.

    A thing is one of CATEGORIES, or a door, with its colour where one is named.
    """
    there = {(piece.colour, piece.category) for piece in house.furniture}
    there |= {(door.colour, 'door') for door in house.doors}
    kinds = {thing for _, thing in there}
    pattern = rf'\b(?:({"|".join(COLOURS)}) )?({"|".join([*CATEGORIES, "door"])})\b'
    named = dict.fromkeys(re.findall(pattern, instruction.lower()))
    return [
        f'{colour} {thing}'.strip()
        for colour, thing in named
        if (thing not in kinds if not colour else (colour, thing) not in there)
    ]
