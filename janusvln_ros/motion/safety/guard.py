"""What a guard is: something that says by itself why the robot has to stop."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.types import Result


class Stop(IntEnum):
    """How to stop; the greater, the harder."""

    BRAKE = 0  # within the limits of acceleration and jerk
    HALT = 1  # zero at once


@dataclass(frozen=True)
class Verdict:
    """
    A guard's reason to stop: how, the result of what is under way, and why in words.

    lasting: no motion begins until a person has looked and reset it. unanswered: odometry has
    not answered to commands; it may yet, too late.
    """

    stop: Stop
    result: Result
    message: str
    lasting: bool = False
    unanswered: bool = False


class Guard(Protocol):
    """Is fed by methods of its own, each with the time (s) at which it is called."""

    def verdict(self, now: float) -> Verdict | None:
        """Return why the robot has to stop, or None."""

    def forget(self) -> None:
        """Drop every time that was noted: the clock has jumped."""


class Driven(Protocol):
    """What guards may ask of the base."""

    @property
    def pose(self) -> Pose | None:
        """Return where it is, if that is known."""

    def predicted(self, now: float) -> Pose:
        """Return where the robot will be when what is commanded now takes effect."""

    def pose_at(self, stamp: float) -> Pose:
        """Return where it was at a time (s), or the nearest that is known."""

    def ahead(self, now: float) -> tuple[float, float]:
        """
        Return (m, rad): what it does next, of what is left of the motion.

        It drives, backward below 0, or turns on the spot; the other is 0. By hand it may do both.
        """
