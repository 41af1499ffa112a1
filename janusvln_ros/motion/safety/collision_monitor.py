"""A collision monitor behind us, Nav2's: it sends the base zero, whatever we command."""

from __future__ import annotations

import math

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result

_PATIENCE = 0.3  # s that it has to let a motion go on: it thinks anew with each command only
_NO_SENSOR = 'invalid source'  # in place of a polygon's name


class CollisionMonitor:
    """
    Knows what the monitor has said last; one that says nothing is none.

    It speaks when its mind changes, and only while we command: what it said before a motion began
    may be true no longer.
    """

    def __init__(self) -> None:
        self._stops, self._polygon = False, ''
        self._since = self._begun = -math.inf

    def on_state(self, stops: bool, polygon: str, now: float) -> None:
        """Take whether it stops the robot, and which of its polygons does."""
        self._stops, self._polygon, self._since = stops, polygon, now

    def begin(self, now: float) -> None:
        """Note that a motion begins."""
        self._begun = now

    def verdict(self, now: float) -> Verdict | None:
        """Halt a motion that the monitor stops."""
        if not self._stops or now - max(self._since, self._begun) < _PATIENCE:
            return None
        if self._polygon == _NO_SENSOR:
            message = 'the collision monitor stops the robot: do its sensors and tf come?'
            return Verdict(Stop.HALT, Result.INPUT_LOST, message)
        message = f'the collision monitor stops the robot: something is in "{self._polygon}"'
        return Verdict(Stop.HALT, Result.BLOCKED, message)

    def forget(self) -> None:
        """Drop the times, not what it said."""
        self._since = self._begun = -math.inf
