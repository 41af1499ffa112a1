"""A house from above, with names, a robot's paths, start and goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import cv2
from janusvln_ros.sim.house import Door, DOOR_FRAME, Furniture, House, Room, WALL_THICKNESS
from janusvln_ros.sim.primitives import RGB
import numpy as np

_PAPER = (255, 255, 255)
_FLOOR = (243, 239, 231)
_WALL = (72, 74, 82)
_INK = (40, 42, 48)
_FAINT = (125, 120, 112)
_WHITE = (255, 255, 255)
_START, _HERE = (30, 130, 76), (38, 84, 190)
_Colour = tuple[int, int, int]  # RGB
_SHIFT = 4  # fractional bits of coordinates in OpenCV's drawing
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Path:
    """A path to draw: points (n, 2) in metres, an RGB colour (0 to 255), words for the legend."""

    points: np.ndarray
    colour: _Colour
    label: str
    dashed: bool = False


class HouseMap:
    """
    A house drawn to scale: x to the right, y up.

    house: what to draw. width: pixels of the picture; its height follows from the house and from
    `margin`, metres of paper around it.
    """

    def __init__(self, house: House, *, width: int = 900, margin: float = 0.35) -> None:
        x0, y0, x1, y1 = house.bounds
        self.scale = width / (x1 - x0 + 2 * margin)  # pixels per metre
        self._left, self._top = x0 - margin, y1 + margin
        height = round((y1 - y0 + 2 * margin) * self.scale)
        self.image = np.full((height, width, 3), _PAPER, np.uint8)
        self._box((x0, y0, x1, y1), _WALL)
        for room in house.rooms:
            self._box((room.x0, room.y0, room.x1, room.y1), _FLOOR)
        for door in house.doors:
            self._door(door)
        for piece in house.furniture:
            self._furniture(piece)
        for room in house.rooms:
            self._names(room, [f for f in house.furniture if f.room == room.index])

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Give the place in the picture (column, row) of a point in metres."""
        return (x - self._left) * self.scale, (self._top - y) * self.scale

    def path(self, path: Path) -> None:
        """Draw a path with a white edge, so that it shows on everything."""
        if len(path.points) < 2:
            return
        pixels = [self.pixel(x, y) for x, y in np.asarray(path.points, dtype=float)]
        pieces = _dashes(pixels, 0.16 * self.scale) if path.dashed else [pixels]
        wide = max(2, round(0.05 * self.scale))
        for colour, thickness in ((_WHITE, wide + 3), (path.colour, wide)):
            for piece in pieces:
                _line(self.image, piece, colour, thickness)

    def robot(self, x: float, y: float, yaw: float, rgb: _Colour) -> None:
        """Draw the robot as an arrow in a circle."""
        column, row = self.pixel(x, y)
        _circle(self.image, column, row, 0.18 * self.scale, _WHITE, cv2.FILLED)
        _circle(self.image, column, row, 0.18 * self.scale, rgb, max(2, round(0.03 * self.scale)))
        tip = [
            self.pixel(x + r * math.cos(yaw + a), y + r * math.sin(yaw + a))
            for r, a in ((0.15, 0.0), (0.12, 2.5), (0.04, math.pi), (0.12, -2.5))
        ]
        _fill(self.image, tip, rgb)

    def goal(self, x: float, y: float, radius: float) -> None:
        """Draw a goal: a star, and the circle within which stopping counts (metres)."""
        column, row = self.pixel(x, y)
        shade = self.image.copy()
        _circle(shade, column, row, radius * self.scale, (235, 180, 60), cv2.FILLED)
        cv2.addWeighted(shade, 0.25, self.image, 0.75, 0, self.image)
        _circle(self.image, column, row, radius * self.scale, (200, 130, 20), 2)
        long, short = 0.16 * self.scale, 0.07 * self.scale
        star = [
            (column + r * math.sin(i * math.pi / 5), row - r * math.cos(i * math.pi / 5))
            for i, r in enumerate([long, short] * 5)
        ]
        _fill(self.image, star, (220, 60, 30))
        _line(self.image, star, _WHITE, 1, closed=True)

    def _box(self, box: tuple[float, float, float, float], rgb: _Colour) -> None:
        left, bottom = self.pixel(box[0], box[1])
        right, top = self.pixel(box[2], box[3])
        _fill(self.image, [(left, top), (right, top), (right, bottom), (left, bottom)], rgb)

    def _door(self, door: Door) -> None:
        deep, wide = WALL_THICKNESS / 2 + 0.01, door.width / 2
        half_x, half_y = (deep, wide) if door.axis == 'x' else (wide, deep)
        self._box((door.x - half_x, door.y - half_y, door.x + half_x, door.y + half_y), _FLOOR)
        rgb = _bytes(RGB[door.colour])
        for x, y, _, half_x, half_y in door.posts():
            for edge, colour in ((DOOR_FRAME / 4, _INK), (0.0, rgb)):
                reach_x, reach_y = half_x + edge, half_y + edge
                self._box((x - reach_x, y - reach_y, x + reach_x, y + reach_y), colour)
        # A thin line in the frame's colour shows which opening it belongs to.
        along = (0.0, wide) if door.axis == 'x' else (wide, 0.0)
        ends = [
            self.pixel(door.x - along[0], door.y - along[1]),
            self.pixel(door.x + along[0], door.y + along[1]),
        ]
        wide = max(2, round(0.05 * self.scale))
        for colour, thickness in ((_FAINT, wide + 2), (rgb, wide)):
            _line(self.image, ends, colour, thickness)

    def _names(self, room: Room, pieces: list[Furniture]) -> None:
        """Write the names of a room and its furniture where the least furniture is in the way."""
        within = [(x, y) for y in (1, -1, 0, 0.5, -0.5) for x in (-1, 1, 0)]
        extents = np.array([room.x1 - room.x0, room.y1 - room.y0]) / 2
        self._name(room.kind, room, room.centre + extents * within, 0.19, _FAINT, pieces)
        for piece in pieces:
            middle, reach = np.array([piece.x, piece.y]), _reach(piece)
            size = self._extents(piece.category, 0.17) / 2
            places = middle[None]
            if (size > reach).any():  # it does not fit onto the piece
                sides = np.array([(0, -1), (0, 1), (1, 0), (-1, 0)])
                places = middle + sides * (reach + size + 0.05)
            self._name(piece.category, room, places, 0.17, _INK, pieces)

    def _name(
        self,
        text: str,
        room: Room,
        places: np.ndarray,
        height: float,
        rgb: _Colour,
        pieces: list[Furniture],
    ) -> None:
        """Write a text, `height` metres high, at the best of places (n, 2), within its room."""
        half = self._extents(text, height) / 2
        low, high = (room.x0, room.y0) + half + 0.08, (room.x1, room.y1) - half - 0.08

        def hidden(place: np.ndarray) -> float:
            over = [_reach(p) + half - np.abs((p.x, p.y) - place) for p in pieces]
            return sum(float(np.maximum(both, 0.0).prod()) for both in over)

        x, y = min(np.clip(places, low, np.maximum(low, high)), key=hidden)
        column, row = self.pixel(x - half[0], y - half[1])
        _text(self.image, text, column, row, self._size(height), rgb)

    def _furniture(self, piece: Furniture) -> None:
        rgb = _bytes(RGB[piece.colour])
        edge = round(0.55 * rgb[0]), round(0.55 * rgb[1]), round(0.55 * rgb[2])
        column, row = self.pixel(piece.x, piece.y)
        if piece.is_round:
            radius = piece.half_x * self.scale
            _circle(self.image, column, row, radius, rgb, cv2.FILLED)
            _circle(self.image, column, row, radius, edge, 2)
        else:
            corners = [self.pixel(x, y) for x, y in piece.corners()]
            _fill(self.image, corners, rgb)
            _line(self.image, corners, edge, 2, closed=True)
            front = [corners[0], corners[3]]  # a thicker line shows where its front is
            _line(self.image, front, edge, 4)

    def _size(self, metres: float) -> float:
        """Give the font scale for letters of this height, at least readable ones."""
        return max(metres * self.scale / 22.0, 0.4)

    def _extents(self, text: str, height: float) -> np.ndarray:
        """Give a text's width and height in metres, for letters of this height (m)."""
        return np.array(cv2.getTextSize(text, _FONT, self._size(height), 1)[0]) / self.scale


def draw_map(
    house: House,
    *,
    paths: Sequence[Path] = (),
    start: tuple[float, float, float] | None = None,
    goal: tuple[float, float] | None = None,
    goal_radius: float = 1.0,
    robot: tuple[float, float, float] | None = None,
    title: str = '',
    width: int = 900,
) -> np.ndarray:
    """
    Draw a house with paths, start, goal and robot, a legend for what was given, and a title.

    Poses are x, y in metres and yaw in radians; width in pixels. Returns uint8 (H, width, 3), RGB.
    """
    plan = HouseMap(house, width=width)
    if goal is not None:
        plan.goal(*goal, goal_radius)
    for path in paths:
        plan.path(path)
    if start is not None:
        plan.robot(*start, _START)
    if robot is not None:
        plan.robot(*robot, _HERE)
    parts = [_title(title, width)] if title else []
    parts.append(plan.image)
    entries = [(path.label, path.colour, path.dashed) for path in paths]
    if entries or start or goal:
        parts.append(_legend(entries, start is not None, goal is not None, width))
    return np.vstack(parts)


def _reach(piece: Furniture) -> np.ndarray:
    """Give how far a footprint reaches from its middle along x and y, (2,) in metres."""
    return np.abs(piece.corners() - (piece.x, piece.y)).max(axis=0)


def _title(title: str, width: int) -> np.ndarray:
    """Draw words in lines as wide as the picture."""
    lines = ['']
    for word in title.split():
        longer = f'{lines[-1]} {word}'.strip()
        if cv2.getTextSize(longer, _FONT, 0.6, 1)[0][0] > width - 30 and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    image = np.full((14 + 26 * len(lines), width, 3), _PAPER, np.uint8)
    for i, line in enumerate(lines):
        cv2.putText(image, line, (15, 28 + 26 * i), _FONT, 0.6, _INK, 1, cv2.LINE_AA)
    return image


def _legend(
    paths: list[tuple[str, tuple[int, int, int], bool]], start: bool, goal: bool, width: int
) -> np.ndarray:
    """Draw what the lines and signs mean."""
    image = np.full((34, width, 3), _PAPER, np.uint8)
    x = 15

    def words(text: str) -> None:
        nonlocal x
        cv2.putText(image, text, (x, 22), _FONT, 0.5, _INK, 1, cv2.LINE_AA)
        x += cv2.getTextSize(text, _FONT, 0.5, 1)[0][0] + 24

    if start:
        cv2.circle(image, (x + 7, 17), 7, _START, 2, cv2.LINE_AA)
        x += 22
        words('start')
    if goal:
        cv2.circle(image, (x + 7, 17), 7, (200, 130, 20), 2, cv2.LINE_AA)
        cv2.circle(image, (x + 7, 17), 3, (220, 60, 30), cv2.FILLED, cv2.LINE_AA)
        x += 22
        words('goal')
    for label, colour, dashed in paths:
        ends = [(x, 17), (x + 30, 17)]
        for piece in _dashes(ends, 7.0) if dashed else [ends]:
            _line(image, piece, colour, 3)
        x += 38
        words(label)
    return image


def _text(image: np.ndarray, text: str, x: float, y: float, size: float, rgb: _Colour) -> None:
    """Write with a white edge."""
    place = (round(x), round(y))
    cv2.putText(image, text, place, _FONT, size, _WHITE, 3, cv2.LINE_AA)
    cv2.putText(image, text, place, _FONT, size, rgb, 1, cv2.LINE_AA)


def _circle(
    image: np.ndarray, x: float, y: float, radius: float, rgb: _Colour, thickness: int
) -> None:
    factor = 1 << _SHIFT
    cv2.circle(
        image,
        (round(x * factor), round(y * factor)),
        round(radius * factor),
        rgb,
        thickness,
        cv2.LINE_AA,
        _SHIFT,
    )


def _line(
    image: np.ndarray,
    points: Sequence[tuple[float, float]],
    rgb: _Colour,
    thickness: int,
    closed: bool = False,
) -> None:
    cv2.polylines(image, [_fixed(points)], closed, rgb, thickness, cv2.LINE_AA, _SHIFT)


def _fill(image: np.ndarray, corners: Sequence[tuple[float, float]], rgb: _Colour) -> None:
    cv2.fillPoly(image, [_fixed(corners)], rgb, cv2.LINE_AA, _SHIFT)


def _fixed(points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Turn pixels into OpenCV's fixed-point coordinates."""
    return np.round(np.array(points) * (1 << _SHIFT)).astype(np.int32)


def _dashes(
    points: Sequence[tuple[float, float]], length: float
) -> list[list[tuple[float, float]]]:
    """Cut a polyline into dashes of a length in pixels, with gaps half as long."""
    line = np.array(points, dtype=float)
    at = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])

    def place(s: float) -> tuple[float, float]:
        return float(np.interp(s, at, line[:, 0])), float(np.interp(s, at, line[:, 1]))

    dashes = []
    for begin in np.arange(0.0, at[-1], 1.5 * length):
        end = min(begin + length, at[-1])
        inner = [tuple(p) for p, s in zip(line.tolist(), at) if begin < s < end]
        dashes.append([place(begin), *inner, place(end)])
    return dashes


def _bytes(rgb: tuple[float, float, float]) -> tuple[int, int, int]:
    """Turn 0 to 1 into 0 to 255."""
    red, green, blue = (round(255 * value) for value in rgb)
    return red, green, blue
