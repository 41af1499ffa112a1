"""The link to the navigator: silence means that nobody thinks for the robot."""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter


@dataclass(frozen=True)
class LinkParameters:
    """How long the navigator may be silent."""

    navigator_timeout: float = parameter(
        1.0,
        'Silence of the navigator that stops the robot in continuous mode; 0: never. In step'
        ' mode the step is finished.',
        unit='s',
        low=0.0,
        high=60.0,
    )


class Link:
    """
    Notes the navigator's signs of life.

    needed: whether the robot must not go on without it; a step can be finished alone.
    """

    def __init__(self, parameters: LinkParameters) -> None:
        self.parameters = parameters
        self.needed = False
        self._heard_at: float | None = None

    def on_navigator(self, now: float) -> None:
        """Note a sign of life."""
        self._heard_at = now

    def age(self, now: float) -> float:
        """Return the time (s) since the last sign of life; infinite without one."""
        return math.inf if self._heard_at is None else now - self._heard_at

    def verdict(self, now: float) -> Verdict | None:
        """Brake when the navigator is silent."""
        longest = self.parameters.navigator_timeout
        if not self.needed or not 0.0 < longest < self.age(now):
            return None
        message = f'the navigator is silent for more than {longest:g} s'
        return Verdict(Stop.BRAKE, Result.INPUT_LOST, message)

    def forget(self) -> None:
        """Drop the time of the last sign of life."""
        self._heard_at = None
