"""
Whether what is commanded adds up to what odometry tells, over all motions, however short or slow.

A window of `response` has to bear noise and an answer that comes late each time anew; here both
are borne once, so that a little that is missing again and again is seen.
"""

from __future__ import annotations

from collections import deque
import math

from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.safety.odometry import Odometry
from janusvln_ros.motion.types import Result, Velocity

LEAST = 0.75  # of what was commanded, that odometry has to tell: a robot slips by a fifth
STILL = 0.05  # of what was commanded: less counts as standing still


class _Account:
    """
    One direction of one axis, m or rad: a CUSUM that bears a lag.

    Owed is what LEAST of the commands whose answer must have come exceeds what odometry tells,
    since the moment when least was owed even if all had been answered at once.
    """

    def __init__(self) -> None:
        self._pending: deque[tuple[float, float]] = deque()  # (when, way) commanded
        self._commanded = self._answered = self._told = 0.0
        self._floor = 0.0, 0.0  # commanded, told
        self._since: float | None = None  # when it began to be commanded

    def count(self, way: float, moved: float, now: float, due: float) -> None:
        """Count what is commanded now (>= 0), and told; due: till when answers must have come."""
        if way > 0.0:
            self._since = now if self._since is None else self._since
            self._pending.append((now, way))
            self._commanded += way
            moved = max(0.0, moved) if self._since > due else moved  # it may still roll back
        else:
            self._since = None
            moved = max(0.0, moved) if self._pending else 0.0
        self._told += moved
        while self._pending and self._pending[0][0] <= due:
            self._answered += self._pending.popleft()[1]
        if LEAST * (self._commanded - self._floor[0]) < self._told - self._floor[1]:
            self._floor = self._commanded, self._told

    @property
    def sums(self) -> tuple[float, float]:
        """Return what was commanded and must be answered, and what odometry told."""
        return self._answered - self._floor[0], self._told - self._floor[1]


class Balance:
    """The accounts of both axes."""

    def __init__(self, odometry: Odometry) -> None:
        self._odometry = odometry
        self.reset()

    def configure(self, margin: Velocity, late: float) -> None:
        """Take how much may be owed (m, rad), and how late an answer may be (s)."""
        self._margin, self._late = margin, late

    def reset(self) -> None:
        """Begin anew."""
        self._accounts = {(axis, sign): _Account() for axis in range(2) for sign in (1, -1)}
        self._seen = self._odometry.total

    def on_command(self, velocity: Velocity, duration: float, now: float) -> None:
        """Note what was commanded for a duration until now (s)."""
        if self._odometry.is_silent(now):
            self.reset()
            return
        total, due = self._odometry.total, self._odometry.moved.stamp - self._late
        turn = 0.0 if velocity.steers else velocity.angular  # steering hides what wheels do
        ways = velocity.linear * duration, turn * duration
        moved = total.x - self._seen.x, total.yaw - self._seen.yaw
        self._seen = total
        for (axis, sign), account in self._accounts.items():
            account.count(max(0.0, sign * ways[axis]), sign * moved[axis], now, due)

    def verdict(self, stands: tuple[bool, bool]) -> Verdict | None:
        """Halt when too much is owed, unless the axis stands still: that is for the budget."""
        units = ('m', 1.0, self._margin.linear), ('degrees', math.degrees(1), self._margin.angular)
        for (axis, _), account in self._accounts.items():
            name, scale, margin = units[axis]
            commanded, told = account.sums
            is_stuck = stands[axis] or told <= STILL * commanded
            if not is_stuck and LEAST * commanded - told > margin:
                text = (
                    f'commanded {commanded * scale:.2f} {name} bit by bit, odometry says'
                    f' {told * scale:.2f} {name}: does the robot slip, is a wheel radius wrong?'
                )
                return Verdict(Stop.HALT, Result.BAD_INPUT, text, lasting=True)
        return None
