"""What the robot covers of the floor, and how far it moves before it touches something."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
import json
import math

from janusvln_ros.parameters import parameter
import numpy as np

_TURN_STEP = math.radians(1.0)
_LEVEL = 1e-9  # of an edge's normal: it is parallel to the way


@dataclass(frozen=True)
class BodyParameters:
    """The robot's size; ValueError for a footprint that is none."""

    footprint: str = parameter(
        '',
        'Corners in base_link, "[[0.2, 0.1], [0.2, -0.1], ...]" (m); taken as convex. Empty: a'
        ' rectangle from robot_front, robot_rear and robot_half_width.',
    )
    robot_front: float = parameter(
        0.2, 'How far the robot reaches ahead of base_link.', unit='m', low=0.0, high=2.0
    )
    robot_rear: float = parameter(
        0.2, 'How far it reaches behind base_link.', unit='m', low=0.0, high=2.0
    )
    robot_half_width: float = parameter(
        0.22, 'Half the width that must be free to drive.', unit='m', low=0.01, high=2.0
    )
    floor_height: float = parameter(
        0.05, 'Lower things are driven over.', unit='m', low=0.0, high=0.5
    )
    robot_height: float = parameter(
        1.5, 'Higher things are driven under.', unit='m', low=0.1, high=3.0
    )

    def __post_init__(self) -> None:
        self.outline  # noqa: B018 - says what is wrong

    @cached_property
    def outline(self) -> Footprint:
        """Return what the robot covers of the floor."""
        if not self.footprint:
            front, rear, side = self.robot_front, self.robot_rear, self.robot_half_width
            corners = [[front, side], [front, -side], [-rear, side], [-rear, -side]]
            return Footprint(np.array(corners))
        try:
            return Footprint(np.array(json.loads(self.footprint), dtype=np.float64))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f'footprint "{self.footprint}" is no list of corners: {error}'
            ) from None


class Footprint:
    """
    A convex outline about the origin of base_link.

    corners: (N, 2) m in any order; what is hollow between them counts as covered. ValueError
    when they enclose nothing, or not the origin.
    """

    def __init__(self, corners: np.ndarray) -> None:
        if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
            raise ValueError('each corner is two numbers')
        hull = _hull(corners)
        if len(hull) < 3:
            raise ValueError('three corners that do not lie on a line are needed')
        edges = np.roll(hull, -1, axis=0) - hull
        normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1)  # outwards
        self._normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        self._offsets = (self._normals * hull).sum(axis=1)
        if (self._offsets < 0.0).any():
            raise ValueError('base_link has to lie inside')
        self.right, self.left = float(hull[:, 1].min()), float(hull[:, 1].max())
        self._front, self._rear = float(hull[:, 0].max()), float(-hull[:, 0].min())
        self.radius = float(np.hypot(*hull.T).max())

    def extent(self, direction: int) -> float:
        """Return how far (m) it reaches forward (1) or backward (-1)."""
        return self._front if direction > 0 else self._rear

    def covers(self, points: np.ndarray) -> np.ndarray:
        """Tell of each point, (..., 2) m, whether the robot is there."""
        return np.asarray((self._outside(points) <= 0.0).all(axis=-1))

    def way(self, points: np.ndarray, direction: int) -> np.ndarray:
        """
        Return how far (m) it can move until it touches each point; infinite: it never does.

        points: (N, 2) m. direction: 1 forward, -1 backward. Below 0: the point is inside. What
        lies there behind the half of the way to its front is the robot itself: posts, a tower.
        """
        outside, slope = self._outside(points), direction * self._normals[:, 0]
        leading, trailing = slope > _LEVEL, slope < -_LEVEL
        enters = (outside[:, leading] / slope[leading]).max(axis=1)
        leaves = (outside[:, trailing] / slope[trailing]).min(axis=1)
        beside = (outside[:, ~leading & ~trailing] > 0.0).any(axis=1)
        itself = (enters < 0.0) & (direction * points[:, 0] <= self.extent(direction) / 2.0)
        meets = (enters <= leaves) & (leaves >= 0.0) & ~beside & ~itself
        return np.where(meets, enters, math.inf)

    def turn(self, points: np.ndarray, angle: float) -> float:
        """
        Return how far (rad, >= 0) it can turn on the spot before it touches a point.

        points: (N, 2) m; those inside are the robot itself. angle: rad, to the left; infinite
        when all of it is free.
        """
        near = points[(np.hypot(*points.T) <= self.radius) & ~self.covers(points)]
        if not near.size:
            return math.inf
        angles = np.linspace(0.0, angle, 2 + int(abs(angle) / _TURN_STEP))
        cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
        x, y = near.T
        turned = np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=-1)
        touches = self.covers(turned).any(axis=1)
        return abs(float(angles[touches.argmax()])) if touches.any() else math.inf

    def _outside(self, points: np.ndarray) -> np.ndarray:
        """Return (..., edges): how far (m) each point lies outside of each edge's line."""
        return np.asarray(points @ self._normals.T - self._offsets)


def _hull(corners: np.ndarray) -> np.ndarray:
    """Return the corners of the convex hull, (M, 2), to the left around."""
    ordered = [tuple(map(float, corner)) for corner in np.unique(corners, axis=0)]

    def half(points: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
        chain: list[tuple[float, ...]] = []
        for x, y in points:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0.0:
                    break
                chain.pop()
            chain.append((x, y))
        return chain[:-1]

    return np.array(half(ordered) + half(ordered[::-1]))
