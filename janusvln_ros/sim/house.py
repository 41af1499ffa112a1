"""
Houses: rooms, doorways, furniture, and what a robot can run into.

A house is a flat plan: rectangular rooms, doorways in the walls between them, furniture on the
floor. Frames are REP-103: x east, y north, metres; yaw in radians from +x, positive to the left.
Nothing here knows how a house looks or what a simulator does with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math

import numpy as np

ROBOT_RADIUS = 0.18  # m
WALL_THICKNESS = 0.14  # m, between the free rectangles of two neighbouring rooms
WALL_HEIGHT = 2.6  # m
DOOR_HEIGHT = 2.05  # m, clear height of an opening
DOOR_FRAME = 0.09  # m, width of a door frame's posts, seen from the front
DOOR_FRAME_DEPTH = WALL_THICKNESS + 0.06  # m, it stands out 3 cm on both sides of the wall

CATEGORIES = (*'chair table sofa stool lamp plant cabinet bed shelf ball'.split(),)
COLOURS = ('red', 'orange', 'yellow', 'green', 'blue', 'purple', 'pink', 'white')
# Of no house but those of `new_thing`: what no model was taught, kept apart from the two above.
NEW_CATEGORY, NEW_COLOUR = 'barrel', 'turquoise'
ROUND = ('stool', 'lamp', 'plant', 'ball', NEW_CATEGORY)
ROOM_KINDS = ('living room', 'bedroom', 'kitchen', 'dining room', 'office', 'playroom')


@dataclass(frozen=True)
class Room:
    """A room: the free rectangle between its walls, in metres."""

    index: int
    kind: str  # one of ROOM_KINDS, or 'corridor'
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def centre(self) -> tuple[float, float]:
        """Give the middle of the room (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def contains(self, x: float, y: float) -> bool:
        """Tell whether a point lies in the room."""
        return self.x0 <= x <= self.x1 and self.y0 <= y <= self.y1


@dataclass(frozen=True)
class Door:
    """An open doorway in the wall between two rooms, with a coloured frame."""

    index: int
    room_a: int  # the room on the side of the smaller coordinate along `axis`
    room_b: int
    x: float  # the middle of the opening, in the middle of the wall
    y: float
    width: float  # m, free between the posts
    axis: str  # 'x' or 'y': the direction in which one walks through
    colour: str

    def other(self, room: int) -> int:
        """Give the room on the other side; ValueError if the door is not in `room`."""
        if room not in (self.room_a, self.room_b):
            raise ValueError(
                f'door {self.index} joins rooms {self.room_a} and {self.room_b}, not room {room}'
            )
        return self.room_a + self.room_b - room

    def posts(self) -> list[tuple[float, float, float, float, float]]:
        """Give both posts of the frame as (x, y, yaw, half_x, half_y)."""
        offset = (self.width + DOOR_FRAME) / 2
        deep, wide = DOOR_FRAME_DEPTH / 2, DOOR_FRAME / 2
        if self.axis == 'x':
            return [(self.x, self.y + side * offset, 0.0, deep, wide) for side in (-1, 1)]
        return [(self.x + side * offset, self.y, 0.0, wide, deep) for side in (-1, 1)]


@dataclass(frozen=True)
class Furniture:
    """A piece of furniture; +x of its own frame is its front."""

    index: int
    category: str
    colour: str  # of a plant: its pot's
    x: float
    y: float
    yaw: float
    half_x: float  # m, half extents of the footprint in its own frame
    half_y: float
    height: float
    room: int

    @property
    def is_round(self) -> bool:
        """Tell whether the footprint is a circle of radius half_x instead of a rectangle."""
        return self.category in ROUND

    def corners(self) -> np.ndarray:
        """Give the corners of the footprint's rectangle, counter-clockwise, float64 (4, 2)."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        local = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * (self.half_x, self.half_y)
        return local @ np.array([(cos, sin), (-sin, cos)]) + (self.x, self.y)


@dataclass(frozen=True)
class House:
    """Rooms, doorways and furniture; `seed` also decides how the house looks."""

    seed: int
    rooms: tuple[Room, ...]
    doors: tuple[Door, ...]
    furniture: tuple[Furniture, ...]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Give x0, y0, x1, y1 around all rooms and their outer walls."""
        half = WALL_THICKNESS / 2
        return (
            min(room.x0 for room in self.rooms) - half,
            min(room.y0 for room in self.rooms) - half,
            max(room.x1 for room in self.rooms) + half,
            max(room.y1 for room in self.rooms) + half,
        )

    def room_at(self, x: float, y: float) -> Room | None:
        """Give the room at a point; None inside walls, in doorways and outside."""
        return next((room for room in self.rooms if room.contains(x, y)), None)

    def is_inside(self, x: float, y: float) -> bool:
        """Tell whether a point lies within the outer walls."""
        x0, y0, x1, y1 = self.bounds
        return x0 < x < x1 and y0 < y < y1

    def doors_of(self, room: int) -> tuple[Door, ...]:
        """Give the doors of a room."""
        return tuple(door for door in self.doors if room in (door.room_a, door.room_b))

    def walls(self) -> Iterator[tuple[Room, str, float, float, float]]:
        """
        Give every straight piece of wall, as its room sees it.

        Yields (room, side, start, end, at): side 'west', 'east', 'south' or 'north'; the visible
        face runs from start to end along y (west, east) or x (south, north) at the coordinate
        `at`; openings are left out with their frames.
        """
        for room in self.rooms:
            for side, start, end, at in (
                ('west', room.y0, room.y1, room.x0),
                ('east', room.y0, room.y1, room.x1),
                ('south', room.x0, room.x1, room.y0),
                ('north', room.x0, room.x1, room.y1),
            ):
                for door in sorted(self.doors_of(room.index), key=lambda d: (d.x, d.y)):
                    across, along = (door.x, door.y) if door.axis == 'x' else (door.y, door.x)
                    of_side = door.axis == ('x' if side in ('west', 'east') else 'y')
                    if of_side and abs(across - at) < WALL_THICKNESS:
                        half = door.width / 2 + DOOR_FRAME
                        yield room, side, start, along - half, at
                        start = along + half
                yield room, side, start, end, at

    def obstacles(self) -> np.ndarray:
        """
        Give all that a robot can run into, as boxes with round corners on the floor.

        Returns float64 (n, 6): x, y, yaw, half_x, half_y of a box and the radius by which it is
        grown all around (a round thing is a point with a radius), of walls, door posts, furniture
        (the furniture comes last, in its order).
        """
        boxes: list[tuple[float, ...]] = []
        thick = WALL_THICKNESS / 2
        for _, side, start, end, at in self.walls():
            out = -thick / 2 if side in ('west', 'south') else thick / 2
            middle, half = (start + end) / 2, (end - start) / 2 + thick / 2
            if side in ('west', 'east'):
                boxes.append((at + out, middle, 0.0, thick / 2, half, 0.0))
            else:
                boxes.append((middle, at + out, 0.0, half, thick / 2, 0.0))
        for door in self.doors:
            boxes.extend((*post, 0.0) for post in door.posts())
        for piece in self.furniture:
            half_x, half_y, radius = piece.half_x, piece.half_y, 0.0
            if piece.is_round:
                half_x, half_y, radius = 0.0, 0.0, piece.half_x
            boxes.append((piece.x, piece.y, piece.yaw, half_x, half_y, radius))
        return np.array(boxes, dtype=np.float64)


def clearance(obstacles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """
    Give the distance from each point to the nearest obstacle.

    obstacles: (n, 6) as House.obstacles gives them; points: (..., 2) in metres.
    Returns float64 (...): metres, 0 inside an obstacle.
    """
    points = np.asarray(points, dtype=np.float64)
    dx = points[..., 0, None] - obstacles[:, 0]
    dy = points[..., 1, None] - obstacles[:, 1]
    cos, sin = np.cos(obstacles[:, 2]), np.sin(obstacles[:, 2])
    out_x = np.maximum(np.abs(dx * cos + dy * sin) - obstacles[:, 3], 0.0)
    out_y = np.maximum(np.abs(dy * cos - dx * sin) - obstacles[:, 4], 0.0)
    return np.maximum(np.sqrt(out_x**2 + out_y**2) - obstacles[:, 5], 0.0).min(axis=-1)


def free_start(house: House) -> tuple[float, float, float]:
    """Give a pose (x, y, yaw) in the first room: where most space is, with a view on the most."""
    room = house.rooms[0]
    xs = np.linspace(room.x0, room.x1, 40)[1:-1]
    ys = np.linspace(room.y0, room.y1, 40)[1:-1]
    points = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    x, y = points[clearance(house.obstacles(), points).argmax()].round(3).tolist()
    things = [(f.x, f.y) for f in house.furniture if f.room == room.index]
    things += [(d.x, d.y) for d in house.doors_of(room.index)]
    bearings = np.array([math.atan2(thing_y - y, thing_x - x) for thing_x, thing_y in things])
    yaws = np.arange(0.0, math.tau, math.pi / 8)
    seen = [
        (np.abs(np.remainder(bearings - yaw + math.pi, math.tau) - math.pi) < 0.6).sum()
        for yaw in yaws
    ]
    return x, y, round(math.remainder(float(yaws[int(np.argmax(seen))]), math.tau), 4)
