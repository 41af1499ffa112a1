"""
What can be asked of a robot that stands somewhere in a house, for each category of instruction.

A task names its goal with words that fit only one thing or place in the scene, and whose landmark
can be seen from the start or, behind a door, on entering. Each proposer below gives all such tasks
for one place to start from. Frame: the house's (REP-103), metres and radians.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
import math

from janusvln_ros.episodes.grammar import Noun
from janusvln_ros.episodes.landmarks import (
    alike_in_sight,
    around_all,
    at,
    behind_doors,
    door_noun,
    doors_in_sight,
    in_order,
    in_room,
    inside,
    leads_by,
    named_in_sight,
    pairs_in_sight,
    passes,
    reach_of,
    sides_of,
)
from janusvln_ros.episodes.scene import Scene
from janusvln_ros.sim.house import House
import numpy as np

SUCCESS_RADIUS = 1.0  # m, geodesic, to the nearest place right next to what is asked for

_CLEARLY = 1.0  # m by which the nearest of several things is nearer than the next
_DOORS_APART = math.radians(20)  # between the bearings of the left and the right door
_CLOSE = 0.8  # m, gap between two things that are next to each other
_NOT_CLOSE = 1.7  # m, gap between two things that are not
_BETWEEN = (0.9, 2.6)  # m, gap between two things that one can stop between
_TURN_BEGINS, _TURN_ENDS = math.radians(35), math.radians(130)  # of 'turn left' behind a door
_OUT_OF_VIEW = math.radians(75)  # from the way of walking


@dataclass(frozen=True)
class Task:
    """What is asked for, and all that decides whether it was done."""

    slots: Mapping[str, Noun | str]  # of the form's phrasings
    goal: np.ndarray  # (n, 2): reaching any of them is reaching the goal
    facing: np.ndarray  # (k, 2): landmarks in sight from the start; the first is to be looked at
    together: bool = False  # all of `facing` have to be in one view
    visits: tuple[np.ndarray, ...] = ()  # places to visit before, each (n, 2)
    wrong: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))  # must not count as goal


Proposer = Callable[[Scene, float, float], Iterator[Task]]


def reach(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go to a thing that is in sight."""
    for piece, noun in named_in_sight(scene, x, y):
        yield Task({'a': noun}, scene.around(piece), at(piece))


def two_things(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go to one thing, then to another one."""
    for (b, b_noun), (a, a_noun) in pairs_in_sight(scene, x, y):
        yield Task(
            {'a': a_noun, 'b': b_noun},
            scene.around(a),
            at(b),
            visits=(scene.around(b),),
            wrong=scene.around(b),
        )


def door_then(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go through a door, then to a thing that is seen behind it."""
    for door, a, a_noun in behind_doors(scene, x, y):
        yield Task({'a': a_noun, 'door': door_noun(door)}, scene.around(a), at(door))


def door_turn_then(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go through a door, turn to one side, then go to a thing there."""
    for door, a, a_noun in behind_doors(scene, x, y):
        ((at_x, at_y),) = scene.behind(door, a.room)
        turn = math.remainder(
            scene.bearing(at_x, at_y, (a.x, a.y)) - scene.walk_in(door, a.room), math.tau
        )
        if _TURN_BEGINS < abs(turn) < _TURN_ENDS:
            side = 'left' if turn > 0 else 'right'
            yield Task(
                {'a': a_noun, 'door': door_noun(door), 'side': side}, scene.around(a), at(door)
            )


def past_door_then(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go past a thing, through a door, to another thing."""
    seen = list(named_in_sight(scene, x, y))
    for door, a, a_noun in behind_doors(scene, x, y):
        way = scene.space.field(scene.behind(door, a.room)).path(x, y)
        for b, b_noun in seen:
            if passes(way, b):
                yield Task(
                    {'a': a_noun, 'b': b_noun, 'door': door_noun(door)},
                    scene.around(a),
                    at(b, door),
                )


def door_door_then(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go through two doors, then to a thing that is seen behind the second."""
    for first, room in doors_in_sight(scene, x, y):
        for second, last in doors_in_sight(scene, *scene.behind(first, room)[0]):
            if second.index == first.index:
                continue
            there = scene.behind(second, last)[0]
            for a, a_noun in named_in_sight(scene, there[0], there[1], last):
                if leads_by(scene, scene.around(a), x, y, [first, second]):
                    yield Task(
                        {'a': a_noun, 'door': door_noun(first), 'exit': door_noun(second)},
                        scene.around(a),
                        at(first),
                    )


def side_thing(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose the left or the right one of two things that are alike."""
    for noun, ordered in in_order(scene, x, y):
        if len(ordered) == 2:
            left, right = ordered
            for piece, other, side in ((left, right, 'left'), (right, left, 'right')):
                yield Task(
                    {'a': noun, 'side': side},
                    scene.around(piece),
                    at(piece, other),
                    together=True,
                    wrong=scene.around(other),
                )


def nth_thing(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose one of some things that are alike by counting from one side."""
    for noun, ordered in in_order(scene, x, y):
        for rank, piece in enumerate(ordered):
            others = [other for other in ordered if other is not piece]
            for side, place in (('left', rank + 1), ('right', len(ordered) - rank)):
                if place <= 3:
                    yield Task(
                        {'a': noun, 'side': side, 'nth': str(place)},
                        scene.around(piece),
                        at(piece, *others),
                        together=True,
                        wrong=around_all(scene, others),
                    )


def side_door(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose the left or the right one of a room's two doors."""
    room = scene.room_at(x, y)
    doors = scene.house.doors_of(room.index)
    if len(doors) != 2 or not all(scene.sees_door(x, y, door) for door in doors):
        return
    first, second = (scene.bearing(x, y, (door.x, door.y)) for door in doors)
    turn = math.remainder(second - first, math.tau)
    if abs(turn) < _DOORS_APART:
        return
    for door, other in (doors, doors[::-1]):
        side = 'left' if (turn > 0) == (door is doors[1]) else 'right'
        yield Task(
            {'side': side},
            inside(scene, door, door.other(room.index)),
            at(door, other),
            together=True,
            wrong=inside(scene, other, other.other(room.index)),
        )


def nth_door(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Count the doors on one side of a corridor, looking along it."""
    room = scene.room_at(x, y)
    if room.kind != 'corridor':
        return
    along_x = room.x1 - room.x0 > room.y1 - room.y0
    for heading in (0.0, math.pi) if along_x else (math.pi / 2, -math.pi / 2):
        ahead = np.array([math.cos(heading), math.sin(heading)])
        left = np.array([-ahead[1], ahead[0]])
        for side, sign in (('left', 1.0), ('right', -1.0)):
            doors = []
            for door in scene.house.doors_of(room.index):
                away = np.array([door.x - x, door.y - y])
                # Doors in the end walls are on neither side.
                if (door.axis == 'x') != along_x and sign * float(away @ left) > 0:
                    doors.append((float(away @ ahead), door))
            # One right beside the start may be out of view, or count or not.
            if any(-0.8 < distance < 1.2 for distance, _ in doors):
                continue
            in_front = [
                door for distance, door in sorted(doors, key=lambda item: item[0]) if distance > 0
            ]
            if len(in_front) < 2:
                continue
            for place, door in enumerate(in_front[:3]):
                others = [
                    inside(scene, other, other.other(room.index))
                    for other in in_front
                    if other is not door
                ]
                yield Task(
                    {'side': side, 'nth': str(place + 1)},
                    inside(scene, door, door.other(room.index)),
                    np.array([(x, y) + ahead]),
                    wrong=np.concatenate(others),
                )


def nearest(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose the nearest of things that are alike."""
    return _by_depth(scene, x, y, 1)


def farthest(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose the farthest of things that are alike."""
    return _by_depth(scene, x, y, -1)


def beside(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Stop to the left or right of a thing, as seen from the start."""
    for piece, noun, places, in_front in sides_of(scene, x, y):
        for side, other in (('left', 'right'), ('right', 'left')):
            if not in_room(scene, piece, places[side]):
                continue
            wrong = np.array([in_front, places['behind'], places[other]])
            yield Task({'a': noun, 'side': side}, places[side][None], at(piece), wrong=wrong)


def back_of(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Stop behind a thing, as seen from the start."""
    for piece, noun, places, in_front in sides_of(scene, x, y):
        if not in_room(scene, piece, places['behind']):
            continue
        wrong = np.array([in_front, places['left'], places['right']])
        yield Task({'a': noun}, places['behind'][None], at(piece), wrong=wrong)


def next_to(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose the one of some things that are alike by what it is next to."""
    seen = None
    for noun, pieces in alike_in_sight(scene, x, y):
        seen = list(named_in_sight(scene, x, y)) if seen is None else seen
        alike = scene.named(noun.thing, noun.colour)
        for b, b_noun in seen:
            if b.category == noun.thing:
                continue
            (gap, piece), (next_gap, _), *_ = sorted(
                ((scene.gap(other, b), other) for other in alike), key=lambda item: item[0]
            )
            if piece in pieces and gap <= _CLOSE and next_gap >= _NOT_CLOSE:
                others = [other for other in pieces if other is not piece]
                yield Task(
                    {'a': noun, 'b': b_noun},
                    scene.around(piece),
                    at(piece, b),
                    together=True,
                    wrong=around_all(scene, others),
                )


def between(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Stop in the middle between two things."""
    for (a, a_noun), (b, b_noun) in pairs_in_sight(scene, x, y):
        if not _BETWEEN[0] <= scene.gap(a, b) <= _BETWEEN[1]:
            continue
        axis = np.array([b.x - a.x, b.y - a.y]) / math.hypot(b.x - a.x, b.y - a.y)
        start = (a.x, a.y) + reach_of(a, axis) * axis
        end = (b.x, b.y) - reach_of(b, axis) * axis
        middle = (start + end) / 2
        if not scene.space.line_is_free(start + 0.35 * axis, end - 0.35 * axis):
            continue
        # Next to either thing, but on its far side.
        wrong = np.array(
            [
                (a.x, a.y) - (reach_of(a, axis) + 0.6) * axis,
                (b.x, b.y) + (reach_of(b, axis) + 0.6) * axis,
            ]
        )
        yield Task(
            {'a': a_noun, 'b': b_noun},
            middle[None],
            np.concatenate([middle[None], at(a, b)]),
            together=True,
            wrong=wrong,
        )


def there_and_back(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go to a thing, then back to the start."""
    for b, b_noun in named_in_sight(scene, x, y):
        yield Task(
            {'b': b_noun},
            np.array([[x, y]]),
            at(b),
            visits=(scene.around(b),),
            wrong=scene.around(b),
        )


def back_to_passed(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go to a thing, then back to another one that was seen at the start."""
    for (b, b_noun), (a, a_noun) in pairs_in_sight(scene, x, y):
        # Both in view at the start; a out of view on arriving at b.
        turn = scene.bearing(b.x, b.y, (a.x, a.y)) - scene.bearing(x, y, (b.x, b.y))
        if abs(math.remainder(turn, math.tau)) > _OUT_OF_VIEW:
            yield Task(
                {'a': a_noun, 'b': b_noun},
                scene.around(a),
                at(b, a),
                together=True,
                visits=(scene.around(b),),
                wrong=scene.around(b),
            )


# By category and form, which is the proposer's name; the forms' words are in phrasings.PHRASINGS.
FORMS: Mapping[str, Mapping[str, Proposer]] = {
    category: {proposer.__name__: proposer for proposer in proposers}
    for category, proposers in {
        'reach': (reach,),
        'sequence': (door_then, door_turn_then, past_door_then, door_door_then, two_things),
        'direction': (side_thing, nth_thing, side_door, nth_door),
        'depth': (nearest, farthest),
        'side': (beside, back_of),
        'relation': (next_to, between),
        'memory': (there_and_back, back_to_passed),
    }.items()
}


def possible(house: House, form: str) -> bool:
    """Tell cheaply whether it is worth looking for a form in a house."""
    if form == 'nth_door':
        return any(room.kind == 'corridor' for room in house.rooms)
    if form == 'side_door':
        return any(len(house.doors_of(room.index)) == 2 for room in house.rooms)
    if 'door' in form:
        return len(house.doors) >= (2 if form == 'door_door_then' else 1)
    if form in ('side_thing', 'nth_thing', 'nearest', 'farthest', 'next_to'):
        things = Counter((piece.room, piece.category) for piece in house.furniture)
        return max(things.values(), default=0) >= 2
    return True


def _by_depth(scene: Scene, x: float, y: float, order: int) -> Iterator[Task]:
    """Give the nearest (order 1) or farthest (-1) of things that are alike."""
    for noun, pieces in alike_in_sight(scene, x, y):
        ranges = sorted(
            ((math.hypot(p.x - x, p.y - y), p) for p in pieces), key=lambda item: order * item[0]
        )
        (distance, piece), (next_distance, _), *_ = ranges
        if abs(next_distance - distance) >= _CLEARLY:
            others = [other for _, other in ranges[1:]]
            yield Task(
                {'a': noun},
                scene.around(piece),
                at(piece, *others),
                together=True,
                wrong=around_all(scene, others),
            )
