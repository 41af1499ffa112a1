"""
The expert: follows the shortest way through the places an instruction demands, action by action.

Frame: the house's (REP-103), metres and radians.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

from janusvln_ros.actions import Action, FORWARD_STEP, TURN_STEP
from janusvln_ros.sim.free_space import DistanceField, FreeSpace
import numpy as np

_LOOKAHEAD = 2.5  # m of the way in which a straight piece is sought
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
        self, space: FreeSpace, route: Sequence[np.ndarray], *, stop_distance: float = 0.5
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
        while (
            self.reached < len(self.fields) - 1
            and self.fields[self.reached].distance(x, y) < self.stop_distance
        ):
            self.reached += 1

    def act(self, x: float, y: float, yaw: float) -> Action:
        """Choose the action at a pose."""
        self.observe(x, y)
        last = self.reached == len(self.fields) - 1
        if last and self.fields[-1].distance(x, y) < self.stop_distance:
            return Action.STOP
        turns = self._turns(self._guides[self.reached], x, y, yaw)
        if turns == 0:
            return Action.MOVE_FORWARD
        return Action.TURN_LEFT if turns > 0 else Action.TURN_RIGHT

    def _turns(self, guide: DistanceField, x: float, y: float, yaw: float) -> int:
        """
        Choose how many turns to make, to the left if positive, before the next step.

        Where the choice falls depends on the place alone, so turning does not change the mind.
        """
        error = math.remainder(self._heading(guide, x, y) - yaw, math.tau)
        straight = round(error / TURN_STEP)
        if self._step_is_free(x, y, yaw + straight * TURN_STEP):
            return straight
        free = [
            turns for turns in range(-11, 13) if self._step_is_free(x, y, yaw + turns * TURN_STEP)
        ]
        # With no step free, the robot slides along what it touches.
        return min(
            free,
            default=straight,
            key=lambda turns: guide.cost(
                x + FORWARD_STEP * math.cos(yaw + turns * TURN_STEP),
                y + FORWARD_STEP * math.sin(yaw + turns * TURN_STEP),
            ),
        )

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
