"""What the navigator tells about its health, once a second."""

from __future__ import annotations

from collections import deque

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import numpy as np

_WINDOW = 100  # decisions that the percentiles are taken over


class Rate:
    """Counts events; tells how many there were per second since it was last asked."""

    def __init__(self) -> None:
        self.total = 0
        self._told, self._told_at = 0, 0

    def count(self) -> None:
        """Note one event."""
        self.total += 1

    def per_second(self, now: int) -> float:
        """Return the rate since the last call; now is in nanoseconds."""
        seconds = (now - self._told_at) / 1e9
        rate = (self.total - self._told) / seconds if self._told_at and seconds > 0 else 0.0
        self._told, self._told_at = self.total, now
        return rate


class Latencies:
    """The last decisions' latencies, seconds."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=_WINDOW)

    def add(self, seconds: float) -> None:
        """Note one."""
        self._values.append(seconds)

    def percentile(self, percent: float) -> float:
        """Return a percentile; NaN before the first decision."""
        return float(np.percentile(self._values, percent)) if self._values else float('nan')


def diagnostics(name: str, level: int, message: str, values: dict[str, object]) -> DiagnosticArray:
    """Make the message, without its stamp; floats are written with three decimals."""
    pairs = [
        KeyValue(key=key, value=f'{value:.3f}' if isinstance(value, float) else str(value))
        for key, value in values.items()
    ]
    return DiagnosticArray(
        status=[
            DiagnosticStatus(
                level=bytes([level]),
                name=f'{name}: navigation',
                message=message,
                hardware_id='janusvln',
                values=pairs,
            )
        ]
    )
