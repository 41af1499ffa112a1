"""
Long tours: two to four places in order, each in sight of the one before or behind a door there.

Half of them end where the robot has been before. Their words are those of the grammar, so that a
policy has read every one of them, but never so many in one instruction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math

from janusvln_ros.episodes.grammar import Noun, put_nouns
from janusvln_ros.episodes.landmarks import at, behind_doors, door_noun, named_in_sight
from janusvln_ros.episodes.scene import Scene
from janusvln_ros.episodes.tasks import Task
from janusvln_ros.sim.house import Door, Furniture
import numpy as np

CATEGORIES = ('sequence', 'memory')  # a tour's, in turn; with 'memory' it ends by going back
PLACES = (2, 4)  # the least and the most, in order
STEPS = (60, 150)  # of the expert
LONGEST_WAY = 35.0  # m

_LEAST_LEG = 2.0  # m, as the crow flies, from one place to the next
_BY_DOOR = 0.75  # share of the legs that lead through a door, where there is the choice
_TO_THING = ('go to {a}', 'walk to {a}', 'walk over to {a}')
_BY_DOOR_TO_THING = (
    'go through {door} and walk to {a}',
    'leave through {door} and go to {a}',
    'walk through {door}, then go to {a}',
)
_TO_START = ('go back to where you started', 'return to the start', 'walk back to the start')
_BACK_TO_THING = ('go back to {a}', 'return to {a}', 'walk back to {a}')
_JOINTS = ('. Then ', ', then ')


@dataclass(frozen=True)
class _Leg:
    places: np.ndarray  # (n, 2), any of which will do
    nouns: dict[str, Noun]  # by slot
    templates: tuple[str, ...]
    landmark: Furniture | Door  # what is to be looked for


def draw_tour(
    scene: Scene, x: float, y: float, back: bool, rng: np.random.Generator
) -> tuple[Task, str] | None:
    """
    Draw a tour from (x, y), and how it is said in English; None where it does not go on.

    back: it ends at the start or at its first place, in another room than the last one.
    """
    least, most = PLACES
    legs: list[_Leg] = []
    here = np.array([x, y])
    rooms = [scene.room_at(x, y).index]
    for _ in range(int(rng.integers(least, most + 1)) - back):
        choices = [
            (leg, place, room)
            for leg, room in _legs(scene, *here)
            if (place := _nearest(leg.places, here)) is not None
            and all(math.dist(place, past) >= _LEAST_LEG for past in _ends(legs, (x, y)))
        ]
        doors = [choice for choice in choices if 'door' in choice[0].nouns]
        if doors and rng.random() < _BY_DOOR:
            choices = doors
        if not choices:
            return None
        leg, here, room = choices[rng.integers(len(choices))]
        legs.append(leg)
        rooms.append(room)
    if back:
        to_start = len(legs) == 1 or rng.random() < 0.5
        if rooms[-1] == rooms[0 if to_start else 1]:
            return None
        if to_start:
            legs.append(_Leg(np.array([[x, y]]), {}, _TO_START, legs[0].landmark))
        else:
            noun = {'a': legs[0].nouns['a']}
            legs.append(_Leg(legs[0].places, noun, _BACK_TO_THING, legs[0].landmark))
    task = Task(
        {f'{slot}{n}': noun for n, leg in enumerate(legs) for slot, noun in leg.nouns.items()},
        legs[-1].places,
        at(legs[0].landmark),
        visits=tuple(leg.places for leg in legs[:-1]),
        wrong=legs[-2].places,
    )
    return task, _say(legs, rng)


def _legs(scene: Scene, x: float, y: float) -> Iterator[tuple[_Leg, int]]:
    """Give where one can go from (x, y), and in which room that is."""
    if scene.house.room_at(x, y) is None:
        return
    for piece, noun in named_in_sight(scene, x, y):
        yield _Leg(scene.around(piece), {'a': noun}, _TO_THING, piece), piece.room
    for door, piece, noun in behind_doors(scene, x, y):
        nouns = {'door': door_noun(door), 'a': noun}
        yield _Leg(scene.around(piece), nouns, _BY_DOOR_TO_THING, door), piece.room


def _nearest(places: np.ndarray, here: np.ndarray) -> np.ndarray | None:
    """Give the place (2) that one comes to first, as the crow flies; None of none."""
    if not len(places):
        return None
    nearest: np.ndarray = places[np.hypot(*(places - here).T).argmin()]
    return nearest


def _ends(legs: list[_Leg], start: tuple[float, float]) -> Iterator[np.ndarray]:
    """Give all points where a tour has begun or passed."""
    yield np.array(start)
    for leg in legs:
        yield from leg.places


def _say(legs: list[_Leg], rng: np.random.Generator) -> str:
    text = ''
    for leg in legs:
        joint = _JOINTS[rng.integers(len(_JOINTS))] if text else ''
        text += joint + put_nouns(leg.templates[rng.integers(len(leg.templates))], leg.nouns)
    return text[0].upper() + text[1:] + '.'
