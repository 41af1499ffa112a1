"""The e-stop: latched when it is pressed, until it is released and reset."""

from __future__ import annotations

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result


class EStop:
    """A button somewhere, and the latch behind it."""

    def __init__(self) -> None:
        self._pressed = False
        self._latched = False

    def on_e_stop(self, pressed: bool) -> None:
        """Take the button's state; releasing it does not undo a press."""
        self._pressed = pressed
        self._latched = self._latched or pressed

    def reset(self) -> tuple[bool, str]:
        """Undo the e-stop, unless it is still pressed; return whether, and why."""
        if self._pressed:
            return False, 'the e-stop is still pressed: publish false on e_stop first'
        if not self._latched:
            return True, 'the e-stop was not active'
        self._latched = False
        return True, 'the e-stop is reset; the robot stands until the next action'

    def verdict(self, now: float) -> Verdict | None:
        """Halt while it is latched."""
        return Verdict(Stop.HALT, Result.ESTOPPED, 'e-stop') if self._latched else None

    def forget(self) -> None:
        """Keep the latch: no clock undoes it."""
