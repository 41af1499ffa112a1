"""Who drives a robot: one at a time, as long as messages come in time."""

from __future__ import annotations

import math

_LATE = 0.2  # s that a message may take longer than the quickest one
_HELD = 0.35  # s of silence after which the robot has halted, and zero keeps the wheel
_LEASE = 3.0  # s without any message after which the lease ends


class Wheel:
    """
    The lease of one robot.

    holder: who has it, any object; None: nobody. All times in s by our own clock.
    """

    def __init__(self) -> None:
        self.holder: object | None = None
        self._command = (0.0, 0.0)
        self._at = self._moved_at = -math.inf
        self._offset = math.inf  # our clock less the driver's, by the quickest message

    def take(self, who: object, now: float) -> str:
        """Give the wheel to somebody; return why not, or ''."""
        if self.holder not in (None, who):
            return 'somebody else drives this robot'
        if self.holder is None:
            self._offset, self._command = math.inf, (0.0, 0.0)
        self.holder, self._at = who, now
        return ''

    def give(self, who: object) -> bool:
        """Let go; tell whether it was this one who had it."""
        if self.holder is None or self.holder is not who:
            return False
        self.holder, self._command = None, (0.0, 0.0)
        return True

    def hear(
        self, who: object, linear: float, angular: float, time: float, now: float
    ) -> tuple[float, float]:
        """
        Take what the driver holds, each -1..1, at a time (s) by the driver's clock.

        Return what counts of it: zero for one who does not drive, and for what came late.
        """
        if self.holder is not who:
            return 0.0, 0.0
        self._at = now
        self._offset = min(self._offset, now - time)
        if now - time - self._offset > _LATE:
            linear = angular = 0.0
        self._command, self._moved_at = (linear, angular), now
        return self._command

    def silent(self, now: float) -> bool:
        """Tell whether what was held last does not count any more."""
        return now - self._moved_at > _HELD

    def lost(self, now: float) -> bool:
        """Tell whether the driver has gone without a word."""
        return self.holder is not None and now - self._at > _LEASE
