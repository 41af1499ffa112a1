"""What a node tells about its health, once a second."""

from __future__ import annotations

from collections import deque
import math
import time

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import numpy as np

_WINDOW = 5.0  # s of wall time that rates are taken over
_LATENCIES = 100  # decisions that the percentiles are taken over


class Rate:
    """Counts events, and how many there were per second of wall time."""

    def __init__(self) -> None:
        self.total = 0
        self._times: deque[float] = deque()
        self._began = time.monotonic()

    def count(self) -> None:
        """Note one event."""
        self.total += 1
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


class Latencies:
    """The last decisions' latencies, seconds."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=_LATENCIES)

    def add(self, seconds: float) -> None:
        """Note one."""
        self._values.append(seconds)

    def percentile(self, percent: float) -> float:
        """Return a percentile; NaN before the first decision."""
        return float(np.percentile(self._values, percent)) if self._values else math.nan


def diagnostics(
    name: str, level: bytes, message: str, values: dict[str, object], stamp: Time
) -> DiagnosticArray:
    """Make the message; floats are written with three decimals."""
    pairs = [
        KeyValue(key=key, value=f'{value:.3f}' if isinstance(value, float) else str(value))
        for key, value in values.items()
    ]
    array = DiagnosticArray(
        status=[
            DiagnosticStatus(
                level=level, name=name, message=message, hardware_id='janusvln', values=pairs
            )
        ]
    )
    array.header.stamp = stamp
    return array
