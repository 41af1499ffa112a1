"""What one motion may take before it is given up."""

from __future__ import annotations

from dataclasses import dataclass

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter


@dataclass(frozen=True)
class TravelParameters:
    """Allowances of one motion."""

    time_allowance: float = parameter(
        10.0,
        'For one motion, besides twice its duration at full speed.',
        unit='s',
        low=0.5,
        high=600.0,
    )


class Travel:
    """The time that the motion under way may still take."""

    def __init__(self, parameters: TravelParameters) -> None:
        self.parameters = parameters
        self._deadline = 0.0

    def begin(self, duration: float, now: float) -> None:
        """Allow for a motion that takes a duration (s) at full speed."""
        self._deadline = now + self.parameters.time_allowance + 2.0 * duration

    def verdict(self, now: float) -> Verdict | None:
        """Brake when the time is over."""
        if now <= self._deadline:
            return None
        message = 'the time allowance of the motion ran out'
        return Verdict(Stop.BRAKE, Result.TIMEOUT, message)

    def forget(self) -> None:
        """Keep the deadline: the jump ends the motion."""
