"""A deadline for the policy: work that does not end is noticed, whatever ROS time does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import time

from janusvln_ros.parameters import parameter


@dataclass(frozen=True)
class WatchdogParameters:
    """How long the policy may take."""

    decision_timeout: float = parameter(
        60.0,
        'A decision that takes longer ends the episode with POLICY_ERROR and the navigator with '
        'status 1, so that launch can start it again.',
        unit='s',
        low=0.1,
        high=3600.0,
    )


class Watchdog:
    """Knows since when the policy is at work."""

    def __init__(self) -> None:
        self._began: float | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the policy for as long as the block lasts."""
        self._began = time.monotonic()
        try:
            yield
        finally:
            self._began = None

    def overdue(self, limit: float) -> str:
        """Say that the policy has been at work for longer than limit, s; '' if it has not."""
        began = self._began
        if began is None or time.monotonic() - began <= limit:
            return ''
        return f'no decision within decision_timeout ({limit:g} s): the policy hangs'
