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
import itertools
import math

from janusvln_ros.episodes.grammar import Noun
from janusvln_ros.episodes.scene import Scene, thin
from janusvln_ros.sim.house import Door, Furniture, House
import numpy as np

SUCCESS_RADIUS = 1.0  # m, geodesic, to the nearest place right next to what is asked for

_CLEARLY = 1.0  # m by which the nearest of several things is nearer than the next
_APART = math.radians(9)  # between the bearings of things that are counted from one side
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


def names(scene: Scene, piece: Furniture) -> list[Noun]:
    """Give the nouns that fit this thing and no other in the house."""
    nouns = [Noun(piece.category, piece.colour), Noun(piece.category)]
    return [noun for noun in nouns if len(scene.named(noun.thing, noun.colour)) == 1]


def reach(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go to a thing that is in sight."""
    for piece, noun in _named_in_sight(scene, x, y):
        yield Task({'a': noun}, scene.around(piece), _at(piece))


def two_things(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go to one thing, then to another one."""
    for (b, b_noun), (a, a_noun) in _pairs_in_sight(scene, x, y):
        yield Task(
            {'a': a_noun, 'b': b_noun},
            scene.around(a),
            _at(b),
            visits=(scene.around(b),),
            wrong=scene.around(b),
        )


def door_then(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go through a door, then to a thing that is seen behind it."""
    for door, a, a_noun in _behind_doors(scene, x, y):
        yield Task({'a': a_noun, 'door': _door(door)}, scene.around(a), _middle_of(door))


def door_turn_then(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go through a door, turn to one side, then go to a thing there."""
    for door, a, a_noun in _behind_doors(scene, x, y):
        ((at_x, at_y),) = scene.behind(door, a.room)
        turn = math.remainder(
            scene.bearing(at_x, at_y, (a.x, a.y)) - scene.walk_in(door, a.room), math.tau
        )
        if _TURN_BEGINS < abs(turn) < _TURN_ENDS:
            side = 'left' if turn > 0 else 'right'
            yield Task(
                {'a': a_noun, 'door': _door(door), 'side': side}, scene.around(a), _middle_of(door)
            )


def past_door_then(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go past a thing, through a door, to another thing."""
    seen = list(_named_in_sight(scene, x, y))
    for door, a, a_noun in _behind_doors(scene, x, y):
        way = scene.space.field(scene.behind(door, a.room)).path(x, y)
        for b, b_noun in seen:
            if _passes(way, b):
                yield Task(
                    {'a': a_noun, 'b': b_noun, 'door': _door(door)},
                    scene.around(a),
                    np.concatenate([_at(b), _middle_of(door)]),
                )


def door_door_then(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go through two doors, then to a thing that is seen behind the second."""
    for first, room in _doors_in_sight(scene, x, y):
        for second, last in _doors_in_sight(scene, *scene.behind(first, room)[0]):
            if second.index == first.index:
                continue
            for a, a_noun in _named_in_sight(scene, *scene.behind(second, last)[0], last):
                if _leads_by(scene, scene.around(a), x, y, [first, second]):
                    yield Task(
                        {'a': a_noun, 'door': _door(first), 'exit': _door(second)},
                        scene.around(a),
                        _middle_of(first),
                    )


def side_thing(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose the left or the right one of two things that are alike."""
    for noun, ordered in _in_order(scene, x, y):
        if len(ordered) == 2:
            for piece, other, side in ((*ordered, 'left'), (*ordered[::-1], 'right')):
                yield Task(
                    {'a': noun, 'side': side},
                    scene.around(piece),
                    np.concatenate([_at(piece), _at(other)]),
                    together=True,
                    wrong=scene.around(other),
                )


def nth_thing(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose one of some things that are alike by counting from one side."""
    for noun, ordered in _in_order(scene, x, y):
        for rank, piece in enumerate(ordered):
            others = [other for other in ordered if other is not piece]
            facing = np.concatenate([_at(piece), *(_at(other) for other in others)])
            for side, place in (('left', rank + 1), ('right', len(ordered) - rank)):
                if place <= 3:
                    yield Task(
                        {'a': noun, 'side': side, 'nth': str(place)},
                        scene.around(piece),
                        facing,
                        together=True,
                        wrong=_around_all(scene, others),
                    )


def side_door(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose the left or the right one of a room's two doors."""
    room = scene.house.room_at(x, y)
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
            _inside(scene, door, door.other(room.index)),
            np.concatenate([_middle_of(door), _middle_of(other)]),
            together=True,
            wrong=_inside(scene, other, other.other(room.index)),
        )


def nth_door(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Count the doors on one side of a corridor, looking along it."""
    room = scene.house.room_at(x, y)
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
                    _inside(scene, other, other.other(room.index))
                    for other in in_front
                    if other is not door
                ]
                yield Task(
                    {'side': side, 'nth': str(place + 1)},
                    _inside(scene, door, door.other(room.index)),
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
    for piece, noun, places, in_front in _sides(scene, x, y):
        for side, other in (('left', 'right'), ('right', 'left')):
            if not _in_room(scene, piece, places[side]):
                continue
            wrong = np.array([in_front, places['behind'], places[other]])
            yield Task({'a': noun, 'side': side}, places[side][None], _at(piece), wrong=wrong)


def back_of(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Stop behind a thing, as seen from the start."""
    for piece, noun, places, in_front in _sides(scene, x, y):
        if not _in_room(scene, piece, places['behind']):
            continue
        wrong = np.array([in_front, places['left'], places['right']])
        yield Task({'a': noun}, places['behind'][None], _at(piece), wrong=wrong)


def next_to(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Choose the one of some things that are alike by what it is next to."""
    seen = None
    for noun, pieces in _alike_in_sight(scene, x, y):
        seen = list(_named_in_sight(scene, x, y)) if seen is None else seen
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
                    np.concatenate([_at(piece), _at(b)]),
                    together=True,
                    wrong=_around_all(scene, others),
                )


def between(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Stop in the middle between two things."""
    for (a, a_noun), (b, b_noun) in _pairs_in_sight(scene, x, y):
        if not _BETWEEN[0] <= scene.gap(a, b) <= _BETWEEN[1]:
            continue
        axis = np.array([b.x - a.x, b.y - a.y]) / math.hypot(b.x - a.x, b.y - a.y)
        start = (a.x, a.y) + _reach(a, axis) * axis
        end = (b.x, b.y) - _reach(b, axis) * axis
        middle = (start + end) / 2
        if not scene.space.line_is_free(start + 0.35 * axis, end - 0.35 * axis):
            continue
        # Next to either thing, but on its far side.
        wrong = np.array(
            [
                (a.x, a.y) - (_reach(a, axis) + 0.6) * axis,
                (b.x, b.y) + (_reach(b, axis) + 0.6) * axis,
            ]
        )
        yield Task(
            {'a': a_noun, 'b': b_noun},
            middle[None],
            np.concatenate([middle[None], _at(a), _at(b)]),
            together=True,
            wrong=wrong,
        )


def there_and_back(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go to a thing, then back to the start."""
    for b, b_noun in _named_in_sight(scene, x, y):
        yield Task(
            {'b': b_noun},
            np.array([[x, y]]),
            _at(b),
            visits=(scene.around(b),),
            wrong=scene.around(b),
        )


def back_to_passed(scene: Scene, x: float, y: float) -> Iterator[Task]:
    """Go to a thing, then back to another one that was seen at the start."""
    for (b, b_noun), (a, a_noun) in _pairs_in_sight(scene, x, y):
        # Both in view at the start; a out of view on arriving at b.
        turn = scene.bearing(b.x, b.y, (a.x, a.y)) - scene.bearing(x, y, (b.x, b.y))
        if abs(math.remainder(turn, math.tau)) > _OUT_OF_VIEW:
            yield Task(
                {'a': a_noun, 'b': b_noun},
                scene.around(a),
                np.concatenate([_at(b), _at(a)]),
                together=True,
                visits=(scene.around(b),),
                wrong=scene.around(b),
            )


# By category and form; the forms' words are in grammar.PHRASINGS.
FORMS: Mapping[str, Mapping[str, Proposer]] = {
    'reach': {'reach': reach},
    'sequence': {
        'door_then': door_then,
        'door_turn_then': door_turn_then,
        'past_door_then': past_door_then,
        'door_door_then': door_door_then,
        'two_things': two_things,
    },
    'direction': {
        'side_thing': side_thing,
        'nth_thing': nth_thing,
        'side_door': side_door,
        'nth_door': nth_door,
    },
    'depth': {'nearest': nearest, 'farthest': farthest},
    'side': {'beside': beside, 'back_of': back_of},
    'relation': {'next_to': next_to, 'between': between},
    'memory': {'there_and_back': there_and_back, 'back_to_passed': back_to_passed},
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


def _at(piece: Furniture) -> np.ndarray:
    return np.array([[piece.x, piece.y]])


def _door(door: Door) -> Noun:
    return Noun('door', door.colour)


def _middle_of(door: Door) -> np.ndarray:
    return np.array([[door.x, door.y]])


def _in_room(scene: Scene, piece: Furniture, place: np.ndarray) -> bool:
    return scene.house.rooms[piece.room].contains(*place)


def _around_all(scene: Scene, pieces: list[Furniture]) -> np.ndarray:
    return np.concatenate([np.empty((0, 2)), *(scene.around(piece) for piece in pieces)])


def _named_in_sight(
    scene: Scene, x: float, y: float, room: int | None = None
) -> Iterator[tuple[Furniture, Noun]]:
    """Give the things of a room (default: the one at x, y) in sight that have a name, and it."""
    if room is None:
        room = scene.house.room_at(x, y).index
    for piece in scene.house.furniture:
        if piece.room == room and scene.sees(x, y, piece):
            for noun in names(scene, piece):
                yield piece, noun


def _pairs_in_sight(
    scene: Scene, x: float, y: float
) -> Iterator[tuple[tuple[Furniture, Noun], tuple[Furniture, Noun]]]:
    """Give all ordered pairs of different things in sight, with their names."""
    for first, second in itertools.permutations(list(_named_in_sight(scene, x, y)), 2):
        if first[0].index != second[0].index:
            yield first, second


def _alike_in_sight(scene: Scene, x: float, y: float) -> Iterator[tuple[Noun, list[Furniture]]]:
    """
    Give nouns that fit two to four things in sight, and these.

    None of the room's things that the noun fits may be out of sight, none in sight may be in
    another room.
    """
    room = scene.house.room_at(x, y).index
    pieces = [p for p in scene.house.furniture if p.room == room]
    nouns = {Noun(p.category): None for p in pieces} | {
        Noun(p.category, p.colour): None for p in pieces
    }
    for noun in nouns:
        here = [p for p in scene.named(noun.thing, noun.colour) if p.room == room]
        if not 2 <= len(here) <= 4 or not all(scene.sees(x, y, p) for p in here):
            continue
        elsewhere = [p for p in scene.named(noun.thing, noun.colour) if p.room != room]
        if not any(scene.sees(x, y, p) for p in elsewhere):
            yield noun, here


def _doors_in_sight(scene: Scene, x: float, y: float) -> Iterator[tuple[Door, int]]:
    """Give the doors in sight of the room at (x, y), each with the room behind it."""
    room = scene.house.room_at(x, y)
    if room is not None:
        for door in scene.house.doors_of(room.index):
            if scene.sees_door(x, y, door):
                yield door, door.other(room.index)


def _behind_doors(scene: Scene, x: float, y: float) -> Iterator[tuple[Door, Furniture, Noun]]:
    """Give doors in sight and things that are seen from behind them, if the door leads there."""
    for door, room in _doors_in_sight(scene, x, y):
        for piece, noun in _named_in_sight(scene, *scene.behind(door, room)[0], room):
            if _leads_by(scene, scene.around(piece), x, y, [door]):
                yield door, piece, noun


def _in_order(scene: Scene, x: float, y: float) -> Iterator[tuple[Noun, list[Furniture]]]:
    """Give nouns with the things in sight that they fit, from left to right, clearly apart."""
    for noun, pieces in _alike_in_sight(scene, x, y):
        middle = scene.bearing(x, y, np.mean([(p.x, p.y) for p in pieces], axis=0))
        bearings = sorted(
            (
                (math.remainder(scene.bearing(x, y, (p.x, p.y)) - middle, math.tau), p)
                for p in pieces
            ),
            key=lambda item: -item[0],
        )
        if all(a[0] - b[0] >= _APART for a, b in zip(bearings, bearings[1:])):
            yield noun, [piece for _, piece in bearings]


def _by_depth(scene: Scene, x: float, y: float, order: int) -> Iterator[Task]:
    """Give the nearest (order 1) or farthest (-1) of things that are alike."""
    for noun, pieces in _alike_in_sight(scene, x, y):
        ranges = sorted(
            ((math.hypot(p.x - x, p.y - y), p) for p in pieces), key=lambda item: order * item[0]
        )
        (distance, piece), (next_distance, _), *_ = ranges
        if abs(next_distance - distance) >= _CLEARLY:
            others = [other for _, other in ranges[1:]]
            yield Task(
                {'a': noun},
                scene.around(piece),
                np.concatenate([_at(piece), *(_at(other) for other in others)]),
                together=True,
                wrong=_around_all(scene, others),
            )


def _sides(
    scene: Scene, x: float, y: float
) -> Iterator[tuple[Furniture, Noun, dict[str, np.ndarray], np.ndarray]]:
    """Give things in sight with the places left, right and behind, and the one in front."""
    for piece, noun in _named_in_sight(scene, x, y):
        bearing = scene.bearing(x, y, (piece.x, piece.y))
        ahead = np.array([math.cos(bearing), math.sin(bearing)])
        left = np.array([-ahead[1], ahead[0]])
        centre = np.array([piece.x, piece.y])
        deep, wide = _reach(piece, ahead), _reach(piece, left)
        places = {
            'left': centre + (wide + 0.6) * left,
            'right': centre - (wide + 0.6) * left,
            'behind': centre + (deep + 0.6) * ahead,
        }
        yield piece, noun, places, centre - (deep + 0.7) * ahead


def _leads_by(scene: Scene, goal: np.ndarray, x: float, y: float, doors: list[Door]) -> bool:
    """Tell whether the shortest way goes through these doors, in this order, and no others."""
    if not len(goal):
        return False
    guide = scene.space.field(goal)
    if not guide.reaches(x, y):
        return False
    way = guide.trace(x, y)
    passed = []
    for door in scene.house.doors:
        near = np.hypot(*(way - (door.x, door.y)).T) < door.width / 2
        if near.any():
            passed.append((int(near.argmax()), door.index))
    return [index for _, index in sorted(passed)] == [door.index for door in doors]


def _passes(way: np.ndarray, piece: Furniture) -> bool:
    """Tell whether a way (n, 2) leads past a thing: near its middle part, not only at its ends."""
    pieces = np.diff(way, axis=0)
    lengths = np.hypot(*pieces.T)
    points = np.concatenate(
        [
            start + np.linspace(0, 1, 2 + int(length / 0.1))[:, None] * step
            for start, step, length in zip(way, pieces, lengths)
        ]
    )
    distance = np.hypot(*(points - (piece.x, piece.y)).T)
    nearest = int(distance.argmin())
    before = np.hypot(*np.diff(points[: nearest + 1], axis=0).T).sum()
    after = np.hypot(*np.diff(points[nearest:], axis=0).T).sum()
    reach = max(piece.half_x, piece.half_y)
    return bool(distance[nearest] < reach + 0.7 and before > 1.0 and after > 0.8)


def _inside(scene: Scene, door: Door, room: int) -> np.ndarray:
    """Give places (n, 2) well behind a door, where 'go through it and stop' ends."""
    ((x, y),) = scene.behind(door, room, 0.0)
    heading = scene.walk_in(door, room)
    away = scene.space.points - (x, y)
    deep = away @ (math.cos(heading), math.sin(heading))
    wide = away @ (-math.sin(heading), math.cos(heading))
    places = scene.space.points[(deep >= 1.2) & (deep <= 1.8) & (np.abs(wide) <= 0.5)]
    return thin(places, 0.3)


def _reach(piece: Furniture, axis: np.ndarray) -> float:
    """Give how far a footprint reaches from its middle along an axis, in metres."""
    return float(np.abs((piece.corners() - (piece.x, piece.y)) @ axis).max())
