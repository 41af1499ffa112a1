"""
How a house looks: every room and piece of furniture as primitives, and the light on them.

The shapes are for the eye only; what a robot runs into is House.obstacles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from typing import Any

from janusvln_ros.sim import textures
from janusvln_ros.sim.furniture_shapes import furniture_shapes
from janusvln_ros.sim.house import (
    Door,
    DOOR_FRAME,
    DOOR_FRAME_DEPTH,
    DOOR_HEIGHT,
    House,
    Room,
    WALL_HEIGHT,
    WALL_THICKNESS,
)
from janusvln_ros.sim.primitives import LINEN, RGB, scaled, Shape, UPRIGHT, WOOD
import numpy as np

_WALL_TINTS = (
    (0.96, 0.91, 0.78),
    (0.82, 0.86, 0.90),
    (0.80, 0.89, 0.78),
    (0.93, 0.81, 0.72),
    (0.76, 0.83, 0.93),
    (0.94, 0.85, 0.86),
    (0.92, 0.92, 0.88),
    (0.80, 0.75, 0.68),
)
_BRICK_TINTS = ((0.82, 0.60, 0.50), (0.90, 0.80, 0.70), (0.80, 0.78, 0.76))
_WOOD_TINTS = ((0.66, 0.48, 0.32), (0.54, 0.38, 0.26), (0.76, 0.62, 0.44), (0.58, 0.52, 0.46))
_FLOOR_TINTS = ((0.66, 0.66, 0.66), (0.72, 0.68, 0.60), (0.56, 0.60, 0.64), (0.62, 0.58, 0.56))


@dataclass(frozen=True)
class Light:
    """A light from one direction, everywhere the same."""

    direction: tuple[float, float, float]
    diffuse: tuple[float, float, float]
    ambient: tuple[float, float, float]
    specular: float


def house_shapes(house: House) -> list[Shape]:
    """Give all that is to be seen of a house; the same house always looks the same."""
    rng = np.random.default_rng([1, house.seed])
    shapes: list[Shape] = []
    tones = {}
    for room in house.rooms:
        tones[room.index] = rng.uniform(0.86, 1.0)
        shapes += _in_rooms((room.index,), _room_shapes(rng, house, room, tones[room.index]))
    for door in house.doors:
        shapes += _in_rooms((door.room_a, door.room_b), _door_shapes(door))
    for piece in house.furniture:
        shapes += _in_rooms((piece.room,), furniture_shapes(piece, tones[piece.room]))
    return shapes


def _in_rooms(rooms: tuple[int, ...], shapes: list[Shape]) -> list[Shape]:
    """Note where shapes can be seen from."""
    return [replace(shape, rooms=rooms) for shape in shapes]


def house_lights(house: House) -> list[Light]:
    """Give the light in a house: one from above and the side, one weaker from the other side."""
    rng = np.random.default_rng([2, house.seed])
    bearing = rng.uniform(-math.pi, math.pi)
    warm = rng.uniform(-1.0, 1.0)
    tint = np.array([1.0 + 0.05 * warm, 1.0, 1.0 - 0.07 * warm])
    strength = rng.uniform(0.30, 0.42)
    low = rng.uniform(0.9, 1.4)
    key = Light(
        (math.cos(bearing), math.sin(bearing), -low),
        tuple((strength * tint).tolist()),
        tuple((rng.uniform(0.62, 0.74) * tint).tolist()),
        0.25,
    )
    turned = bearing + rng.uniform(1.9, 2.5)
    fill = Light(
        (math.cos(turned), math.sin(turned), -0.6),
        tuple((0.5 * strength * tint).tolist()),
        (0.0, 0.0, 0.0),
        0.0,
    )
    return [key, fill]


# --- rooms


def _pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    """Pick one of several."""
    return options[int(rng.integers(len(options)))]


def _room_shapes(rng: np.random.Generator, house: House, room: Room, tone: float) -> list[Shape]:
    """Draw floor, ceiling, walls, skirting boards and windows of a room."""
    floor = str(_pick(rng, textures.FLOORS))
    floor_tints = _WOOD_TINTS if floor in ('planks', 'parquet') else _FLOOR_TINTS
    wall = str(_pick(rng, textures.WALLS))
    wall_tints = _BRICK_TINTS if wall in ('brick', 'blocks') else _WALL_TINTS
    wall_rgb = scaled(_pick(rng, wall_tints), tone)
    x, y = room.centre
    # Under the doorways the floors of both rooms meet in the middle of the wall.
    half = WALL_THICKNESS / 2
    size = ((room.x1 - room.x0) / 2 + half, (room.y1 - room.y0) / 2 + half, 0.1)
    shapes = [
        Shape('plane', size, (x, y, 0.0), UPRIGHT, scaled(_pick(rng, floor_tints), tone), floor),
        Shape(
            'plane',
            size,
            (x, y, WALL_HEIGHT),
            (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0),
            scaled((0.90, 0.90, 0.88), tone),
            str(_pick(rng, textures.CEILINGS)),
            0.35,
        ),
        Shape(
            'box',
            (0.3, 0.3, 0.02),
            (x, y, WALL_HEIGHT - 0.02),
            UPRIGHT,
            (1.0, 0.99, 0.94),
            emission=0.9,
        ),
    ]
    x0, y0, x1, y1 = house.bounds
    outer = {
        'west': room.x0 - half <= x0 + 0.01,
        'east': room.x1 + half >= x1 - 0.01,
        'south': room.y0 - half <= y0 + 0.01,
        'north': room.y1 + half >= y1 - 0.01,
    }
    board = scaled(_pick(rng, (LINEN, WOOD, (0.75, 0.75, 0.75))), tone)
    for owner, side, start, end, at in house.walls():
        if owner.index != room.index:
            continue
        middle, length, half_z = (start + end) / 2, (end - start) / 2, WALL_HEIGHT / 2
        shapes.append(_on_wall(side, at, middle, half_z, length, half_z, 0.0, wall_rgb, wall))
        shapes.append(_on_wall(side, at, middle, 0.05, length, 0.05, 0.012, board))
        if outer[side] and length > 0.9 and rng.random() < 0.6:
            wide = rng.uniform(0.5, min(0.8, length - 0.2))
            along = middle + rng.uniform(-1, 1) * (length - wide - 0.15)
            shapes.append(_on_wall(side, at, along, 1.6, wide + 0.06, 0.61, 0.01, LINEN))
            shapes.append(
                _on_wall(side, at, along, 1.6, wide, 0.55, 0.02, (0.72, 0.86, 0.96), emission=0.55)
            )
            shapes.append(_on_wall(side, at, along, 1.6, 0.025, 0.55, 0.03, LINEN))
    for door in house.doors_of(room.index):
        side, at = _side_of(door, room)
        along = door.y if door.axis == 'x' else door.x
        top = (WALL_HEIGHT + DOOR_HEIGHT) / 2
        wide, high = door.width / 2 + DOOR_FRAME, WALL_HEIGHT - top
        shapes.append(_on_wall(side, at, along, top, wide, high, 0.0, wall_rgb, wall))
    return shapes


def _side_of(door: Door, room: Room) -> tuple[str, float]:
    """Give the side of a room in which a door lies, and that wall's coordinate."""
    if door.axis == 'x':
        return ('east', room.x1) if room.index == door.room_a else ('west', room.x0)
    return ('north', room.y1) if room.index == door.room_a else ('south', room.y0)


_FACING = {  # axes of a rectangle that looks into the room: along the wall, up, normal
    'west': (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    'east': (0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    'south': (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0),
    'north': (1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0),
}


def _on_wall(
    side: str,
    at: float,
    along: float,
    z: float,
    half_along: float,
    half_z: float,
    out: float,
    rgb: tuple[float, float, float],
    texture: str = '',
    emission: float = 0.0,
) -> Shape:
    """Put an upright rectangle on a wall, `out` metres before it."""
    if side in ('west', 'east'):
        position = (at + (out if side == 'west' else -out), along, z)
    else:
        position = (along, at + (out if side == 'south' else -out), z)
    return Shape(
        'plane', (half_along, half_z, 0.1), position, _FACING[side], rgb, texture, emission
    )


def _door_shapes(door: Door) -> list[Shape]:
    """Draw the coloured frame, and a strip on the floor."""
    rgb = RGB[door.colour]
    height = DOOR_HEIGHT + DOOR_FRAME
    shapes = [
        Shape('box', (half_x, half_y, height / 2), (x, y, height / 2), UPRIGHT, rgb, emission=0.15)
        for x, y, _, half_x, half_y in door.posts()
    ]
    deep, wide = DOOR_FRAME_DEPTH / 2, door.width / 2
    half = (deep, wide) if door.axis == 'x' else (wide, deep)
    size, above = (*half, DOOR_FRAME / 2), (door.x, door.y, height - DOOR_FRAME / 2)
    lintel = Shape('box', size, above, UPRIGHT, rgb, emission=0.15)
    size, below = (*half, 0.1), (door.x, door.y, 0.004)
    strip = Shape('plane', size, below, UPRIGHT, scaled(rgb, 0.8), emission=0.1)
    return [*shapes, lintel, strip]
