"""
The expert: follows the shortest way through the places an instruction demands, action by action.

Actions are the policy's: 0 STOP, 1 MOVE_FORWARD (0.25 m), 2 TURN_LEFT, 3 TURN_RIGHT (15 degrees).
Frame: the house's (REP-103), metres and radians.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

from janusvln_ros.sim.free_space import DistanceField, FreeSpace
from janusvln_ros.sim.world import MOVE_FORWARD, STOP, TURN_LEFT, TURN_RIGHT

FORWARD_STEP = 0.25  # m
TURN_STEP = math.radians(15)

_LOOKAHEAD = 2.5  # m of the way in which a straight piece is sought
# Half a turn, and a little more so that it does not turn back and forth on the edge.
_AIM = TURN_STEP / 2 + math.radians(1.5)
_MARGIN = 0.06  # m beyond the robot's radius that a straight piece keeps, where it can


class Expert:
    """
    Chooses the action for any pose, along a route of places that are visited in order.

    Each place is a set of points (n, 2), any of which will do; the last place is where it stops. A
    place counts as reached at a geodesic distance below `stop_distance`. Everything that the
    expert remembers is how many places were reached, so it can take over wherever a policy has
    led the robot, as long as it was told of every pose on the way (`observe`).
    """

    def __init__(
        self, space: FreeSpace, route: Sequence[np.ndarray], *, stop_distance: float = 0.5,
    ) -> None:
        if not len(route):
            raise ValueError('the route is empty; at least the goal is needed')
        self.space = space
        self.stop_distance = stop_distance
        self.fields = [space.field(place) for place in route]
        self._guides = [space.field(place, comfortable=True) for place in route]
        self.reached = 0  # places before the goal that were reached

    def reset(self) -> None:
        """Start the route again."""
        self.reached = 0

    def observe(self, x: float, y: float) -> None:
        """Take note of where the robot is; `act` does so itself."""
        while (self.reached < len(self.fields) - 1
               and self.fields[self.reached].distance(x, y) < self.stop_distance):
            self.reached += 1

    def act(self, x: float, y: float, yaw: float) -> int:
        """
        Choose the action at a pose.

        Raises ValueError where no way leads on.
        """
        self.observe(x, y)
        if (self.reached == len(self.fields) - 1
                and self.fields[-1].distance(x, y) < self.stop_distance):
            return STOP
        guide = self._guides[self.reached]
        error = _wrap(self._heading(guide, x, y) - yaw)
        if abs(error) <= _AIM:
            if self._step_is_free(x, y, yaw):
                return MOVE_FORWARD
            error = self._way_out(guide, x, y, yaw)
            if error == 0.0:
                return MOVE_FORWARD
        return TURN_LEFT if error > 0 else TURN_RIGHT

    def _heading(self, guide: DistanceField, x: float, y: float) -> float:
        """Give the direction of the farthest point of the way that is in sight."""
        way = guide.trace(x, y, _LOOKAHEAD)
        for margin in (_MARGIN, 0.0):
            for point in way[:1:-3]:
                if self.space.line_is_free(way[0], point, self.space.robot_radius + margin):
                    return math.atan2(point[1] - y, point[0] - x)
        target = way[min(3, len(way) - 1)]
        return math.atan2(target[1] - y, target[0] - x)

    def _step_is_free(self, x: float, y: float, yaw: float) -> bool:
        end = (x + FORWARD_STEP * math.cos(yaw), y + FORWARD_STEP * math.sin(yaw))
        return self.space.line_is_free((x, y), end)

    def _way_out(self, guide: DistanceField, x: float, y: float, yaw: float) -> float:
        """Choose the turn whose next step is free and leads on best, in radians."""
        best, least = 0.0, math.inf
        for turns in range(-11, 13):
            heading = yaw + turns * TURN_STEP
            if self._step_is_free(x, y, heading):
                end = (x + FORWARD_STEP * math.cos(heading), y + FORWARD_STEP * math.sin(heading))
                cost = guide.cost(*end) + 0.01 * abs(turns)
                if cost < least:
                    best, least = turns * TURN_STEP, cost
        return best


def _wrap(angle: float) -> float:
    return math.remainder(angle, 2 * math.pi)
