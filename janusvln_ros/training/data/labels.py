"""
What the simulator knows about a picture: how far, and what, everything in it is.

A coarse grid of rays is cast against boxes that stand for walls, door frames and furniture. These
labels train auxiliary heads, which are dropped when a checkpoint is saved.
"""

from __future__ import annotations

from typing import NamedTuple

from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.house import (
    CATEGORIES,
    COLOURS,
    DOOR_FRAME,
    DOOR_HEIGHT,
    Furniture,
    House,
    WALL_HEIGHT,
    WALL_THICKNESS,
)
import numpy as np

ROWS, COLUMNS = 24, 32  # rays
PATCH_ROWS, PATCH_COLUMNS = 6, 8  # of the encoders at 112 x 84 pixels
# Furniture by kind and colour, then doors by colour.
CLASSES = len(CATEGORIES) * len(COLOURS) + len(COLOURS)
NOTHING = 255  # instead of a class: wall, floor or ceiling
NEAREST, FARTHEST = 0.1, 12.0  # m

# Between which heights below its top, in metres, a thing that one sees through is solid.
_SOLID = {'table': (-0.2, 0.0), 'stool': (-0.15, 0.0), 'lamp': (-0.42, 0.0), 'chair': (-0.6, 0.0)}
_BED_HEIGHT = 0.6  # m, without its headboard


class Labels(NamedTuple):
    """Labels of one picture."""

    depth: np.ndarray  # float16 (48,): mean distance in metres of each patch's rays, 0.1 to 12
    rays: np.ndarray  # uint8 (24, 32): the class that each ray meets, or NOTHING
    pieces: np.ndarray  # uint16 (furniture,): how many of all rays meet each piece of furniture


def class_of(piece: Furniture) -> int:
    """Give the number of a kind and colour of furniture."""
    return CATEGORIES.index(piece.category) * len(COLOURS) + COLOURS.index(piece.colour)


class Surroundings:
    """A house as boxes, to be looked at from many poses."""

    def __init__(self, house: House) -> None:
        obstacles = house.obstacles()
        walls = len(obstacles) - len(house.furniture) - 2 * len(house.doors)
        low = np.zeros(len(obstacles))
        high = np.full(len(obstacles), WALL_HEIGHT)
        classes = np.full(len(obstacles), NOTHING)
        for number, door in enumerate(house.doors):
            posts = slice(walls + 2 * number, walls + 2 * number + 2)
            high[posts] = DOOR_HEIGHT + DOOR_FRAME
            classes[posts] = len(CATEGORIES) * len(COLOURS) + COLOURS.index(door.colour)
        first = walls + 2 * len(house.doors)
        for number, piece in enumerate(house.furniture):
            height = min(piece.height, _BED_HEIGHT) if piece.category == 'bed' else piece.height
            below, above = _SOLID.get(piece.category, (-height, 0.0))
            low[first + number], high[first + number] = height + below, height + above
            classes[first + number] = class_of(piece)
        lintels = []
        for door in house.doors:
            half = (WALL_THICKNESS / 2, door.width / 2)
            half = half if door.axis == 'x' else half[::-1]
            lintels.append((door.x, door.y, 0.0, *half, 0.0))
            low = np.append(low, DOOR_HEIGHT)
            high = np.append(high, WALL_HEIGHT)
            classes = np.append(
                classes, len(CATEGORIES) * len(COLOURS) + COLOURS.index(door.colour)
            )
        boxes = np.concatenate((obstacles, np.array(lintels).reshape(-1, 6)))
        self._centre, self._yaw = boxes[:, :2], boxes[:, 2]
        self._half = boxes[:, 3:5] + boxes[:, 5:]
        self._low, self._high, self._class = low, high, classes
        self._first, self._count = first, len(house.furniture)

    def look(self, x: float, y: float, yaw: float, camera: CameraModel) -> Labels:
        """Label the picture from a robot's pose (metres, radians)."""
        directions = _directions(camera, yaw)  # (rays, 3), 1 m ahead
        near, box = self._first_hit(np.array([x, y, camera.elevation]), directions)
        length = np.linalg.norm(directions, axis=1)
        depth = np.clip(near * length, NEAREST, FARTHEST).reshape(
            PATCH_ROWS, ROWS // PATCH_ROWS, PATCH_COLUMNS, COLUMNS // PATCH_COLUMNS
        )
        rays = np.where(box >= 0, self._class[box], NOTHING).astype(np.uint8)
        own = box[(box >= self._first) & (box < self._first + self._count)] - self._first
        pieces = np.bincount(own, minlength=self._count).astype(np.uint16)
        return Labels(
            depth.mean(axis=(1, 3)).ravel().astype(np.float16), rays.reshape(ROWS, COLUMNS), pieces
        )

    def _first_hit(self, eye: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give for each ray how far the first hit is, in metres ahead, and the box hit, or -1."""
        offset = self._centre - eye[:2]
        reach = np.hypot(*self._half.T)
        heading = directions[:, :2].mean(axis=0)
        ahead = np.flatnonzero(offset @ (heading / np.hypot(*heading)) > -reach)
        cos, sin = np.cos(self._yaw[ahead]), np.sin(self._yaw[ahead])
        ox = -(offset[ahead, 0] * cos + offset[ahead, 1] * sin)
        oy = -(offset[ahead, 1] * cos - offset[ahead, 0] * sin)
        dx = directions[:, :1] * cos + directions[:, 1:2] * sin  # (rays, boxes)
        dy = directions[:, 1:2] * cos - directions[:, :1] * sin
        dz = np.broadcast_to(directions[:, 2:], dx.shape)
        enter, leave = np.zeros_like(dx), np.full_like(dx, np.inf)
        half = self._half[ahead].T
        with np.errstate(divide='ignore', invalid='ignore'):
            for near, far, d in (
                (-half[0] - ox, half[0] - ox, dx),
                (-half[1] - oy, half[1] - oy, dy),
                (self._low[ahead] - eye[2], self._high[ahead] - eye[2], dz),
            ):
                a, b = near / d, far / d
                enter = np.maximum(enter, np.fmin(a, b))
                leave = np.minimum(leave, np.fmax(a, b))
            hit = np.where((enter <= leave) & (leave > 0), enter, np.inf)
            floor = -eye[2] / directions[:, 2]
            ceiling = (WALL_HEIGHT - eye[2]) / directions[:, 2]
        plane = np.fmax(floor, ceiling)
        if not len(ahead):
            return plane, np.full(len(directions), -1)
        nearest = hit.argmin(axis=1)
        near = hit[np.arange(len(hit)), nearest]
        box = np.where(near < plane, ahead[nearest], -1)
        return np.fmin(near, plane), box


def _directions(camera: CameraModel, yaw: float) -> np.ndarray:
    """Give the directions of the grid's rays, row by row from the top left: (rays, 3)."""
    half_width = np.tan(camera.hfov / 2)
    half_height = half_width * camera.height / camera.width
    left = np.linspace(half_width, -half_width, 2 * COLUMNS + 1)[1::2]
    up = np.linspace(half_height, -half_height, 2 * ROWS + 1)[1::2]
    up, left = (grid.ravel() for grid in np.meshgrid(up, left, indexing='ij'))
    ahead = np.cos(camera.tilt) + up * np.sin(camera.tilt)
    z = up * np.cos(camera.tilt) - np.sin(camera.tilt)
    return np.stack(
        (ahead * np.cos(yaw) - left * np.sin(yaw), ahead * np.sin(yaw) + left * np.cos(yaw), z),
        axis=1,
    )
