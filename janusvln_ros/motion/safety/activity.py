"""Whether the executor may move the robot at all: whoever manages its lifecycle decides that."""

from __future__ import annotations

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result

INACTIVE = 'motion_executor is not active: activate it (lifecycle, or its parameter autostart)'


class Activity:
    """A switch. active: whether the robot may move."""

    def __init__(self) -> None:
        self.active = True

    def verdict(self, now: float) -> Verdict | None:
        """Brake while it is not active."""
        return None if self.active else Verdict(Stop.BRAKE, Result.CANCELED, INACTIVE)

    def forget(self) -> None:
        """Keep the switch: no clock turns it."""
