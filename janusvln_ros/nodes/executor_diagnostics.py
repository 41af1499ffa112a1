"""What motion_executor tells about its health, once a second."""

from __future__ import annotations

from collections import deque
import math
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from janusvln_ros.motion.types import State, Status

_WINDOW = 5.0  # s of wall time that rates are taken over


class Rate:
    """Counts events, and how many there were per second of wall time."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._began = time.monotonic()

    def count(self) -> None:
        """Note one event."""
        self._times.append(time.monotonic())
        self._prune()

    @property
    def hertz(self) -> float:
        """Return the events per second, over the last seconds."""
        self._prune()
        return len(self._times) / max(0.1, min(_WINDOW, time.monotonic() - self._began))

    @property
    def longest_gap(self) -> float:
        """Return the longest time (s) between two events; NaN with less than two."""
        times = list(self._times)
        return max((b - a for a, b in zip(times, times[1:])), default=math.nan)

    def _prune(self) -> None:
        while self._times and self._times[0] < time.monotonic() - _WINDOW:
            self._times.popleft()


def diagnostics(
    name: str, status: Status, warning: str, values: dict[str, object]
) -> DiagnosticArray:
    """
    Make the message, without its stamp.

    ERROR while the robot takes no action, WARN with a warning, else OK.
    """
    level, text = DiagnosticStatus.OK, status.state.name.lower()
    if status.state in (State.FAULT, State.ESTOPPED):
        level, text = DiagnosticStatus.ERROR, f'{text}: {status.message}'
    elif warning:
        level, text = DiagnosticStatus.WARN, f'{text}; {warning}'
    values = {
        'state': status.state.name,
        'last result': status.result.name,
        'instruction': status.request.instruction_id,
        'step': status.request.step,
        'open loop': status.open_loop,
        **values,
    }
    pairs = [
        KeyValue(key=key, value=f'{value:.3f}' if isinstance(value, float) else str(value))
        for key, value in values.items()
    ]
    return DiagnosticArray(
        status=[
            DiagnosticStatus(
                level=level,
                name=f'{name}: motion',
                message=text,
                hardware_id='janusvln',
                values=pairs,
            )
        ]
    )
