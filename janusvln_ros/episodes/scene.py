"""
What an instruction can say about a house: what is where, what is seen from where, what is near.

Frame: the house's (REP-103: x east, y north), metres and radians.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
import math
import re

from janusvln_ros.episodes import grammar
from janusvln_ros.sim.free_space import DistanceField, FreeSpace, places_around
from janusvln_ros.sim.generator import generate_house, GENERATOR_VERSION
from janusvln_ros.sim.house import clearance, Door, Furniture, House, Room, WALL_HEIGHT
from janusvln_ros.sim.new_thing import with_new_thing
import numpy as np

CAMERA_HEIGHT = 1.25  # m
HALF_VIEW = math.radians(33)  # of the 39.5 degrees that the camera sees to either side
NEW_THING = 'new_thing'  # the key of houses with a thing of which nothing was taught
# Least and most, without a corridor.
ROOMS = {'': (1, 4), 'one_room': (1, 1), 'large': (4, 6), NEW_THING: (1, 3)}
_NEXT_TO = (0.19, 0.32)  # m between a thing's footprint and the middle of a robot next to it
_GOAL_SPACING = 0.3  # m between points that stand for the places around a thing


def scene_id(seed: int, seen: bool, size: str = '') -> str:
    """Name a house in an episode; its size is a key of ROOMS."""
    kind = ('seen' if seen else 'unseen') + (f'_{size}' if size else '')
    return f'janusvln-v{GENERATOR_VERSION}/{kind}/{seed}'


def house_of(scene: str) -> House:
    """Build the house that a scene_id names; ValueError for one that is not ours."""
    match = re.fullmatch(
        rf'janusvln-v{GENERATOR_VERSION}/(seen|unseen)(?:_(one_room|large|{NEW_THING}))?/([0-9]+)',
        scene,
    )
    if match is None:
        raise ValueError(
            f'scene {scene!r} is not a house of this release '
            f'(janusvln-v{GENERATOR_VERSION}/seen|unseen[_one_room|_large|_{NEW_THING}]/SEED)'
        )
    house = generate_house(
        int(match[3]),
        rooms=ROOMS[match[2] or ''],
        pairs=grammar.TRAINING_PAIRS if match[1] == 'seen' else None,
    )
    return with_new_thing(house) if match[2] == NEW_THING else house


class Scene:
    """A house with its free space, asked about its things."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.space = FreeSpace(house)
        self._obstacles = house.obstacles()
        self._walls = len(self._obstacles) - len(house.furniture)
        self._heights = np.array(
            [WALL_HEIGHT] * self._walls + [piece.height for piece in house.furniture]
        )
        self._around: dict[int, np.ndarray] = {}
        self._from: tuple[tuple[float, float], DistanceField] | None = None

    @cached_property
    def starts(self) -> np.ndarray:
        """Places (n, 2) where an episode may start: at least 0.5 m of room around, in a room."""
        clear = self.space.clearance_at(self.space.points)
        points = self.space.points[clear >= 0.5]
        x, y = points.T
        rooms = self.house.rooms
        inside = [(r.x0 <= x) & (x <= r.x1) & (r.y0 <= y) & (y <= r.y1) for r in rooms]
        return points[np.any(inside, axis=0)]

    def room_at(self, x: float, y: float) -> Room:
        """Give the room of a place where a robot stands; ValueError inside walls and outside."""
        room = self.house.room_at(x, y)
        if room is None:
            raise ValueError(f'({x:.2f}, {y:.2f}) is in no room of house {self.house.seed}')
        return room

    def field_from(self, x: float, y: float) -> DistanceField:
        """Give the distances from a place; the last one is kept."""
        if self._from is None or self._from[0] != (x, y):
            self._from = (x, y), self.space.field(np.array([[x, y]]))
        return self._from[1]

    def named(self, category: str, colour: str | None = None) -> list[Furniture]:
        """Give the house's furniture that the words fit."""
        return [
            piece
            for piece in self.house.furniture
            if piece.category == category and colour in (None, piece.colour)
        ]

    def around(self, piece: Furniture) -> np.ndarray:
        """Give places (n, 2) next to a thing, in its room; none where it cannot be reached."""
        if piece.index not in self._around:
            places = places_around(self.space, piece.corners(), *_NEXT_TO)
            room = self.house.rooms[piece.room]
            inside = np.array([room.contains(x, y) for x, y in places], dtype=bool)
            self._around[piece.index] = thin(places[inside], _GOAL_SPACING)
        return self._around[piece.index]

    def behind(self, door: Door, room: int, depth: float = 0.8) -> np.ndarray:
        """Give the point (1, 2) that lies `depth` metres behind a doorway, in `room`."""
        forward = 1.0 if room == door.room_b else -1.0
        step = (depth * forward, 0.0) if door.axis == 'x' else (0.0, depth * forward)
        return np.array([[door.x + step[0], door.y + step[1]]])

    def walk_in(self, door: Door, room: int) -> float:
        """Give the heading in radians with which one walks through a door into `room`."""
        ((x, y),) = self.behind(door, room)
        return math.atan2(y - door.y, x - door.x)

    def gap(self, a: Furniture, b: Furniture) -> float:
        """Give the distance between two footprints in metres, 0 where they touch."""
        # One of the corners is nearest, unless the footprints cross.
        to_b = clearance(self._box(b), a.corners())
        return float(min(to_b.min(), clearance(self._box(a), b.corners()).min()))

    def _box(self, piece: Furniture) -> np.ndarray:
        box: np.ndarray = self._obstacles[self._walls + piece.index][None]
        return box

    def sees(self, x: float, y: float, piece: Furniture) -> bool:
        """
        Tell whether a camera at (x, y), looking that way, has most of a thing in sight.

        Of its middle, left and right at most one may be hidden by walls or by furniture that is
        higher than the line of sight.
        """
        bearing = math.atan2(piece.y - y, piece.x - x)
        across = np.array([-math.sin(bearing), math.cos(bearing)])
        wide = 0.7 * np.abs((piece.corners() - (piece.x, piece.y)) @ across).max()
        seen = [
            self._in_sight(
                x, y, np.array([piece.x, piece.y]) + offset * across, 0.7 * piece.height, piece
            )
            for offset in (0.0, -wide, wide)
        ]
        return sum(seen) >= 2

    def sees_door(self, x: float, y: float, door: Door) -> bool:
        """Tell whether a camera at (x, y) has both posts of a door in sight, not from the side."""
        along = math.atan2(door.y - y, door.x - x)
        across = 0.0 if door.axis == 'x' else math.pi / 2
        if abs(math.cos(along - across)) < math.cos(math.radians(65)):
            return False
        room = self.house.room_at(x, y)
        if room is None or room.index not in (door.room_a, door.room_b):
            return False
        # Where the posts stand out of the wall on the camera's side.
        heading = self.walk_in(door, door.other(room.index))
        back = 0.12 * np.array([math.cos(heading), math.sin(heading)])
        return all(
            self._in_sight(x, y, np.array(post[:2]) - back, 1.2, None) for post in door.posts()
        )

    def bearing(self, x: float, y: float, target: tuple[float, float]) -> float:
        """Give the direction from (x, y) to a point, in radians."""
        return math.atan2(target[1] - y, target[0] - x)

    def _in_sight(
        self, x: float, y: float, target: np.ndarray, height: float, piece: Furniture | None
    ) -> bool:
        """Tell whether nothing but `piece` stands in the line of sight to a point."""
        enter, leave = _crossings(self._obstacles, np.array([x, y]), target)
        hit = enter < leave
        if piece is not None:
            hit[self._walls + piece.index] = False
        # The line falls or rises evenly: it is lowest where it enters or leaves a thing.
        lowest = CAMERA_HEIGHT + (height - CAMERA_HEIGHT) * (
            leave if height < CAMERA_HEIGHT else enter
        )
        return not (hit & (self._heights > lowest)).any()


def _crossings(
    obstacles: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Give where, from 0 to 1, a line enters and leaves each obstacle (n, 6), each (n,).

    It enters before it leaves where it crosses at all. Round things count as squares.
    """
    cos, sin = np.cos(obstacles[:, 2]), np.sin(obstacles[:, 2])
    half = obstacles[:, 3:5] + obstacles[:, 5:6]
    local = []
    for point in (start, end):
        dx, dy = point[0] - obstacles[:, 0], point[1] - obstacles[:, 1]
        local.append(np.stack([dx * cos + dy * sin, dy * cos - dx * sin], axis=1))
    step = local[1] - local[0]
    step = np.where(np.abs(step) < 1e-12, 1e-12, step)
    bounds = np.stack([(-half - local[0]) / step, (half - local[0]) / step])  # (2, n, 2)
    enter = np.clip(bounds.min(axis=0).max(axis=1), 0.0, 1.0)
    leave = np.clip(bounds.max(axis=0).min(axis=1), 0.0, 1.0)
    return enter, leave


def thin(points: np.ndarray, spacing: float) -> np.ndarray:
    """Keep points (n, 2) that are at least `spacing` metres from those kept before them."""
    kept = []
    while len(points):
        kept.append(points[0])
        points = points[np.hypot(*(points - points[0]).T) >= spacing]
    return np.array(kept).reshape(-1, 2)


@lru_cache(maxsize=4)
def scene_of(scene: str) -> Scene:
    """Give the house that a scene_id names, with its free space; ValueError as `house_of`."""
    return Scene(house_of(scene))
