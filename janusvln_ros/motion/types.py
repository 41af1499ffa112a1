"""What goes into and comes out of the motion executor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from janusvln_ros.motion.commands import Command

_STEERS = 0.1  # m/rad: who drives more than this does not turn on the spot


class State(IntEnum):
    """What the base is doing; values equal MotionStatus.STATE_*."""

    IDLE = 0
    MOVING = 1
    SETTLING = 2
    FAULT = 3
    ESTOPPED = 4


class Result(IntEnum):
    """How an action ended; values equal MotionStatus.RESULT_*."""

    NONE = 0
    SUCCEEDED = 1
    CANCELED = 2
    TIMEOUT = 3
    BLOCKED = 4
    INPUT_LOST = 5
    ESTOPPED = 6
    BAD_INPUT = 7
    DROPPED = 8


class Mode(Enum):
    """STEP: one action, settle, next. CONTINUOUS: a new action moves the goal on."""

    STEP = 'step'
    CONTINUOUS = 'continuous'


@dataclass(frozen=True)
class Velocity:
    """Commanded velocity of the base: linear in m/s forward, angular in rad/s to the left."""

    linear: float = 0.0
    angular: float = 0.0

    @property
    def steers(self) -> bool:
        """Whether a turn only keeps it to its line; one on the spot does not."""
        return abs(self.linear) > _STEERS * abs(self.angular)


@dataclass(frozen=True)
class Request:
    """
    A command, and the decision that it came from.

    stamp: time (s) of the image, 0 when there was none. action: constant of NavigationAction.
    With an empty instruction_id it was given by hand: then the order of steps is not checked.
    by_hand: a velocity to keep, instead of an amount to reach (motion.manual).
    """

    command: Command
    stamp: float = 0.0
    instruction_id: str = ''
    step: int = 0
    action: int = 0
    by_hand: Velocity | None = None


@dataclass(frozen=True)
class Status:
    """What MotionStatus says; result, progress and message belong to the request named."""

    state: State
    result: Result
    request: Request
    motion_end: float  # s, when the last motion ended and the base stood; 0 before the first
    progress: float  # m or rad
    open_loop: bool
    message: str
