"""How far a robot has come along an episode's route."""

from __future__ import annotations

from collections.abc import Sequence

from janusvln_ros.sim.free_space import FreeSpace
import numpy as np


class GoalProgress:
    """Follows a robot past the places that an episode demands, in order, to its goal."""

    def __init__(self, space: FreeSpace, route: Sequence[np.ndarray], radius: float) -> None:
        """
        Take a house's free space and the places, each (n, 2) in metres, the goal last.

        radius: metres (geodesic) from a place, within which it counts as visited.
        """
        self._fields = [space.field(place) for place in route]
        self._radius = radius
        self._visited = 0

    @property
    def visited(self) -> bool:
        """Whether all places before the goal have been visited."""
        return self._visited == len(self._fields) - 1

    def observe(self, x: float, y: float) -> float:
        """Take note of where the robot is; give its distance from the goal in metres."""
        while not self.visited and self._fields[self._visited].distance(x, y) < self._radius:
            self._visited += 1
        return self._fields[-1].distance(x, y)
