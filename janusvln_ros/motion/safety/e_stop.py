"""The e-stop: latched when a button is pressed, until all are released and it is reset."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
import math

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter

_LISTENING = 2.0  # s at the start, for an e_stop that was latched, or another executor
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


@dataclass(frozen=True)
class Origin:
    """
    What the middleware tells of a message.

    sent: when, in s by the sender's clock. number: its number among those of its publisher, None
    when that is not told. publishers: how many there are on the topic.
    """

    sent: float = math.inf
    number: int | None = None
    publishers: int = 1


@dataclass
class _Button:
    """A publisher: its last message, and when (s, by its clock) its newest press was sent."""

    pressed: bool = False
    number: int | None = None
    press_sent: float = -math.inf


class _Buttons:
    """
    Tells the buttons apart by the numbers of their messages: nothing says from whom one comes.

    In doubt a message is that of a button that is not pressed, so that none is released by
    another's message.
    """

    def __init__(self) -> None:
        self._buttons: list[_Button] = []
        self._copies: deque[Origin] = deque(maxlen=200)

    @property
    def pressed(self) -> bool:
        """Tell whether any of them is."""
        return any(button.pressed for button in self._buttons)

    def on_message(self, pressed: bool, origin: Origin) -> bool:
        """
        Take what one says; return whether it counts.

        The same message comes several times, and a copy, or a release that was sent before the
        newest press, is void: the button may be pressed by now.
        """
        copy = replace(origin, publishers=0)
        if copy in self._copies:
            return False
        if not math.isinf(origin.sent):
            self._copies.append(copy)
        button = self._sender(origin) or self._another(origin.publishers)
        if not pressed and origin.sent < button.press_sent:
            return False
        button.pressed, button.number = pressed, origin.number
        if pressed and not math.isinf(origin.sent):
            button.press_sent = max(button.press_sent, origin.sent)
        return True

    def _sender(self, origin: Origin) -> _Button | None:
        """Return the button whose next message it can be."""
        number = origin.number
        if number is None:
            return self._buttons[0] if self._buttons else None
        earlier = [one for one in self._buttons if one.number is not None and one.number < number]
        following = [one for one in earlier if one.number == number - 1]
        if not following and len(self._buttons) < origin.publishers:
            return None
        return min(following or earlier, key=lambda one: one.pressed, default=None)

    def _another(self, publishers: int) -> _Button:
        """Return a new button; of more than there are publishers one has ended."""
        if len(self._buttons) >= max(publishers, 1):
            self._buttons.remove(min(self._buttons, key=lambda one: one.pressed))
        self._buttons.append(_Button())
        return self._buttons[-1]


class EStop:
    """
    Buttons somewhere, and the latch behind them.

    listening: whether what was latched before the start has had its time to arrive; a node that
    just starts says so by `start` and `listen`.
    """

    def __init__(self, parameters: EStopParameters) -> None:
        self.parameters = parameters
        self.listening = True
        self._buttons = _Buttons()
        self._latched = ''  # why
        self._heard_at: float | None = None

    def on_e_stop(self, pressed: bool, now: float, origin: Origin) -> None:
        """Take the state of a button; releasing it does not undo a press."""
        if not self._buttons.on_message(pressed, origin):
            return
        self._heard_at = now
        if pressed:
            self._latched = 'e-stop'

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
        if self._buttons.pressed:
            return (
                False,
                'the e-stop is still pressed: each button has to say false on e_stop first',
            )
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
