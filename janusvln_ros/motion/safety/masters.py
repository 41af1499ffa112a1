"""Who else commands the base: what two command, nobody controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter

_OVER = 2.0  # s without another's command after which it counts as ended
_MOST = 3  # names that are told


@dataclass(frozen=True)
class MasterParameters:
    """Who may be there besides us."""

    exclusive_command: bool = parameter(
        True,
        'No motion while anybody else publishes where our commands go, on cmd_vel or'
        ' mid_level_command, even if silent; false: only while somebody else commands a motion.',
    )


class Masters:
    """Is told whom the graph shows beside us, and when another's command was heard."""

    def __init__(self, parameters: MasterParameters) -> None:
        self.parameters = parameters
        self._commanders: Sequence[str] = ()
        self._executors: Sequence[str] = ()
        self._heard_at: float | None = None

    def see(self, commanders: Sequence[str], executors: Sequence[str]) -> None:
        """Take the names of the other nodes that publish commands, and motion_status."""
        self._commanders, self._executors = commanders, executors

    def hear(self, now: float) -> None:
        """Note that somebody else has commanded a motion."""
        self._heard_at = now

    @property
    def warning(self) -> str:
        """Say who may command as well, though nobody does now; '' for nobody."""
        if not self._commanders:
            return ''
        return f'{listed(self._commanders)} may command the base as well (exclusive_command)'

    def verdict(self, now: float) -> Verdict | None:
        """Halt while the base has another master."""
        who = listed(self._commanders)
        if self._executors:
            text = f'another executor is there: {listed(self._executors)}. End it'
        elif self._heard_at is not None and abs(now - self._heard_at) < _OVER:
            text = f'somebody else commands the base: {who}. End it, or wait'
        elif self._commanders and self.parameters.exclusive_command:
            text = (
                f'somebody else publishes where our commands go: {who}. End it, put twist_mux in'
                ' between, or set exclusive_command to false'
            )
        else:
            return None
        return Verdict(Stop.HALT, Result.BAD_INPUT, text)

    def forget(self) -> None:
        """Drop the time of another's command; who is there, no clock tells."""
        self._heard_at = None


def listed(names: Sequence[str]) -> str:
    """Return some of the names as text."""
    more = ' and others' if len(names) > _MOST else ''
    return ', '.join(names[:_MOST]) + more
