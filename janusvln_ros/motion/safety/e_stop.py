"""The e-stop: latched when it is pressed, until it is released and reset."""

from __future__ import annotations

from dataclasses import dataclass
import math

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter

_LISTENING = 1.0  # s at the start, for an e_stop that was latched before
_LATCHED = 10.0  # s for the message of a publisher that latches, once it is found


@dataclass(frozen=True)
class EStopParameters:
    """Whether there has to be a button."""

    e_stop_required: bool = parameter(
        False, 'No motion until a message on e_stop has been heard since the start.'
    )
    e_stop_heartbeat: float = parameter(
        0.0,
        'e_stop has to come at least this often, and no motion begins before it does: silence is a'
        ' press; 0: it need not.',
        unit='s',
        low=0.0,
        high=60.0,
    )


class EStop:
    """
    A button somewhere, and the latch behind it.

    listening: whether what was latched before the start has had its time to arrive; a node that
    just starts says so by `start` and `listen`.
    """

    def __init__(self, parameters: EStopParameters) -> None:
        self.parameters = parameters
        self.listening = True
        self._pressed = False
        self._latched = ''  # why
        self._heard_at: float | None = None
        self._press_sent = -math.inf  # the newest press

    def on_e_stop(self, pressed: bool, now: float, sent: float = math.inf) -> None:
        """
        Take the button's state; releasing it does not undo a press.

        sent: when, in s by the sender's clock. A release that was sent before the newest press is
        void: the same message comes several times, and the button may be pressed by now.
        """
        if not pressed and sent < self._press_sent:
            return
        self._pressed, self._heard_at = pressed, now
        if pressed:
            self._latched = 'e-stop'
            self._press_sent = max(self._press_sent, -math.inf if math.isinf(sent) else sent)

    @property
    def heard(self) -> bool:
        """Tell whether the button has said anything."""
        return self._heard_at is not None

    def start(self, wall: float) -> None:
        """Begin to listen, at a wall time (s)."""
        self._began, self._found_at, self.listening = wall, math.inf, False

    def listen(self, latches: bool, wall: float) -> None:
        """
        Let wall time (s) pass.

        latches: a publisher that latches is there, and has not been heard. Its message may come
        seconds after it was found.
        """
        self._found_at = min(self._found_at, wall) if latches else math.inf
        waits = latches and wall - self._found_at < _LATCHED
        self.listening = wall - self._began > _LISTENING and not waits

    def reset(self) -> tuple[bool, str]:
        """Undo the e-stop, unless it is still pressed; return whether, and why."""
        if self._pressed:
            return False, 'the e-stop is still pressed: publish false on e_stop first'
        if not self._latched:
            return True, 'the e-stop was not active'
        self._latched = ''
        return True, 'the e-stop is reset; the robot stands until the next action'

    def verdict(self, now: float) -> Verdict | None:
        """Halt while it is latched, or not heard of though it has to be."""
        longest = self.parameters.e_stop_heartbeat
        silent = math.inf if self._heard_at is None else now - self._heard_at
        if 0.0 < longest < silent < math.inf:
            self._latched = (
                self._latched or f'e-stop: e_stop is silent for more than {longest:g} s'
            )
        if self._latched:
            return Verdict(Stop.HALT, Result.ESTOPPED, self._latched)
        if not self.listening:
            text = 'it has just started, and listens for an e_stop that is latched'
            return Verdict(Stop.HALT, Result.INPUT_LOST, text)
        if self._heard_at is None and (longest or self.parameters.e_stop_required):
            text = 'nothing has been heard on e_stop yet: is its publisher running?'
            return Verdict(Stop.HALT, Result.INPUT_LOST, text)
        return None

    def forget(self) -> None:
        """Keep the latch: no clock undoes it. The time of the last message is void."""
        if self._heard_at is not None and self.parameters.e_stop_heartbeat:
            self._heard_at = None
