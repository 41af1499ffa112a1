"""What goes into and comes out of the motion executor, and its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
import math

from janusvln_ros.motion.commands import Command
from janusvln_ros.motion.limits import AxisLimits
from janusvln_ros.motion.tracking import TrackingConfig


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
class ExecutorConfig:
    """Units: m, rad, s. See docs/motion.md for what each number does."""

    mode: Mode = Mode.STEP
    linear: AxisLimits = AxisLimits(speed=0.3, acceleration=0.5, jerk=2.5)
    angular: AxisLimits = AxisLimits(speed=1.0, acceleration=2.0, jerk=12.0)
    position_tolerance: float = 0.01
    angle_tolerance: float = math.radians(0.75)
    approach_gain: float = 5.0
    actuation_delay: float = 0.05
    time_allowance: float = 10.0
    settle_time: float = 0.2
    settle_timeout: float = 1.5
    settle_speed: float = 0.02
    settle_turn_rate: float = 0.03
    zero_hold: float = 1.0
    odometry_timeout: float = 0.5
    odometry_jump: float = 0.25
    odometry_jump_angle: float = 0.5
    recovery_time: float = 1.0
    clock_jump: float = 1.0
    navigator_timeout: float = 1.0
    max_decision_age: float = 2.0
    allow_open_loop: bool = False
    allow_reverse: bool = False
    max_move: float = 5.0
    max_turn: float = math.tau
    stop_distance: float = 0.0
    obstacle_sensors: tuple[str, ...] = ('scan',)
    obstacle_timeout: float = 0.5
    commands: bool = False
    merge_length: float = 0.75
    merge_angle: float = math.radians(45.0)

    @property
    def tracking(self) -> TrackingConfig:
        """Return the part that the tracker needs."""
        return TrackingConfig(
            self.linear,
            self.angular,
            self.position_tolerance,
            self.angle_tolerance,
            self.approach_gain,
        )


@dataclass(frozen=True)
class Request:
    """
    A command, and the decision that it came from.

    stamp: time (s) of the image, 0 when there was none. action: constant of NavigationAction.
    With an empty instruction_id it was given by hand: then the order of steps is not checked.
    """

    command: Command
    stamp: float = 0.0
    instruction_id: str = ''
    step: int = 0
    action: int = 0


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
