"""
How a house looks: every room and piece of furniture as primitives, and the light on them.

The shapes are for the eye only; what a robot runs into is House.obstacles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from janusvln_ros.sim import textures
from janusvln_ros.sim.house import (
    Door,
    DOOR_FRAME,
    DOOR_FRAME_DEPTH,
    DOOR_HEIGHT,
    Furniture,
    House,
    Room,
    WALL_HEIGHT,
    WALL_THICKNESS,
)
import numpy as np

RGB = {  # of the colours' names, 0 to 1, before light falls on them
    'red': (0.86, 0.10, 0.10),
    'orange': (1.00, 0.47, 0.02),
    'yellow': (0.98, 0.86, 0.08),
    'green': (0.16, 0.72, 0.20),
    'blue': (0.12, 0.30, 0.90),
    'purple': (0.48, 0.16, 0.72),
    'pink': (1.00, 0.52, 0.74),
    'white': (0.96, 0.96, 0.94),
}
_WOOD = (0.55, 0.40, 0.26)
_STEEL = (0.62, 0.63, 0.66)
_LINEN = (0.93, 0.92, 0.88)
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
class Shape:
    """One primitive to draw."""

    kind: str  # 'box', 'cylinder', 'sphere' (an ellipsoid), 'plane' (a rectangle)
    size: tuple[float, float, float]  # m, half extents; cylinder: radius, half height, unused
    position: tuple[float, float, float]  # m
    axes: tuple[float, ...]  # 9, row by row: the columns are the shape's own axes
    rgb: tuple[float, float, float]
    texture: str = ''  # of textures.library, planes only
    emission: float = 0.0  # how far it shines by itself, 0 to 1
    alpha: float = 1.0  # 1 is opaque
    rooms: tuple[int, ...] = ()  # the rooms from which it can be seen directly


@dataclass(frozen=True)
class Light:
    """A light from one direction, everywhere the same."""

    direction: tuple[float, float, float]
    diffuse: tuple[float, float, float]
    ambient: tuple[float, float, float]
    specular: float


_UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


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


def _pick(rng: np.random.Generator, options: tuple) -> tuple | str:
    """Pick one of several."""
    return options[int(rng.integers(len(options)))]


def _scaled(rgb: tuple[float, ...], factor: float) -> tuple[float, float, float]:
    """Make a colour darker or brighter."""
    return tuple(min(c * factor, 1.0) for c in rgb)


def _room_shapes(rng: np.random.Generator, house: House, room: Room, tone: float) -> list[Shape]:
    """Draw floor, ceiling, walls, skirting boards and windows of a room."""
    floor = str(_pick(rng, textures.FLOORS))
    floor_tints = _WOOD_TINTS if floor in ('planks', 'parquet') else _FLOOR_TINTS
    wall = str(_pick(rng, textures.WALLS))
    wall_tints = _BRICK_TINTS if wall in ('brick', 'blocks') else _WALL_TINTS
    wall_rgb = _scaled(_pick(rng, wall_tints), tone)
    x, y = room.centre
    # Under the doorways the floors of both rooms meet in the middle of the wall.
    half = WALL_THICKNESS / 2
    size = ((room.x1 - room.x0) / 2 + half, (room.y1 - room.y0) / 2 + half, 0.1)
    shapes = [
        Shape('plane', size, (x, y, 0.0), _UPRIGHT, _scaled(_pick(rng, floor_tints), tone), floor),
        Shape(
            'plane',
            size,
            (x, y, WALL_HEIGHT),
            (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0),
            _scaled((0.90, 0.90, 0.88), tone),
            str(_pick(rng, textures.CEILINGS)),
            0.35,
        ),
        Shape(
            'box',
            (0.3, 0.3, 0.02),
            (x, y, WALL_HEIGHT - 0.02),
            _UPRIGHT,
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
    board = _scaled(_pick(rng, (_LINEN, _WOOD, (0.75, 0.75, 0.75))), tone)
    for owner, side, start, end, at in house.walls():
        if owner.index != room.index:
            continue
        middle, length = (start + end) / 2, (end - start) / 2
        shapes.append(
            _on_wall(
                side, at, middle, WALL_HEIGHT / 2, length, WALL_HEIGHT / 2, 0.0, wall_rgb, wall
            )
        )
        shapes.append(_on_wall(side, at, middle, 0.05, length, 0.05, 0.012, board))
        if outer[side] and length > 0.9 and rng.random() < 0.6:
            wide = rng.uniform(0.5, min(0.8, length - 0.2))
            along = middle + rng.uniform(-1, 1) * (length - wide - 0.15)
            shapes.append(_on_wall(side, at, along, 1.6, wide + 0.06, 0.61, 0.01, _LINEN))
            shapes.append(
                _on_wall(side, at, along, 1.6, wide, 0.55, 0.02, (0.72, 0.86, 0.96), emission=0.55)
            )
            shapes.append(_on_wall(side, at, along, 1.6, 0.025, 0.55, 0.03, _LINEN))
    for door in house.doors_of(room.index):
        side, at = _side_of(door, room)
        along = door.y if door.axis == 'x' else door.x
        top = (WALL_HEIGHT + DOOR_HEIGHT) / 2
        shapes.append(
            _on_wall(
                side,
                at,
                along,
                top,
                door.width / 2 + DOOR_FRAME,
                WALL_HEIGHT - top,
                0.0,
                wall_rgb,
                wall,
            )
        )
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
        Shape(
            'box', (half_x, half_y, height / 2), (x, y, height / 2), _UPRIGHT, rgb, emission=0.15
        )
        for x, y, _, half_x, half_y in door.posts()
    ]
    deep, wide = DOOR_FRAME_DEPTH / 2, door.width / 2
    half = (deep, wide) if door.axis == 'x' else (wide, deep)
    shapes.append(
        Shape(
            'box',
            (*half, DOOR_FRAME / 2),
            (door.x, door.y, height - DOOR_FRAME / 2),
            _UPRIGHT,
            rgb,
            emission=0.15,
        )
    )
    shapes.append(
        Shape(
            'plane',
            (*half, 0.1),
            (door.x, door.y, 0.004),
            _UPRIGHT,
            _scaled(rgb, 0.8),
            emission=0.1,
        )
    )
    return shapes


# --- furniture


class _Builder:
    """Collects the primitives of one piece in its own frame and puts them into the world."""

    def __init__(self, piece: Furniture, tone: float) -> None:
        self.shapes: list[Shape] = []
        self._x, self._y = piece.x, piece.y
        self._cos, self._sin = math.cos(piece.yaw), math.sin(piece.yaw)
        self._axes = (self._cos, -self._sin, 0.0, self._sin, self._cos, 0.0, 0.0, 0.0, 1.0)
        self._tone = tone

    def _add(
        self,
        kind: str,
        size: tuple[float, float, float],
        at: tuple[float, float, float],
        rgb: tuple[float, ...],
        emission: float,
        axes: tuple[float, ...] | None = None,
    ) -> None:
        position = (
            self._x + self._cos * at[0] - self._sin * at[1],
            self._y + self._sin * at[0] + self._cos * at[1],
            at[2],
        )
        self.shapes.append(
            Shape(
                kind,
                size,
                position,
                axes or self._axes,
                _scaled(rgb, self._tone),
                emission=emission,
            )
        )

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        rgb: tuple[float, ...],
        emission: float = 0.12,
    ) -> None:
        """Add a box by its extents (from, to) along the three axes."""
        spans = (x, y, z)
        self._add(
            'box',
            tuple((b - a) / 2 for a, b in spans),
            tuple((a + b) / 2 for a, b in spans),
            rgb,
            emission,
        )

    def tube(
        self,
        x: float,
        y: float,
        z: tuple[float, float],
        radius: float,
        rgb: tuple[float, ...],
        emission: float = 0.12,
    ) -> None:
        """Add an upright cylinder."""
        self._add(
            'cylinder', (radius, (z[1] - z[0]) / 2, 0.0), (x, y, (z[0] + z[1]) / 2), rgb, emission
        )

    def shadow(self, piece: Furniture) -> None:
        """Add a patch of shade on the floor, so that the eye sees where the piece stands."""
        if piece.is_round:
            self._add('cylinder', (piece.half_x + 0.03, 0.003, 0.0), (0, 0, 0.004), (0, 0, 0), 0.0)
            alpha = 0.12  # its top, side and bottom add up
        else:
            half = (piece.half_x + 0.03, piece.half_y + 0.03, 0.1)
            self._add('plane', half, (0, 0, 0.006), (0, 0, 0), 0.0)
            alpha = 0.3
        self.shapes[-1] = replace(self.shapes[-1], alpha=alpha)

    def blob(
        self,
        at: tuple[float, float, float],
        half: tuple[float, float, float],
        rgb: tuple[float, ...],
        bearing: float = 0.0,
        lift: float = 0.0,
        emission: float = 0.12,
    ) -> None:
        """Add an ellipsoid whose x axis points along `bearing`, lifted by an angle."""
        cb, sb, cl, sl = math.cos(bearing), math.sin(bearing), math.cos(lift), math.sin(lift)
        axes = (cb * cl, -sb, -cb * sl, sb * cl, cb, -sb * sl, sl, 0.0, cl)
        self._add('sphere', half, at, rgb, emission, axes)


def furniture_shapes(piece: Furniture, tone: float = 1.0) -> list[Shape]:
    """Draw a piece of furniture; its front is +x, it fills its footprint and its height."""
    build = _Builder(piece, tone)
    rgb = RGB[piece.colour]
    build.shadow(piece)
    _DRAW[piece.category](build, piece, rgb, _scaled(rgb, 0.72))
    return build.shapes


def _chair(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, seat = p.half_x, p.half_y, 0.46
    for sx in (-1, 1):
        for sy in (-1, 1):
            cx, cy = sx * (x - 0.025), sy * (y - 0.025)
            b.box((cx - 0.025, cx + 0.025), (cy - 0.025, cy + 0.025), (0, seat - 0.05), _WOOD)
    b.box((-x, x), (-y, y), (seat - 0.06, seat + 0.02), rgb)
    b.box((-x, -x + 0.06), (-y, y), (seat + 0.12, p.height), rgb)
    for sy in (-1, 1):
        cy = sy * (y - 0.05)
        b.box((-x + 0.005, -x + 0.055), (cy - 0.03, cy + 0.03), (seat, seat + 0.13), _WOOD)


def _table(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x, x), (-y, y), (h - 0.06, h), rgb)
    b.box((-x + 0.08, x - 0.08), (-y + 0.08, y - 0.08), (h - 0.13, h - 0.06), dark)
    for sx in (-1, 1):
        for sy in (-1, 1):
            cx, cy = sx * (x - 0.08), sy * (y - 0.08)
            b.box((cx - 0.035, cx + 0.035), (cy - 0.035, cy + 0.035), (0, h - 0.06), dark)


def _sofa(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x + 0.03, x - 0.04), (-y + 0.03, y - 0.03), (0.06, 0.28), dark)
    b.box((-x, -x + 0.22), (-y, y), (0.06, h), rgb)
    for sy in (-1, 1):
        inner, outer = sorted((sy * (y - 0.18), sy * y))
        b.box((-x + 0.02, x), (inner, outer), (0.06, 0.58), rgb)
        near, far = sorted((sy * 0.01, sy * (y - 0.19)))
        b.box((-x + 0.2, x - 0.02), (near, far), (0.28, 0.44), _scaled(rgb, 0.88))
        b.box((-x + 0.2, -x + 0.32), (near, far), (0.44, h - 0.06), _scaled(rgb, 0.88))


def _stool(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    r, h = p.half_x, p.height
    b.tube(0, 0, (h - 0.09, h), r, rgb)
    b.tube(0, 0, (0.16, 0.19), r - 0.05, _STEEL)
    for quarter in range(4):
        angle = quarter * math.pi / 2 + math.pi / 4
        b.tube(
            (r - 0.05) * math.cos(angle),
            (r - 0.05) * math.sin(angle),
            (0, h - 0.09),
            0.022,
            _STEEL,
        )


def _lamp(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    r, h = p.half_x, p.height
    b.tube(0, 0, (0, 0.05), r - 0.03, dark)
    b.tube(0, 0, (0.05, h - 0.3), 0.03, _STEEL)
    for i in range(4):
        b.tube(
            0,
            0,
            (h - 0.42 + 0.105 * i, h - 0.42 + 0.105 * (i + 1)),
            r - 0.028 * i,
            rgb,
            emission=0.45,
        )


def _plant(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    r, h = p.half_x, p.height
    pot = 0.36
    b.tube(0, 0, (0, pot - 0.08), 0.7 * r, rgb)
    b.tube(0, 0, (pot - 0.08, pot), 0.82 * r, rgb)
    b.tube(0, 0, (pot, pot + 0.01), 0.72 * r, (0.30, 0.22, 0.16))
    # Leaves are olive, so that they are told from green furniture.
    rng = np.random.default_rng(p.index)
    b.tube(0, 0, (pot, h - 0.3), 0.03, (0.36, 0.30, 0.18))
    leaves = 13
    for i in range(leaves):
        up = (i + 0.5) / leaves
        bearing = 2.4 * i
        lift = 0.25 + 0.95 * up + rng.uniform(-0.1, 0.1)
        length = min((0.62 - 0.2 * up) * r + 0.06, r / (1.8 * math.cos(lift)))
        base = pot + 0.1 + up * (h - pot - 0.1 - 1.85 * length)
        reach = length * 0.75 * math.cos(lift)
        shade = rng.uniform(0.85, 1.2)
        b.blob(
            (
                reach * math.cos(bearing - p.yaw),
                reach * math.sin(bearing - p.yaw),
                base + length * math.sin(lift),
            ),
            (length, 0.42 * length, 0.035),
            _scaled((0.24, 0.40, 0.16), shade),
            bearing,
            lift,
        )


def _cabinet(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x, x - 0.03), (-y, y), (0.06, h - 0.03), dark)
    b.box((-x, x), (-y, y), (h - 0.03, h), rgb)
    b.box((-x + 0.03, x - 0.05), (-y + 0.03, y - 0.03), (0, 0.06), _WOOD)
    drawers = 3
    step = (h - 0.11) / drawers
    for i in range(drawers):
        low = 0.08 + i * step
        for sy in (-1, 1):
            near, far = sorted((sy * 0.012, sy * (y - 0.02)))
            b.box((x - 0.03, x - 0.008), (near, far), (low, low + step - 0.025), rgb)
            b.box(
                (x - 0.008, x),
                (sy * y / 2 - 0.06, sy * y / 2 + 0.06),
                (low + step / 2 - 0.02, low + step / 2 + 0.005),
                _STEEL,
            )


def _bed(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x, -x + 0.07), (-y, y), (0, h), rgb)
    b.box((-x + 0.07, x), (-y, y), (0.1, 0.32), dark)
    b.box((-x + 0.07, x - 0.04), (-y + 0.03, y - 0.03), (0.32, 0.5), _LINEN)
    b.box((-x * 0.35, x - 0.02), (-y + 0.01, y - 0.01), (0.34, 0.55), rgb)
    for sy in (-1, 1):
        near, far = sorted((sy * 0.05, sy * (y - 0.1)))
        b.box((-x + 0.12, -x + 0.48), (near, far), (0.5, 0.6), (1.0, 1.0, 0.98))


def _shelf(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    x, y, h = p.half_x, p.half_y, p.height
    b.box((-x, -x + 0.02), (-y, y), (0, h), dark)
    for sy in (-1, 1):
        inner, outer = sorted((sy * (y - 0.045), sy * y))
        b.box((-x, x), (inner, outer), (0, h), rgb)
    boards = 5
    rng = np.random.default_rng(p.index)
    for i in range(boards):
        low = 0.06 + i * (h - 0.11) / (boards - 1)
        b.box((-x, x), (-y, y), (low, low + 0.05), rgb)
        if i < boards - 1:
            start = -y + 0.06
            for _ in range(2):
                end = start + rng.uniform(0.3, 0.5) * 2 * (y - 0.06)
                end = min(end, y - 0.06)
                tint = ((0.50, 0.46, 0.40), (0.66, 0.62, 0.54), (0.42, 0.44, 0.48))
                b.box(
                    (-x + 0.02, x - 0.07),
                    (start, end),
                    (low + 0.05, low + 0.05 + rng.uniform(0.2, 0.28)),
                    tint[rng.integers(3)],
                )
                start = end + 0.03


def _ball(b: _Builder, p: Furniture, rgb: tuple, dark: tuple) -> None:
    b.blob((0, 0, p.half_x), (p.half_x,) * 3, rgb)


_DRAW = {
    'chair': _chair,
    'table': _table,
    'sofa': _sofa,
    'stool': _stool,
    'lamp': _lamp,
    'plant': _plant,
    'cabinet': _cabinet,
    'bed': _bed,
    'shelf': _shelf,
    'ball': _ball,
}
