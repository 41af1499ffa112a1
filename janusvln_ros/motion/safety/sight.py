"""
What the rays of one message say: where something stands, and how much of the way was seen.

The way ahead counts as seen where it matters first: in the plane across it at the stop distance.
That is parted into cells; of the rays that go to a cell, a least share must have measured
something, in all layers that the sensor looks at. So no hole in a depth image passes for free.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.motion.safety.footprint import BodyParameters
from janusvln_ros.motion.safety.rays import Rays
import numpy as np

FORWARD, BACKWARD = 1, -1
_CELL = 0.1  # m
_GRID = 0.01  # m: points in the same square count once
_BEYOND = 1.0  # m farther than the robot can need them, points are forgotten
_ALONG = 1e-9  # of a ray's direction: it never gets there


@dataclass(frozen=True, eq=False)
class Way:
    """
    How well the way in one direction was seen, in strips from its right side to its left.

    seen, looked: (strips,) bool; looked: there are rays, good or bad. rays, valid: how many in
    all, and how many tell of the way. short: rays that end before the plane, at nothing that
    stands in the way. too_near: something is nearer than can be measured.
    """

    seen: np.ndarray
    looked: np.ndarray
    rays: int
    valid: int
    short: int
    too_near: bool


@dataclass(frozen=True, eq=False)
class View:
    """
    What one message tells.

    points: (N, 2) m in base_link, where something stands as high as the robot. blind: no ray has
    measured anything but the robot itself.
    """

    points: np.ndarray
    ways: dict[int, Way]
    blind: bool

    def covers(self, other: View) -> bool:
        """Tell whether it has seen every strip that another view has seen."""
        return all((way.seen | ~other.ways[side].seen).all() for side, way in self.ways.items())


def strips(body: BodyParameters) -> int:
    """Return how many strips the way has; each overlaps half of the next."""
    return max(1, round(2.0 * (body.outline.left - body.outline.right) / _CELL) - 1)


def look(rays: Rays, body: BodyParameters, distance: float, share: float, farthest: float) -> View:
    """
    Read a message.

    distance: m before the robot at which the way must be seen. share: of rays to a cell. farthest:
    m before the robot from which points matter.
    """
    outline = body.outline
    with np.errstate(invalid='ignore'):
        lengths = np.where(np.isneginf(rays.ranges), rays.nearest, rays.ranges)
        ends = rays.origin + lengths[:, None] * rays.directions
        itself = np.isfinite(rays.ranges) & (outline.covers(ends[:, :2]))
        solid = (ends[:, 2] > body.floor_height) & (ends[:, 2] < body.robot_height)
        near = np.hypot(ends[:, 0], ends[:, 1]) < outline.radius + farthest + _BEYOND
    measured = np.where(itself, math.nan, rays.ranges)
    return View(
        _thinned(ends[solid & near, :2]),
        {
            direction: _way(rays, measured, solid, body, distance, share, direction)
            for direction in (FORWARD, BACKWARD)
        },
        blind=bool(np.isnan(measured).all()),
    )


def _way(
    rays: Rays,
    measured: np.ndarray,
    solid: np.ndarray,
    body: BodyParameters,
    distance: float,
    share: float,
    direction: int,
) -> Way:
    """
    Count the rays through the plane.

    measured: ranges, NaN where the robot itself is seen. solid: whether it ends in the way.
    """
    outline, halves = body.outline, strips(body) + 1
    layers = 1 + int((body.robot_height - body.floor_height) / _CELL)
    front, plane = outline.extent(direction), outline.extent(direction) + distance
    lengths, y, z = _crossing(rays, direction, plane)
    inside = (direction * rays.origin[0] < plane) & (outline.right <= y) & (y < outline.left)
    inside &= (body.floor_height < z) & (z < body.robot_height)
    before, at_front, _ = _crossing(rays, direction, front)
    reaches = (before <= rays.nearest) & (outline.right <= at_front) & (at_front <= outline.left)
    too_near = np.isneginf(measured) & (inside | reaches)
    y, z, lengths = y[inside], z[inside], lengths[inside]
    measured, solid = measured[inside], solid[inside]
    half = ((y - outline.right) / (outline.left - outline.right) * halves).astype(int)
    layer = ((z - body.floor_height) / _CELL).astype(int)
    cell = np.minimum(half, halves - 1) * layers + np.minimum(layer, layers - 1)
    ends_at = np.where(np.isposinf(measured), rays.reach, measured)
    short = (ends_at < lengths) & ~solid & ~np.isneginf(measured)
    valid = ~np.isnan(measured) & ~short
    all_rays = np.bincount(cell, minlength=halves * layers).reshape(halves, layers)
    good_rays = np.bincount(cell[valid], minlength=halves * layers).reshape(halves, layers)
    all_rays, good_rays = all_rays[1:] + all_rays[:-1], good_rays[1:] + good_rays[:-1]
    has_rays = all_rays > 0
    between = np.logical_or.accumulate(has_rays, axis=1)
    between &= np.logical_or.accumulate(has_rays[:, ::-1], axis=1)[:, ::-1]
    well = has_rays & (good_rays >= share * all_rays)
    looked = np.asarray(has_rays.any(axis=1))
    return Way(
        seen=np.logical_and(looked, (well | ~between).all(axis=1)),
        looked=looked,
        rays=len(cell),
        valid=int(valid.sum()),
        short=int(short.sum()),
        too_near=bool(too_near.any()),
    )


def _crossing(
    rays: Rays, direction: int, distance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return where the rays cross a plane across the way (m from the origin of base_link).

    That is (lengths, y, z), each (N,); NaN for rays that do not. Where a sensor sits beyond the
    plane, they cross it at the sensor.
    """
    speed = direction * rays.directions[:, 0]
    away = max(0.0, distance - direction * rays.origin[0])
    lengths = np.where(speed > _ALONG, away / np.where(speed > _ALONG, speed, 1.0), math.nan)
    across = rays.origin[1:] + lengths[:, None] * rays.directions[:, 1:]
    return lengths, across[:, 0], across[:, 1]


def _thinned(points: np.ndarray) -> np.ndarray:
    """Return (M, 2): of points in the same small square only one."""
    squares = np.round(points / _GRID).astype(np.int64)
    _, first = np.unique(squares[:, 0] * 1000003 + squares[:, 1], return_index=True)
    return points[first]
