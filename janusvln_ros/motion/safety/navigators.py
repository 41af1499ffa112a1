"""Which navigator thinks for the robot, by the session ids of the messages: one, and the same."""

from __future__ import annotations

import math

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result

_GONE = 2.0  # s of silence after which a navigator does not count any more
_SILENT = 1.2  # s; heartbeats come once a second at least
_MOST = 8  # sessions that are remembered
_SHOWN = 8  # characters of a session


class Navigators:
    """
    Notes who is there. A session is one run of a navigator; '' is somebody who tells none.

    Two at work at once are one too many; one that waits inactive beside another is not.
    """

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}  # when last, the newest at the end
        self._at_work: dict[str, float] = {}

    def hear(self, session: str, at_work: bool, now: float) -> None:
        """Note a message of a session; at_work: whether it acts, or would."""
        _note(self._heard, session, now)
        if at_work:
            _note(self._at_work, session, now)
        else:
            self._at_work.pop(session, None)

    def replaced(self, session: str, now: float) -> bool:
        """Tell whether a session has fallen silent, and another has been heard since."""
        silent = now - self._heard.get(session, -math.inf)
        return silent > _SILENT and any(
            now - when < silent for name, when in self._heard.items() if name != session
        )

    def verdict(self, now: float) -> Verdict | None:
        """Halt while two are at work: what one asks for, the other contradicts."""
        present = [name for name, when in self._at_work.items() if abs(now - when) < _GONE]
        if len(present) < 2:
            return None
        names = ', '.join(name[:_SHOWN] or 'one that tells no session' for name in present[:2])
        text = f'two navigators are at work on this robot ({names}): end one of the two'
        return Verdict(Stop.HALT, Result.BAD_INPUT, text)

    def forget(self) -> None:
        """Drop all times."""
        self._heard.clear()
        self._at_work.clear()


class Owner:
    """
    Knows which session asked for what is under way: a restarted navigator knows nothing of it.

    session: None where no navigator asked.
    """

    def __init__(self, navigators: Navigators) -> None:
        self.session: str | None = None
        self._navigators = navigators

    def verdict(self, now: float) -> Verdict | None:
        """Brake when another run has taken the place of the one that asked."""
        if self.session is None or not self._navigators.replaced(self.session, now):
            return None
        text = 'the navigator was restarted: what the one before asked for is dropped'
        return Verdict(Stop.BRAKE, Result.CANCELED, text)

    def forget(self) -> None:
        """Keep the name."""


def _note(times: dict[str, float], session: str, now: float) -> None:
    times.pop(session, None)
    times[session] = now
    while len(times) > _MOST:
        del times[next(iter(times))]
