"""A person drives: velocities that count only while they keep coming, as long as a key is held."""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Request, Result, Velocity
from janusvln_ros.parameters import parameter

_AHEAD_OF_TIME = 0.1  # s that a stamp may be in the future: clocks of two computers


@dataclass(frozen=True)
class ManualParameters:
    """How fast a person may drive, and how long a velocity holds."""

    manual_linear_speed: float = parameter(
        0.2, 'Fastest drive by hand.', unit='m/s', low=0.01, high=1.0
    )
    manual_angular_speed: float = parameter(
        0.6, 'Fastest turn by hand.', unit='rad/s', low=0.01, high=3.0
    )
    manual_timeout: float = parameter(
        0.25,
        'A velocity by hand counts that long after its stamp; then the robot halts.',
        unit='s',
        low=0.05,
        high=0.3,
    )


class Manual:
    """
    Makes requests of velocities that a person gives, and is the guard of their silence.

    takes_velocities: whether the base does. drives: whether what is under way was asked for by
    hand.
    """

    def __init__(self, parameters: ManualParameters, takes_velocities: bool) -> None:
        self.parameters, self._takes_velocities = parameters, takes_velocities
        self.drives = False
        self._let_go = True  # since the robot halted under the hand
        self._stamp = -math.inf  # of the newest velocity

    def request(self, velocity: Velocity, stamp: float, now: float) -> Request:
        """
        Take a velocity (m/s, rad/s) that was given at `stamp` (s), and return it as a request.

        Zero is STOP. ValueError for one that is not finite, too old, from the future, or not newer
        than the one before.
        """
        if not self._takes_velocities:
            raise ValueError('this base takes commands, not velocities by hand')
        if not (math.isfinite(velocity.linear) and math.isfinite(velocity.angular)):
            raise ValueError('a velocity by hand is not finite')
        limits, age = self.parameters, now - stamp
        if not -_AHEAD_OF_TIME <= age <= limits.manual_timeout:
            raise ValueError(
                f'a velocity by hand is stamped {age:.2f} s before it arrives: is the link slow,'
                ' do the clocks agree?'
            )
        if stamp <= self._stamp:
            raise ValueError('a velocity by hand is older than the one before')
        self._stamp = stamp
        linear = _within(velocity.linear, limits.manual_linear_speed)
        angular = _within(velocity.angular, limits.manual_angular_speed)
        command = Command(Kind.STOP)
        if linear:
            command = Command(Kind.MOVE, math.copysign(1.0, linear))
        elif angular:
            command = Command(Kind.TURN, math.copysign(1.0, angular))
        self._let_go = self._let_go or command.kind is Kind.STOP
        return Request(command, by_hand=Velocity(linear, angular))

    def disorder(self, request: Request, stands: bool) -> str:
        """Return why a velocity is ignored, or ''; stands: nothing is under way."""
        if request.by_hand is None or request.command.kind is Kind.STOP:
            return ''
        if not self._let_go:
            return 'the robot has halted under the hand: let go first'
        return '' if stands or self.drives else 'another action was moving'

    def halt(self) -> None:
        """Have the person let go before the next motion: the robot has halted under the hand."""
        if self.drives:
            self.drives = self._let_go = False

    def holds(self, now: float) -> bool:
        """Tell whether a person has the robot: standing still with it counts as well."""
        return now - self._stamp <= self.parameters.manual_timeout

    def verdict(self, now: float) -> Verdict | None:
        """Halt what is driven by hand when the hand is silent."""
        if not self.drives or self.holds(now):
            return None
        text = f'manual_velocity is silent for more than {self.parameters.manual_timeout:g} s'
        return Verdict(Stop.HALT, Result.INPUT_LOST, text)

    def forget(self) -> None:
        """Drop the time of the last velocity: nobody drives."""
        self._stamp = -math.inf


def _within(value: float, most: float) -> float:
    return max(-most, min(most, value))
