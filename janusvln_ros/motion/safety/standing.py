"""What pictures with depth have shown to stand there, kept while it is out of view."""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.safety.footprint import BodyParameters
from janusvln_ros.motion.safety.rays import depth_rays, Lens, Mount, Rays
import numpy as np

_CELL = 0.05  # m
_LEAST = 3  # points in a cell: single ones hang in the air between near and far
_REACH = 3.0  # m from the robot, beyond which nothing is taken in, or kept
_LOW = 0.3  # of the camera's height: depth that is so much too small makes a floor that high
_LOW_THERE = 0.1  # of it, above a floor that the picture itself shows
_STEEP = 0.15  # m down for each ahead, at least, of rays that may see the floor
_FLOOR = 0.15  # share of those that have to see it
_THROUGH = 3  # pictures that have to see through a thing until it is gone: thin ones come and go
_BEHIND = 0.05  # m behind a thing, what is seen there shows that it is gone
_NEAR = 0.05  # m before the camera, at least, of what is in its view


@dataclass(frozen=True, eq=False)
class Picture:
    """Depth (H, W) along the axis, m, NaN where it is not known; mount: of the optical frame."""

    depth: np.ndarray
    lens: Lens
    mount: Mount

    def behind(self, points: np.ndarray) -> np.ndarray:
        """
        Return how far (m) behind each point the picture shows something, below 0: before it.

        points: (N, 3) m in base_link. NaN out of the picture, and where depth is not known.
        """
        height, width = self.depth.shape
        x, y, z = ((points - self.mount.position) @ self.mount.rotation).T
        ahead = z > _NEAR
        z = np.where(ahead, z, 1.0)
        column = np.floor(self.lens.focal_x * x / z + self.lens.centre_x)
        row = np.floor(self.lens.focal_y * y / z + self.lens.centre_y)
        shown = ahead & (0 <= column) & (column < width) & (0 <= row) & (row < height)
        at = np.where(shown, row, 0).astype(int), np.where(shown, column, 0).astype(int)
        return np.where(shown, self.depth[at] - z, math.nan)


class Standing:
    """Cells of the floor in the odometry frame that something stands on."""

    def __init__(self, body: BodyParameters) -> None:
        self._body = body
        self.forget()

    def __len__(self) -> int:
        return len(self._points)

    def forget(self) -> None:
        """Know of nothing."""
        self._points = np.zeros((0, 3))  # m: odometry's x and y, height
        self._missed = np.zeros(0, int)  # pictures that saw through each since it was last seen

    def see(self, picture: Picture, pose: Pose, distance: float) -> float:
        """
        Take in a picture that was taken from a pose; return what share of the way it knows.

        That is of the pixels that look through the plane across the way, `distance` (m) ahead, and
        do not end within the robot. What ends there ahead of the half of its front is in the way.
        What pictures see through goes with the third, also where they see the same thing farther
        away; what they do not show stays.
        """
        rays = depth_rays(picture.depth, picture.lens, picture.mount)
        with np.errstate(invalid='ignore'):
            ends = rays.origin + rays.ranges[:, None] * rays.directions
            solid = self._stands(rays, ends[:, 2]) & (ends[:, 2] < self._body.robot_height)
            solid &= np.hypot(ends[:, 0], ends[:, 1]) < _REACH
            inside = self._body.outline.covers(ends[:, :2])
            itself = inside & (ends[:, 0] <= self._body.outline.extent(1) / 2.0)
        ends = ends[solid & ~itself]
        here = self._from(pose)
        with np.errstate(invalid='ignore'):
            missed = self._missed + (picture.behind(here) > _BEHIND)
        kept = (missed < _THROUGH) & (np.hypot(here[:, 0], here[:, 1]) < _REACH)
        new = _in_cells(_placed(ends, pose))
        every = np.concatenate([new, self._points[kept]])
        newest = np.unique(_cells(every), return_index=True)[1]
        self._points = every[newest]
        self._missed = np.concatenate([np.zeros(len(new), int), missed[kept]])[newest]
        known = ~(np.isnan(rays.ranges) | inside)[
            self._looks(rays.origin, rays.directions, distance)
        ]
        return float(known.mean()) if known.size else 0.0

    def ahead(self, pose: Pose) -> float:
        """Return how far (m) the robot can drive on from a pose until it touches something."""
        ways = self._body.outline.way(self._from(pose)[:, :2], 1)
        return float(ways.min(initial=math.inf))

    def _stands(self, rays: Rays, heights: np.ndarray) -> np.ndarray:
        """
        Tell which rays (N,) end above the floor; heights: (N,) m, as depth has them.

        Depth is too small or too large as a whole, and so is the floor in it: where enough of that
        is seen, low things are told from it by how far they rise above it.
        """
        camera = float(rays.origin[2])
        low = max(self._body.floor_height, _LOW * camera)
        stands = heights > low
        down = (rays.directions[:, 2] < -_STEEP) & np.isfinite(heights)
        floor = down & (np.abs(heights) < low)
        if floor.any() and floor.sum() >= _FLOOR * down.sum():
            sunk = (camera - heights) / np.median((camera - heights)[floor])
            stands |= camera * (1.0 - sunk) > max(self._body.floor_height, _LOW_THERE * camera)
        return stands

    def _from(self, pose: Pose) -> np.ndarray:
        """Return the points (N, 3) as base_link at a pose has them."""
        x, y, height = self._points.T
        cosine, sine = math.cos(pose.yaw), math.sin(pose.yaw)
        x, y = x - pose.x, y - pose.y
        return np.stack([cosine * x + sine * y, cosine * y - sine * x, height], axis=1)

    def _looks(self, origin: np.ndarray, directions: np.ndarray, distance: float) -> np.ndarray:
        """Tell which rays (N, 3) go through the plane across the way, `distance` (m) ahead."""
        body, outline = self._body, self._body.outline
        ahead = directions[:, 0] > 0.0
        speed = np.where(ahead, directions[:, 0], 1.0)
        lengths = (outline.extent(1) + distance - origin[0]) / speed
        _, y, z = (origin + lengths[:, None] * directions).T
        inside = (outline.right <= y) & (y <= outline.left)
        inside &= (body.floor_height < z) & (z < body.robot_height)
        return np.asarray(ahead & inside)


def _placed(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Return points (N, 3) of base_link at a pose in the odometry frame."""
    x, y, height = points.T
    cosine, sine = math.cos(pose.yaw), math.sin(pose.yaw)
    x, y = cosine * x - sine * y + pose.x, sine * x + cosine * y + pose.y
    return np.stack([x, y, height], axis=1)


def _cells(points: np.ndarray) -> np.ndarray:
    """Return a number (N,) for each point (N, 3): that of its cell of the floor."""
    x, y = np.floor(points[:, :2] / _CELL).astype(np.int64).T
    return np.asarray(x * 1000003 + y)


def _in_cells(points: np.ndarray) -> np.ndarray:
    """Return the means (M, 3) of points (N, 3) in the same cell of the floor, where enough are."""
    _, cell, count = np.unique(_cells(points), return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), 3))
    np.add.at(sums, cell, points)
    return (sums / count[:, None])[count >= _LEAST]
