"""The time itself: it has to go on, and evenly."""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter


@dataclass(frozen=True)
class ClockParameters:
    """Gaps in time that stop the robot."""

    clock_jump: float = parameter(
        1.0, 'A gap in ROS time that stops the robot.', unit='s', low=0.1, high=60.0
    )
    clock_timeout: float = parameter(
        0.5,
        'Wall time without ROS time going on that stops the robot.',
        unit='s',
        low=0.1,
        high=60.0,
    )


class Clock:
    """Compares each time with the one before."""

    def __init__(self, parameters: ClockParameters) -> None:
        self.parameters = parameters
        self.now = -math.inf  # s; before the first tick

    def tick(self, now: float) -> str:
        """Go on to a time (s); return what is wrong with it, or ''."""
        gap, first = now - self.now, math.isinf(self.now)
        self.now = now
        if first or 0.0 <= gap <= self.parameters.clock_jump:
            return ''
        return f'the clock jumped by {gap:.3f} s'

    def verdict(self, now: float) -> Verdict | None:
        """Forbid motions before time has begun."""
        if not math.isinf(self.now):
            return None
        text = 'ROS time has not begun: with use_sim_time, does /clock come?'
        return Verdict(Stop.HALT, Result.INPUT_LOST, text)

    def forget(self) -> None:
        """Keep the new time."""
