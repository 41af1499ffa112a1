"""Asks every guard, and takes the hardest answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from janusvln_ros.motion.safety.guard import Guard, Stop, Verdict
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter


@dataclass(frozen=True)
class SupervisorParameters:
    """What holds after every stop, and after every fault."""

    zero_hold: float = parameter(
        1.0,
        'Zero velocity is published this long after a stop, then nothing.',
        unit='s',
        low=0.1,
        high=60.0,
    )
    recovery_time: float = parameter(
        1.0,
        'After a fault, odometry and clock must be well this long.',
        unit='s',
        low=0.0,
        high=60.0,
    )


class Supervisor:
    """
    The guards of one robot.

    always: those whose verdict forbids every motion, a new one too, in the order in which they
    are told. moving: those that are asked while a motion is under way.
    """

    def __init__(
        self, parameters: SupervisorParameters, always: Iterable[Guard], moving: Iterable[Guard]
    ) -> None:
        self.parameters = parameters
        self.always, self.moving = [*always], [*moving]
        self._fault: tuple[float, str] | None = None  # when, what
        self._lasting: Verdict | None = None

    def fail(self, reason: str, now: float, *, lasting: bool = False) -> Verdict:
        """Note what has just gone wrong: it forbids every motion for a while, or until reset."""
        verdict = Verdict(Stop.HALT, Result.BAD_INPUT, reason, lasting)
        self._fault = (now, reason)
        return self._kept(verdict) or verdict

    def reset(self) -> bool:
        """Forget what lasts: a person has looked; return whether there was anything."""
        lasted, self._lasting = self._lasting is not None, None
        return lasted

    def trouble(self, now: float) -> Verdict | None:
        """Return why the robot must not move at all, or None."""
        e_stop, *others = self.always
        return (
            e_stop.verdict(now) or self._lasting or self._recovering(now) or _hardest(others, now)
        )

    def verdict(self, now: float) -> Verdict | None:
        """Return why a motion has to end, or None."""
        return self.trouble(now) or self._kept(_hardest(self.moving, now))

    def forget(self) -> None:
        """Drop every time that a guard has noted: the clock has jumped."""
        for guard in (*self.always, *self.moving):
            guard.forget()

    def _kept(self, verdict: Verdict | None) -> Verdict | None:
        if verdict is not None and verdict.lasting:
            self._lasting = replace(verdict, message=f'{verdict.message} Then call reset_e_stop.')
            return self._lasting
        return verdict

    def _recovering(self, now: float) -> Verdict | None:
        if self._fault is None or now - self._fault[0] >= self.parameters.recovery_time:
            return None
        return Verdict(Stop.HALT, Result.BAD_INPUT, self._fault[1])


def _hardest(guards: Iterable[Guard], now: float) -> Verdict | None:
    verdicts = [verdict for guard in guards if (verdict := guard.verdict(now))]
    return max(verdicts, key=lambda verdict: verdict.stop, default=None)
