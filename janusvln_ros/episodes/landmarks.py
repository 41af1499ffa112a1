"""
The landmarks of an instruction: what can be named, and how it is seen from a place in a house.

Frame: the house's (REP-103), metres and radians.
"""

from __future__ import annotations

from collections.abc import Iterator
import itertools
import math

from janusvln_ros.episodes.grammar import Noun
from janusvln_ros.episodes.scene import Scene, thin
from janusvln_ros.sim.house import Door, Furniture
import numpy as np

_APART = math.radians(9)  # between the bearings of things that are counted from one side


def names(scene: Scene, piece: Furniture) -> list[Noun]:
    """Give the nouns that fit this thing and no other in the house."""
    nouns = [Noun(piece.category, piece.colour), Noun(piece.category)]
    return [noun for noun in nouns if len(scene.named(noun.thing, noun.colour)) == 1]


def at(*things: Furniture | Door) -> np.ndarray:
    """Give where things or doors stand, (n, 2)."""
    return np.array([[thing.x, thing.y] for thing in things])


def door_noun(door: Door) -> Noun:
    return Noun('door', door.colour)


def in_room(scene: Scene, piece: Furniture, place: np.ndarray) -> bool:
    return scene.house.rooms[piece.room].contains(*place)


def around_all(scene: Scene, pieces: list[Furniture]) -> np.ndarray:
    return np.concatenate([np.empty((0, 2)), *(scene.around(piece) for piece in pieces)])


def named_in_sight(
    scene: Scene, x: float, y: float, room: int | None = None
) -> Iterator[tuple[Furniture, Noun]]:
    """Give the things of a room (default: the one at x, y) in sight that have a name, and it."""
    if room is None:
        room = scene.room_at(x, y).index
    for piece in scene.house.furniture:
        if piece.room == room and scene.sees(x, y, piece):
            for noun in names(scene, piece):
                yield piece, noun


def pairs_in_sight(
    scene: Scene, x: float, y: float
) -> Iterator[tuple[tuple[Furniture, Noun], tuple[Furniture, Noun]]]:
    """Give all ordered pairs of different things in sight, with their names."""
    for first, second in itertools.permutations(list(named_in_sight(scene, x, y)), 2):
        if first[0].index != second[0].index:
            yield first, second


def alike_in_sight(scene: Scene, x: float, y: float) -> Iterator[tuple[Noun, list[Furniture]]]:
    """
    Give nouns that fit two to four things in sight, and these.

    None of the room's things that the noun fits may be out of sight, none in sight may be in
    another room.
    """
    room = scene.room_at(x, y).index
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


def doors_in_sight(scene: Scene, x: float, y: float) -> Iterator[tuple[Door, int]]:
    """Give the doors in sight of the room at (x, y), each with the room behind it."""
    room = scene.house.room_at(x, y)
    if room is not None:
        for door in scene.house.doors_of(room.index):
            if scene.sees_door(x, y, door):
                yield door, door.other(room.index)


def behind_doors(scene: Scene, x: float, y: float) -> Iterator[tuple[Door, Furniture, Noun]]:
    """Give doors in sight and things that are seen from behind them, if the door leads there."""
    for door, room in doors_in_sight(scene, x, y):
        there = scene.behind(door, room)[0]
        for piece, noun in named_in_sight(scene, there[0], there[1], room):
            if leads_by(scene, scene.around(piece), x, y, [door]):
                yield door, piece, noun


def in_order(scene: Scene, x: float, y: float) -> Iterator[tuple[Noun, list[Furniture]]]:
    """Give nouns with the things in sight that they fit, from left to right, clearly apart."""
    for noun, pieces in alike_in_sight(scene, x, y):
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


def sides_of(
    scene: Scene, x: float, y: float
) -> Iterator[tuple[Furniture, Noun, dict[str, np.ndarray], np.ndarray]]:
    """Give things in sight with the places left, right and behind, and the one in front."""
    for piece, noun in named_in_sight(scene, x, y):
        bearing = scene.bearing(x, y, (piece.x, piece.y))
        ahead = np.array([math.cos(bearing), math.sin(bearing)])
        left = np.array([-ahead[1], ahead[0]])
        centre = np.array([piece.x, piece.y])
        deep, wide = reach_of(piece, ahead), reach_of(piece, left)
        places = {
            'left': centre + (wide + 0.6) * left,
            'right': centre - (wide + 0.6) * left,
            'behind': centre + (deep + 0.6) * ahead,
        }
        yield piece, noun, places, centre - (deep + 0.7) * ahead


def leads_by(scene: Scene, goal: np.ndarray, x: float, y: float, doors: list[Door]) -> bool:
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


def passes(way: np.ndarray, piece: Furniture) -> bool:
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


def inside(scene: Scene, door: Door, room: int) -> np.ndarray:
    """Give places (n, 2) well behind a door, where 'go through it and stop' ends."""
    ((x, y),) = scene.behind(door, room, 0.0)
    heading = scene.walk_in(door, room)
    away = scene.space.points - (x, y)
    deep = away @ (math.cos(heading), math.sin(heading))
    wide = away @ (-math.sin(heading), math.cos(heading))
    places = scene.space.points[(deep >= 1.2) & (deep <= 1.8) & (np.abs(wide) <= 0.5)]
    return thin(places, 0.3)


def reach_of(piece: Furniture, axis: np.ndarray) -> float:
    """Give how far a footprint reaches from its middle along an axis, in metres."""
    return float(np.abs((piece.corners() - (piece.x, piece.y)) @ axis).max())
